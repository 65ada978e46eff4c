//! The same scenarios on this machine's own kernel, before a sensor that sees only them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tests::group::Group;

use crate::matrix::Programs;

/// Plays everything; gives what the guest wrote.
pub(crate) fn run(programs: &Programs, folder: &Path) -> anyhow::Result<String> {
    let group = Group::new("kernels")?;
    let name = format!("kernels-{}", std::process::id());
    let report = folder.join("results");
    let ran = Command::new(&programs.guest)
        .arg("run")
        .arg(&programs.sensor)
        .arg(&name)
        .arg(group.path())
        .arg(&report)
        .output()
        .with_context(|| format!("cannot run {}", programs.guest.display()))?;
    // Of a sensor that ended badly, programs stay in the kernel.
    let unloaded = Command::new(&programs.sensor).args(["unload", "--name", &name]).output()?;
    ensure!(unloaded.status.success(), "unload: {}", String::from_utf8_lossy(&unloaded.stderr));
    let told = std::fs::read_to_string(&report).unwrap_or_default();
    ensure!(
        !told.is_empty(),
        "the guest ended with {}: {}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(told)
}
