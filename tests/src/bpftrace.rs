//! bpftrace at work: what people trace with who have no sensor.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::poll;

/// fork, exec with arguments, and exit.
pub const PROCESSES: &str = r#"
    tracepoint:sched:sched_process_fork { printf("fork %d %d\n", args->parent_pid, args->child_pid); }
    tracepoint:syscalls:sys_enter_execve { printf("exec %d %d %s ", pid, uid, str(args->filename)); join(args->argv); }
    tracepoint:sched:sched_process_exec { printf("image %d %s\n", pid, str(args->filename)); }
    tracepoint:sched:sched_process_exit { printf("exit %d\n", pid); }"#;

/// bpftrace reads what there is to trace from a file system that not every machine has mounted: it gets one of its own.
const BEGIN: &str = "[ -d /sys/kernel/debug/tracing/events ] || mount -t debugfs debugfs /sys/kernel/debug; \
                     exec bpftrace -B line -e \"$0\"";

/// A script that runs; stopped when dropped. What it prints goes into a file that nobody else sees.
pub struct Trace {
    child: Child,
    out: tempfile::NamedTempFile,
}

impl Trace {
    /// Starts a script, and waits until its probes are attached.
    ///
    /// # Errors
    /// When bpftrace is not installed or refuses the script.
    pub fn start(script: &str) -> anyhow::Result<Self> {
        let script = format!("{script}\nBEGIN {{ printf(\"ready\\n\"); }}");
        let out = tempfile::NamedTempFile::new()?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "/bin/sh", "-c", BEGIN, &script]);
        command.stdin(Stdio::null()).stdout(out.reopen()?).stderr(Stdio::from(out.reopen()?));
        let child = command.spawn().context("cannot run unshare")?;
        let mut trace = Self { child, out };
        let told = poll(Duration::from_secs(30), || {
            let told = std::fs::read_to_string(trace.out.path()).unwrap_or_default();
            (told.contains("ready\n") || !matches!(trace.child.try_wait(), Ok(None))).then_some(told)
        });
        match told {
            Some(told) if told.contains("ready\n") => Ok(trace),
            told => bail!("bpftrace does not trace: {}", told.unwrap_or_default()),
        }
    }

    /// How many lines it printed, and how many it says to have lost.
    pub fn told(&self) -> (u64, u64) {
        let told = std::fs::read(self.out.path()).unwrap_or_default();
        let (mut n, mut lost) = (0, 0);
        for line in told.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match lost_in(line) {
                Some(more) => lost += more,
                None => n += 1,
            }
        }
        (n, lost)
    }

    /// The process that prints.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// `Lost 17 events`.
fn lost_in(line: &[u8]) -> Option<u64> {
    std::str::from_utf8(line).ok()?.strip_prefix("Lost ")?.strip_suffix(" events")?.parse().ok()
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_in_lines_of_its_own() {
        assert_eq!(lost_in(b"Lost 17 events"), Some(17));
        assert_eq!(lost_in(b"exec 17 0 /bin/true"), None);
    }
}
