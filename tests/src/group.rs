//! A control group of a scenario's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// A control group, removed when dropped. Only root can make one.
pub struct Group {
    path: PathBuf,
}

static N_GROUPS: AtomicU32 = AtomicU32::new(0);

impl Group {
    /// A new group in the hierarchy that sensors read: the pids controller's in hybrid layouts, else version 2.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let base = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup"]
            .into_iter()
            .map(Path::new)
            .find(|dir| dir.join("cgroup.procs").exists())
            .context("no control groups are mounted under /sys/fs/cgroup")?;
        let n = N_GROUPS.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("vedette-test-{name}-{}-{n}", std::process::id()));
        std::fs::create_dir(&path)
            .with_context(|| format!("cannot make the control group {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it lies in the file system.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that runs in this group: a shell enters it and becomes the program.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(r#"echo $$ > "$0/cgroup.procs" && exec "$@""#).arg(&self.path).arg(program);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for pid in std::fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Ok(pid) = pid.parse() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
        let path = self.path.clone();
        // A killed process leaves its group a moment later.
        crate::wait::until("the test's control group is removed", std::time::Duration::from_secs(5), || {
            std::fs::remove_dir(&path).ok().or_else(|| (!path.exists()).then_some(()))
        });
    }
}
