//! What all measurements need: a product to report to, a sensor, a group for what is watched, and a folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::group::Group;
use tests::skip::skip;
use tests::stack::Stack;
use tests::watcher::Watcher;

use super::kernel_time::empty_ns;

/// The sensor's name on this host.
const NAME: &str = "bench";
/// All that a collection can ask for.
const EVERYTHING: &str = "event.category:*\n";

pub(crate) struct Site {
    pub(crate) watcher: Watcher,
    pub(crate) group: Group,
    pub(crate) stack: Stack,
    /// What the kernel's statistics show of a program that does nothing, in ns: what measuring adds to each run.
    pub(crate) empty_ns: f64,
    scratch: tempfile::TempDir,
}

impl Site {
    /// A fleet has its collector elsewhere: here it and its database give way to whatever else wants the cores.
    pub(crate) fn new() -> anyhow::Result<Self> {
        renice(19)?;
        let stack = Stack::up(&["--no-sensor"]);
        renice(0)?;
        let stack = stack?;
        let group = Group::new("cost")?;
        let watcher = Watcher::enroll(&stack, NAME, &group)?;
        let scratch = tempfile::tempdir_in("/var/tmp")?;
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(scratch.path().join("everything"), EVERYTHING)?;
        let empty_ns = empty_ns().unwrap_or_else(|error| {
            skip("bench cost empty program", &format!("{error:#}; nothing is taken off the programs' times"));
            0.0
        });
        println!(
            "by the kernel's statistics a program that does nothing takes {empty_ns:.0} ns a run, taken off as `net`"
        );
        Ok(Self { watcher, group, stack, empty_ns, scratch })
    }

    /// A folder for what is made while measuring, that everybody may read.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The file with a collection that ships everything.
    pub(crate) fn everything(&self) -> PathBuf {
        self.scratch().join("everything")
    }

    /// Leaves nothing in the kernel.
    pub(crate) fn leave(&self) -> anyhow::Result<()> {
        self.watcher.unload()
    }
}

/// Gives this process, and those that it starts from now on, another priority.
fn renice(priority: i32) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let mut command = Command::new("renice");
    let output = command.args(["-n", &priority.to_string(), "-p", &pid]).output()?;
    anyhow::ensure!(output.status.success(), "renice: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
