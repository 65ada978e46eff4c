//! One more sensor of a running product, which a scenario starts, stops and kills itself.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::group::Group;
use crate::stack::{Stack, program};
use crate::wait::until;

/// A sensor with a name and an identity of its own; it and its programs are gone when this is dropped.
pub struct LoneSensor<'a> {
    stack: &'a Stack,
    group: &'a Group,
    name: String,
    id: String,
    child: Option<Child>,
    n_starts: usize,
}

impl<'a> LoneSensor<'a> {
    /// Enrols one that sees this group; it does not run yet.
    ///
    /// # Errors
    /// When it is not enrolled.
    pub fn enroll(stack: &'a Stack, group: &'a Group, name: &str) -> anyhow::Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let id = stack.enroll(&name)?;
        Ok(Self { stack, group, name, id, child: None, n_starts: 0 })
    }

    /// Starts it with these settings, as variables.
    ///
    /// # Errors
    /// When there is no such program, or no log.
    pub fn start(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        self.n_starts += 1;
        let log = self.stack.home().join(format!("log/{}-{}", self.name, self.n_starts));
        let child = Command::new(program("vedette-sensor"))
            .args(["run", "--name", &self.name, "--home"])
            .arg(self.stack.home())
            .arg("--cgroup")
            .arg(self.group.path())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(log)?)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// What is logged since it was started last.
    pub fn log(&self) -> String {
        let log = self.stack.home().join(format!("log/{}-{}", self.name, self.n_starts));
        std::fs::read_to_string(log).unwrap_or_default()
    }

    /// Tells it to stop, and waits.
    ///
    /// # Panics
    /// When it does not end well within a minute.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it is there");
        let status =
            until("the sensor ends", Duration::from_secs(60), || child.try_wait().expect("it is ours"));
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().and_then(|()| child.wait()).expect("it can be killed");
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its host id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it keeps batches in memory.
    pub fn memory(&self) -> PathBuf {
        vedette_sensor::config::default_spool(&self.name)
    }

    /// Where it keeps batches on disk, if nothing else is set.
    pub fn disk(&self) -> PathBuf {
        self.stack.home().join(&self.name).join("spool")
    }

    /// What the ledger of its host says was lost, dropped or rejected; `None` if nothing can be said.
    pub fn lost(&self) -> Option<usize> {
        let shown = self.stack.json(&["hosts", "show", &self.id, "--output", "json"]).ok()?;
        let streams = shown.first()?.get("streams")?.as_array()?;
        let counts =
            streams.iter().flat_map(|stream| ["lost", "dropped", "rejected"].map(|name| &stream[name]));
        counts.map(|count| usize::try_from(count.as_u64()?).ok()).sum()
    }
}

impl Drop for LoneSensor<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        // The folder above is its own too.
        drop(self.memory().parent().map(std::fs::remove_dir_all));
        drop(Command::new(program("vedette-sensor")).args(["unload", "--name", &self.name]).output());
    }
}
