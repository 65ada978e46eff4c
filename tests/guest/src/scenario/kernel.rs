//! `kernel`: what processes do to the tree of mounts, to where they live, and to the kernel.

use std::fs::{self, OpenOptions};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::chroot;

use super::{Absent, Scenario};
use crate::expect::{Event, Expect, Want};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "unshare", about: "A process leaves its host name's namespace.", play: leave },
    Scenario {
        name: "mount",
        about: "In a mount namespace of its own, a process mounts a tmpfs and takes it off.",
        play: mounts,
    },
    Scenario { name: "chroot", about: "A process takes a directory for its root.", play: root },
    Scenario { name: "bpf_load", about: "A process loads a BPF program.", play: program },
    Scenario { name: "sysctl", about: "A process writes a setting of the kernel.", play: setting },
    Scenario {
        name: "ftrace",
        about: "A process opens a file of ftrace to write, where it has mounted it itself.",
        play: tracing,
    },
    Scenario { name: "kexec", about: "A process tells the kernel that no other one is to be run.", play: kexec },
];

fn leave(stage: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let sees = stage.has_hook("fentry/switch_task_namespaces");
    let changed = if sees { Want::Holds("uts".into()) } else { Want::Absent };
    Ok(Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid).want("namespace.changed", changed)))
}

fn mounts(stage: &Stage) -> anyhow::Result<Expect> {
    let at = stage.folder().join("at");
    fs::create_dir(&at)?;
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&Path>, "/", None::<&Path>, private, None::<&Path>)?;
        mount(Some("of-nothing"), &at, Some("tmpfs"), MsFlags::empty(), None::<&Path>)?;
        umount2(&at, MntFlags::MNT_DETACH)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let done = |action: &str, path: &Path| Event::new(action).by(child.pid).with_path("file.path", path);
    Ok(Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid))
        .event(done("mount", Path::new("/")))
        .event(done("mount", &at).with("file.target_path", "of-nothing").with("kernel.object.name", "tmpfs"))
        .event(done("unmount", &at)))
}

fn program(_: &Stage) -> anyhow::Result<Expect> {
    sys::load_filter("guest_filter")?;
    let loaded = Event::new("bpf_load")
        .by(std::process::id())
        .with("kernel.object.name", "guest_filter")
        .with("kernel.object.type", "socket_filter")
        .want("kernel.object.attach", Want::Absent);
    Ok(Expect::nothing().event(loaded))
}

fn setting(_: &Stage) -> anyhow::Result<Expect> {
    const PATH: &str = "/proc/sys/kernel/core_pattern";
    let value = fs::read_to_string(PATH)?;
    fs::write(PATH, &value)?;
    let written = Event::new("sysctl")
        .by(std::process::id())
        .with("kernel.object.name", "kernel.core_pattern")
        .with("kernel.object.value", value.trim_end_matches('\n'))
        .with("file.path", PATH);
    Ok(Expect::nothing().event(written))
}

fn tracing(stage: &Stage) -> anyhow::Result<Expect> {
    let at = stage.folder().join("somewhere");
    fs::create_dir(&at)?;
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&Path>, "/", None::<&Path>, private, None::<&Path>)?;
        match mount(Some("x"), &at, Some("tracefs"), MsFlags::empty(), None::<&Path>) {
            Err(Errno::ENODEV) => return Ok(1),
            other => other?,
        }
        OpenOptions::new().append(true).open(at.join("set_event"))?;
        OpenOptions::new().append(true).open(at.join("trace_marker"))?;
        Ok(0)
    })?)?;
    if child.code == 1 {
        return Err(Absent("this kernel has no ftrace").into());
    }
    let child = child.with_code(0)?;
    let done = |action: &str, path: &Path| Event::new(action).by(child.pid).with_path("file.path", path);
    Ok(Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid))
        .event(done("mount", Path::new("/")))
        .event(done("mount", &at))
        .event(done("sysctl", &at.join("set_event")).with("file.filesystem", "tracefs")))
}

fn kexec(_: &Stage) -> anyhow::Result<Expect> {
    match sys::unload_kexec() {
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOSYS) => {
            return Err(Absent("this kernel runs no other one").into());
        }
        other => other?,
    }
    Ok(Expect::nothing().event(Event::new("kexec").by(std::process::id()).with("event.outcome", "success")))
}

fn root(stage: &Stage) -> anyhow::Result<Expect> {
    let folder = stage.folder().to_owned();
    let child = wait(sys::fork(|| {
        chroot(&folder)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    Ok(Expect::nothing().event(Event::new("chroot").by(child.pid).with_path("file.path", stage.folder())))
}
