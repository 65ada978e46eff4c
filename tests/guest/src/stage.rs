//! Where a scenario acts: a folder of its own, programs to run, and what this kernel has.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::elf;

/// What a scenario is told about where it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The control group of all scenarios, which each may make groups below.
    pub(crate) group: PathBuf,
    /// The places in the kernel that the sensor's programs are attached to, as `vedette-sensor check` spells them.
    pub(crate) hooks: Vec<String>,
    /// Where the sensor's programs and maps are pinned.
    pub(crate) pins: PathBuf,
}

/// One scenario's own.
pub(crate) struct Stage {
    folder: TempDir,
    place: Place,
    me: PathBuf,
}

/// A child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: u32,
    /// Its exit code, 128 and the signal where one ended it.
    pub(crate) code: i32,
}

impl Stage {
    pub(crate) fn new(place: Place) -> anyhow::Result<Self> {
        let base = std::env::temp_dir().canonicalize().context("no folder for temporary files")?;
        let folder = tempfile::Builder::new().prefix("vedette-guest-").tempdir_in(base)?;
        Ok(Self { folder, place, me: std::env::current_exe().context("no /proc")? })
    }

    /// The folder, which is removed with all that is in it: mount only in a child's own mount namespace.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The control group of all scenarios.
    pub(crate) fn group(&self) -> &Path {
        &self.place.group
    }

    /// Where the sensor's programs and maps are pinned.
    pub(crate) fn pins(&self) -> &Path {
        &self.place.pins
    }

    /// Whether a program of the sensor's is attached there, as in `tp_btf/sys_exit`.
    pub(crate) fn has_hook(&self, section: &str) -> bool {
        self.place.hooks.iter().any(|hook| hook == section)
    }

    /// Whether the sensor sees what rights a program's file gives, before it runs.
    pub(crate) fn sees_rights_of_files(&self) -> bool {
        self.has_hook("fexit/security_bprm_creds_from_file") || self.has_hook("tp_btf/sched_prepare_exec")
    }

    /// Whether the sensor follows the kernel's functions; else it sees system calls that return.
    pub(crate) fn follows_functions(&self) -> bool {
        self.has_hook("fexit/security_file_open")
    }

    /// Whether this kernel is older than that.
    pub(crate) fn is_before(&self, major: u32, minor: u32) -> anyhow::Result<bool> {
        let release = nix::sys::utsname::uname()?.release().to_string_lossy().into_owned();
        let mut numbers = release.split(['.', '-', '+']).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(own)), Some(Ok(own_minor))) => Ok((own, own_minor) < (major, minor)),
            _ => bail!("{release} is no version"),
        }
    }

    /// This very program.
    pub(crate) fn me(&self) -> &Path {
        &self.me
    }

    /// A command that does a job of [`crate::job`] in a program of its own.
    pub(crate) fn job(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.me);
        command.arg("job").args(words);
        command
    }

    /// A file with this content, executable by everybody.
    pub(crate) fn file(&self, name: impl AsRef<[u8]>, content: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.folder().join(OsStr::from_bytes(name.as_ref()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// A program of this name that ends with this code.
    pub(crate) fn program(&self, name: impl AsRef<[u8]>, code: u8) -> anyhow::Result<PathBuf> {
        self.file(name, &elf::exiting(code))
    }
}

impl Ended {
    /// The same, if it ended as it should.
    pub(crate) fn with_code(self, code: i32) -> anyhow::Result<Self> {
        ensure!(self.code == code, "process {} ended with {}, expected {code}", self.pid, self.code);
        Ok(self)
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Ended> {
    let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    wait(Pid::from_raw(child.id() as i32))
}

/// Waits for the end of a child.
pub(crate) fn wait(child: Pid) -> anyhow::Result<Ended> {
    let pid = child.as_raw() as u32;
    match waitpid(child, None)? {
        WaitStatus::Exited(_, code) => Ok(Ended { pid, code }),
        WaitStatus::Signaled(_, signal, _) => Ok(Ended { pid, code: 128 + signal as i32 }),
        other => bail!("process {pid} ended with {other:?}"),
    }
}
