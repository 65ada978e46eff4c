//! What a virtual machine boots into: the sensor, the guest, a shell's tools, and a few modules.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::machine;
use crate::matrix::Programs;

const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";

/// Writes `folder`.cpio with these programs and the modules of a kernel.
pub(crate) fn build(folder: &Path, programs: &Programs, kernel: &Path) -> anyhow::Result<PathBuf> {
    for name in ["bin", "sbin", "lib", "lib64", "etc", "modules", "root", "dev", "proc", "sys", "tmp", "run"]
    {
        fs::create_dir_all(folder.join(name))?;
    }
    let copy = |from: &Path, to: &str| {
        fs::copy(from, folder.join(to)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&programs.guest, "init")?;
    copy(&programs.sensor, "sbin/vedette-sensor")?;
    let own = kernel.join("busybox");
    copy(if own.exists() { &own } else { Path::new(BUSYBOX) }, "bin/busybox")?;
    symlink("busybox", folder.join("bin/sh"))?;
    let (loader, at) = machine::architecture().loader;
    copy(Path::new(loader), at)?;
    for module in fs::read_dir(kernel.join("modules"))? {
        let module = module?;
        copy(&module.path(), &format!("modules/{}", module.file_name().to_string_lossy()))?;
    }
    fs::write(folder.join("etc/passwd"), PASSWD)?;
    let archive = folder.with_extension("cpio");
    let pack = "set -o pipefail; find . | busybox cpio -o -H newc -R 0:0 2>/dev/null";
    let mut packs = Command::new("/bin/bash");
    packs.arg("-c").arg(pack).current_dir(folder).stdout(fs::File::create(&archive)?);
    ensure!(packs.status()?.success(), "busybox cannot pack {}", folder.display());
    Ok(archive)
}
