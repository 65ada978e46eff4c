//! A program of a site: started, killed, frozen, told to stop, and started again.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::wait::poll;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One program and, while it runs, its process; killed when dropped.
pub struct Program {
    /// The file that is run.
    pub path: PathBuf,
    /// Its arguments.
    pub words: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// A program that does not run yet, and the file for what it says.
    pub fn new(path: PathBuf, words: Vec<String>, log: PathBuf) -> Self {
        Self { path, words, variables: Vec::new(), log, child: None }
    }

    /// Starts it; if it runs, lets it go on.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT);
        if self.child.is_some() && !self.has_ended() {
            return Ok(());
        }
        self.child = None;
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.path);
        command.args(&self.words).envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.child =
            Some(command.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Tells it to stop, and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM);
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let ended = poll(Duration::from_secs(40), || child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
            anyhow::bail!("{} did not stop within 40 s: {}", self.path.display(), self.log());
        }
        Ok(())
    }

    /// Sends it this, if it runs.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }

    /// Its process, if it was started and not stopped.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
