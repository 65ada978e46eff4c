//! A sensor of this build that reports to a product of its own, started and stopped as a measurement wants it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::group::Group;
use crate::stack::{Stack, program};
use crate::wait::poll;

/// An enrolled sensor that runs or does not; what it leaves in the kernel is removed when it is stopped.
pub struct Watcher {
    name: String,
    host: String,
    home: PathBuf,
    group: PathBuf,
}

impl Watcher {
    /// Enrols a sensor with this name, to be confined to this group.
    ///
    /// # Errors
    /// When the collector refuses it.
    pub fn enroll(stack: &Stack, name: &str, group: &Group) -> anyhow::Result<Self> {
        let host = stack.enroll(name)?;
        Ok(Self {
            name: name.to_owned(),
            host,
            home: stack.home().to_owned(),
            group: group.path().to_owned(),
        })
    }

    /// The host's id at the collector.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Starts it with these further words and variables, confined, and waits until it reports.
    ///
    /// # Errors
    /// When it does not within 30 s, with what it has logged.
    pub fn start(&self, words: &[&str], variables: &[(&str, String)]) -> anyhow::Result<Child> {
        let group = self.group.to_string_lossy().into_owned();
        self.start_unconfined(&[&["--cgroup", &group], words].concat(), variables)
    }

    /// The same, but it sees all of the host.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_unconfined(&self, words: &[&str], variables: &[(&str, String)]) -> anyhow::Result<Child> {
        // Outside of the group, where its own doings are not seen.
        let outside = self.group.parent().unwrap_or(Path::new("/")).join("cgroup.procs");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(r#"echo $$ > "$0" && exec "$@""#).arg(outside).arg(program("vedette-sensor"));
        command.args(["run", "--name", &self.name, "--home"]).arg(&self.home).args(words);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let path = self.home.join(format!("{}.log", self.name));
        let log = std::fs::File::create(&path)?;
        let child =
            command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start the sensor")?;
        let reports = poll(Duration::from_secs(30), || {
            std::fs::read_to_string(&path).ok()?.contains("session with").then_some(())
        });
        if reports.is_none() {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            self.stop(child)?;
            anyhow::bail!("the sensor does not report after 30 s; its log: {log}");
        }
        Ok(child)
    }

    /// Stops it, and removes its programs.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn stop(&self, mut sensor: Child) -> anyhow::Result<()> {
        let _ = kill(Pid::from_raw(i32::try_from(sensor.id())?), Signal::SIGTERM);
        sensor.wait()?;
        self.unload()
    }

    /// Removes its programs, if there are any.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn unload(&self) -> anyhow::Result<()> {
        let status =
            Command::new(program("vedette-sensor")).args(["unload", "--name", &self.name]).status()?;
        ensure!(status.success(), "vedette-sensor unload ended with {status}");
        Ok(())
    }
}
