//! `process`: births, images and ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Absent, Scenario};
use crate::expect::{Event, Expect};
use crate::stage::Ended;

pub(super) mod birth;
pub(crate) mod end;
pub(super) mod enter;
pub(crate) mod exec;
pub(crate) mod path;
pub(super) mod power;
pub(super) mod signal;
pub(crate) mod words;

/// The birth of a process.
fn fork(pid: u32) -> Event {
    Event::new("fork").by(pid)
}

/// A process becoming this program.
fn exec(pid: u32, executable: &Path) -> Event {
    Event::new("exec").by(pid).with_path("process.executable", executable)
}

/// The end of a process with this code, as a shell has it.
fn exit(ended: Ended) -> Event {
    Event::new("exit").by(ended.pid).with("process.exit_code", ended.code)
}

/// A process that is born, has one image, like `image`, and ends.
fn life(ended: Ended, image: Event) -> Expect {
    Expect::nothing().event(fork(ended.pid)).event(image).event(exit(ended))
}

/// Becomes this program; returns only why not.
pub(super) fn execute(path: &Path, args: &[&OsStr]) -> anyhow::Result<u8> {
    Err(Command::new(path).args(args).exec().into())
}

/// A control group of version 2 below that of the scenarios, removed when dropped.
struct Group(PathBuf);

impl Group {
    /// Absent where the groups are those of version 1, as on hosts that have both.
    fn below(parent: &Path, name: &str) -> anyhow::Result<Self> {
        if !parent.join("cgroup.controllers").exists() {
            return Err(Absent("processes are told by control groups of version 1").into());
        }
        let path = parent.join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}
