//! Where a test's containers live: a control group, and a folder; and what programs are there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tests::group::Group;
use tests::skip::{needs_root, skip};
use tests::wait;

use crate::seclusion::Seclusion;

const PATIENCE: Duration = Duration::from_secs(30);

/// A control group and a folder, both gone when it is dropped. What a runtime leaves in them it must have let go of by then.
pub(crate) struct Place {
    _seclusion: Seclusion,
    pub(crate) group: Group,
    pub(crate) folder: TempDir,
}

impl Place {
    /// A new one; `None`, with a word about it, where this machine lacks one of these programs.
    pub(crate) fn new(test: &str, programs: &[&str]) -> Option<Self> {
        if !needs_root(test) {
            return None;
        }
        if let Some(missing) = programs.iter().find(|program| find(program).is_none()) {
            skip(test, &format!("{missing} is not installed"));
            return None;
        }
        // Runtimes mount overlays in it, which a tmpfs may not be the upper layer of.
        let folder = tempfile::Builder::new().prefix("vedette-containers-").tempdir_in("/var/tmp").unwrap();
        let seclusion = Seclusion::enter(folder.path());
        Some(Self { _seclusion: seclusion, group: Group::new("containers").unwrap(), folder })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The control group's path within its hierarchy, as runtimes want it.
    pub(crate) fn cgroup_parent(&self) -> String {
        format!("/{}", self.group.path().file_name().unwrap().to_str().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Runtimes make groups of that name in every hierarchy, and groups for their own processes in them.
        let name = self.group.path().file_name().unwrap();
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
        for group in hierarchies.map(|hierarchy| hierarchy.join(name)) {
            wait::poll(PATIENCE, || remove_below(&group).then_some(()));
            if group != self.group.path() {
                drop(std::fs::remove_dir(&group));
            }
        }
        wait::poll(PATIENCE, || remove_below(self.group.path()).then_some(()));
    }
}

/// Removes the groups in this one; whether none is left.
fn remove_below(group: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(group) else { return true };
    let folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.iter().all(|folder| remove_below(folder) && std::fs::remove_dir(folder).is_ok())
}

/// The program of this name in `$PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A program that serves until it is told to end.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and waits for its socket.
    pub(crate) fn start(command: &mut Command, socket: &Path) -> Self {
        let mut server =
            Self(command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}")));
        let answers = wait::poll(PATIENCE, || {
            assert!(server.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            std::os::unix::net::UnixStream::connect(socket).ok()
        });
        assert!(answers.is_some(), "{command:?} does not listen at {}", socket.display());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        if wait::poll(PATIENCE, || self.0.try_wait().ok().flatten()).is_none() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

/// Runs a command to its end and gives what it printed, without the line's end.
pub(crate) fn said(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}
