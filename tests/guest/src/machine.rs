//! The first process of a virtual machine: makes a host out of a kernel and an initramfs, and turns it off at the end.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::mount::{MsFlags, mount};
use nix::unistd::{chdir, chroot};

use crate::run::{self, Settings};
use crate::{sensor, sys};

/// The port that results are written to; the console has the kernel's and the sensor's words.
const RESULTS: &str = if cfg!(target_arch = "x86_64") { "/dev/ttyS1" } else { "/dev/ttyS0" };
const BUSYBOX: &str = "/bin/busybox";
/// Where the loader of programs is.
const LIBRARIES: &str = if cfg!(target_arch = "x86_64") { "/lib64" } else { "/lib" };

/// What a host has mounted.
const MOUNTS: &[(&str, &str)] = &[
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("tracefs", "/sys/kernel/tracing"),
    ("securityfs", "/sys/kernel/security"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
];

/// Moves from the initramfs, which cannot be pivoted away from, to a file system of its own, and starts there again.
pub(crate) fn leave_initramfs() -> anyhow::Result<()> {
    const ROOT: &str = "/root-of-host";
    // Who started the machine waits for this, on the console.
    eprintln!("guest: starts");
    fs::create_dir(ROOT)?;
    mount(Some("tmpfs"), ROOT, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    let mut copy = Command::new(BUSYBOX);
    copy.args(["cp", "-a", "/init", "/bin", LIBRARIES, "/etc", "/modules", "/sbin", ROOT]);
    ensure!(copy.status()?.success(), "the initramfs cannot be copied");
    chdir(ROOT)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    chdir("/")?;
    Err(Command::new("/init").arg("boot").exec()).context("cannot start again")
}

/// Makes a host, plays everything, and turns the machine off.
pub(crate) fn boot() -> anyhow::Result<()> {
    let played = make_host().and_then(|()| {
        let mut results = OpenOptions::new().write(true).open(RESULTS).context(RESULTS)?;
        let settings = Settings {
            sensor: sensor::Settings {
                program: "/sbin/vedette-sensor".into(),
                name: "sensor".into(),
                confined_to: None,
            },
            group: "/sys/fs/cgroup/scenarios".into(),
        };
        run::make_group(&settings.group)?;
        run::run(&settings, &mut results)
    });
    if let Err(error) = played {
        eprintln!("guest: {error:#}");
    }
    // Does not return.
    Command::new(BUSYBOX).args(["poweroff", "-f"]).status().context("cannot turn the machine off")?;
    Ok(())
}

fn make_host() -> anyhow::Result<()> {
    for (kind, at) in MOUNTS {
        fs::create_dir_all(at).with_context(|| format!("cannot make {at}"))?;
        mount(Some(*kind), *at, Some(*kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("cannot mount {kind} at {at}"))?;
    }
    fs::write("/proc/sys/kernel/hostname", "guest")?;
    sys::loopback_up().context("the loopback interface does not come up")?;
    for module in ["overlay", "veth"] {
        let file = Path::new("/modules").join(module).with_extension("ko");
        let loaded = Command::new(BUSYBOX).arg("insmod").arg(file).status()?;
        ensure!(loaded.success(), "module {module} cannot be loaded");
    }
    Ok(())
}
