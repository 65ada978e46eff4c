//! The image that containers run: busybox and nothing else.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What it is called.
pub(crate) const IMAGE: &str = "localhost/vedette-test:one";

const BUSYBOX: &str = "/bin/busybox";
const COMMANDS: [&str; 6] = ["sh", "sleep", "echo", "cat", "true", "mkdir"];

/// The archive of its only layer, in this folder.
pub(crate) fn layer(folder: &Path) -> PathBuf {
    let bin = folder.join("rootfs/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
    for command in COMMANDS {
        symlink("busybox", bin.join(command)).unwrap();
    }
    let archive = folder.join("rootfs.tar");
    let mut tar = Command::new("tar");
    assert!(
        tar.arg("-C")
            .arg(folder.join("rootfs"))
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    archive
}
