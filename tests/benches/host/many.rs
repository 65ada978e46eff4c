//! A host with fifty thousand processes: each a program of its own with arguments of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::tiny::{self, Deed};

/// How many services the processes belong to: so many executables and folders there are.
const N_SERVICES: usize = 300;

/// The processes; killed and waited for when dropped.
pub(crate) struct Many {
    children: Vec<Child>,
    _dir: tempfile::TempDir,
    _pids: PidMax,
}

impl Many {
    /// Starts `n` processes in this process's control group, or says why this machine bears no so many.
    pub(crate) fn start(n: usize) -> Result<Self, String> {
        let pids = PidMax::at_least(2 * n as u64)?;
        let dir = tempfile::tempdir_in("/var/tmp").map_err(|e| format!("no folder for programs: {e}"))?;
        let services = services(dir.path()).map_err(|e| format!("cannot write programs: {e}"))?;
        let mut many = Self { children: Vec::with_capacity(n), _dir: dir, _pids: pids };
        for (number, service) in (0..n).zip(services.iter().cycle()) {
            let child = Command::new(service.join("worker"))
                .args(["--instance", &number.to_string(), "--config"])
                .arg(service.join("worker.toml"))
                .env_clear()
                .current_dir(service)
                .stdin(Stdio::null())
                .spawn()
                .map_err(|e| format!("process {number} of {n}: {e}"))?;
            many.children.push(child);
        }
        Ok(many)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}

/// A folder for each service, with its program in it.
fn services(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    (0..N_SERVICES)
        .map(|n| {
            let folder = dir.join(format!("service-{n}"));
            std::fs::create_dir(&folder)?;
            tiny::write(&folder.join("worker"), Deed::Stay)?;
            Ok(folder)
        })
        .collect()
}

/// The kernel's highest pid, put back when dropped.
struct PidMax {
    before: u64,
}

const PID_MAX: &str = "/proc/sys/kernel/pid_max";

impl PidMax {
    fn at_least(n: u64) -> Result<Self, String> {
        let read = |path: &str| -> Result<u64, String> {
            let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
            text.trim().parse().map_err(|_| format!("{path} says {text:?}, expected a number"))
        };
        let threads = read("/proc/sys/kernel/threads-max")?;
        if threads < n {
            return Err(format!("kernel.threads-max is {threads}, expected at least {n}"));
        }
        let before = read(PID_MAX)?;
        if before < n {
            std::fs::write(PID_MAX, n.to_string()).map_err(|e| format!("cannot set {PID_MAX}: {e}"))?;
        }
        Ok(Self { before })
    }
}

impl Drop for PidMax {
    fn drop(&mut self) {
        let _ = std::fs::write(PID_MAX, self.before.to_string());
    }
}
