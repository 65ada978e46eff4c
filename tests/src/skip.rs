//! A check that cannot run on a machine says so, by name.

use std::io::Write as _;

/// Prints `SKIPPED name: reason` past the test harness's capture and on a line of its own, where the suites' summary counts it.
pub fn skip(name: &str, reason: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "\nSKIPPED {name}: {reason}").expect("standard error can be written");
}

/// Whether this process may load programs into the kernel; if not, says that `name` is skipped.
pub fn needs_root(name: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip(name, "loading programs into the kernel takes root");
    }
    root
}
