//! Where the path of a program leads: whoever may mount can give a file any name.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot};

use super::{Scenario, exec, execute, life};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Absent;
use crate::stage::{Stage, wait};
use crate::{elf, sys};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "chroot",
        about: "A program is executed in a chroot; its path is told from the root of the mount namespace.",
        play: in_chroot,
    },
    Scenario {
        name: "bind mount",
        about: "In a mount namespace of its own, a process mounts a program over another one and executes that.",
        play: bind_mount,
    },
    Scenario {
        name: "overlay",
        about: "A program is executed from an overlay, as in containers; inode and device are the overlay's.",
        play: overlay,
    },
    Scenario {
        name: "detached mount",
        about: "A program is executed from a file system that is mounted nowhere.",
        play: detached,
    },
    Scenario {
        name: "user namespace",
        about: "A process is root in a user namespace of its own and executes a program; the host's ids are told.",
        play: user_namespace,
    },
];

fn in_chroot(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("root/bin/in-chroot", 1)?;
    let root = stage.folder().join("root");
    let child = wait(sys::fork(|| {
        chroot(&root)?;
        chdir("/")?;
        execute(Path::new("/bin/in-chroot"), &[])
    })?)?
    .with_code(1)?;
    let image = exec(child.pid, &program)
        .with("process.args", serde_json::json!(["/bin/in-chroot"]))
        .with_path("process.working_directory", &root);
    Ok(life(child, image))
}

fn bind_mount(stage: &Stage) -> anyhow::Result<Expect> {
    let honest = stage.program("honest", 2)?;
    let hidden = stage.program("hidden", 3)?;
    let hidden_file = fs::metadata(&hidden)?;
    let child = wait(sys::fork(|| {
        own_mounts()?;
        mount(Some(&hidden), &honest, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        execute(&honest, &[])
    })?)?
    .with_code(3)?;
    // The path is the one that was mounted over; the inode cannot be forged.
    let image = exec(child.pid, &honest).with("process.image.inode", hidden_file.ino());
    Ok(life(child, image))
}

fn overlay(stage: &Stage) -> anyhow::Result<Expect> {
    // An upper folder must lie in a file system that can be one: a tmpfs.
    let base = stage.folder().join("base");
    let program = base.join("merged/in-overlay");
    fs::create_dir(&base)?;
    let child = wait(sys::fork(|| {
        own_mounts()?;
        mount(Some("tmpfs"), &base, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        for folder in ["lower", "upper", "work", "merged"] {
            fs::create_dir(base.join(folder))?;
        }
        write_program(&base.join("lower/in-overlay"), 4)?;
        let of = |name| base.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", of("lower"), of("upper"), of("work"));
        match mount(
            Some("overlay"),
            &base.join("merged"),
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        ) {
            Err(Errno::ENODEV) => return Ok(NO_OVERLAY),
            mounted => mounted?,
        }
        execute(&program, &[])
    })?)?;
    if child.code == i32::from(NO_OVERLAY) {
        return Err(Absent("this kernel has no overlay file system").into());
    }
    let child = child.with_code(4)?;
    Ok(life(child, exec(child.pid, &program).with("process.image.writable_mount", true)))
}

/// The code of a child that could not mount an overlay.
const NO_OVERLAY: u8 = 99;

fn detached(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        let mount = sys::detached_tmpfs().context("fsmount")?;
        let program = format!("/proc/self/fd/{}/detached", mount.as_raw_fd());
        write_program(Path::new(&program), 5)?;
        execute(Path::new(&program), &[])
    })?)?
    .with_code(5)?;
    // There is no way from the root to it.
    Ok(life(child, exec(child.pid, Path::new("/detached")).with("process.image.memfd", false)))
}

fn user_namespace(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("in-user-namespace", 6)?;
    fs::set_permissions(stage.folder(), fs::Permissions::from_mode(0o755))?;
    let own = fs::metadata("/proc/self/ns/user")?.ino();
    let child = wait(sys::fork(|| {
        nix::unistd::setgid(1234.into())?;
        nix::unistd::setuid(1234.into())?;
        unshare(CloneFlags::CLONE_NEWUSER)?;
        execute(&program, &[])
    })?)?
    .with_code(6)?;
    let image = exec(child.pid, &program)
        .with("process.user.id", 1234)
        .with("process.real_user.id", 1234)
        .want("process.namespace.user", Want::Any);
    let of_host = Event::new("exec").by(child.pid).with("process.namespace.user", own).times(0);
    Ok(life(child, image).event(of_host))
}

/// A mount namespace of this process's own, from which nothing gets out.
pub(crate) fn own_mounts() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?)
}

fn write_program(path: &Path, code: u8) -> anyhow::Result<()> {
    fs::write(path, elf::exiting(code))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}
