//! `kernel`: what processes do to the tree of mounts, to where they live, and to the kernel.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use io_uring::IoUring;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{chroot, pause, pipe, pivot_root, setresgid, setresuid, write};

use super::process::path::own_mounts;
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
    Scenario {
        name: "kexec",
        about: "A process tells the kernel that no other one is to be run.",
        play: kexec,
    },
    Scenario {
        name: "pivot_root",
        about: "In a mount namespace of its own, a process makes another file system the root of all.",
        play: pivot,
    },
    Scenario {
        name: "bind mount",
        about: "In a mount namespace of its own, a process mounts a directory at another place.",
        play: bind,
    },
    Scenario {
        name: "moved mount",
        about: "The same by open_tree(2) and move_mount(2), without mount(2).",
        play: moved,
    },
    Scenario {
        name: "new mount",
        about: "A tmpfs is made by fsopen(2) and fsmount(2), and mounted by move_mount(2).",
        play: new_mount,
    },
    Scenario {
        name: "setns",
        about: "A process enters the host name's namespace of another one.",
        play: enter,
    },
    Scenario {
        name: "user namespace",
        about: "A process without rights makes itself a user namespace, in which it has all of them.",
        play: user,
    },
    Scenario {
        name: "born elsewhere",
        about: "A child is born into a network namespace of its own (CLONE_NEWNET).",
        play: born,
    },
    Scenario { name: "io_uring", about: "A process makes an io_uring.", play: ring },
    Scenario { name: "module", about: "A module is loaded into the kernel.", play: module },
];

fn leave(stage: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    Ok(Expect::nothing().event(changed(stage, child.pid, "uts")))
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

/// A child in a mount namespace of its own does this; what comes of it beside that.
fn in_own_mounts(task: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(u32, Expect)> {
    let child = wait(sys::fork(|| {
        own_mounts()?;
        task()?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let events = Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid))
        .event(Event::new("mount").by(child.pid).with("file.path", "/"));
    Ok((child.pid, events))
}

fn two_folders(stage: &Stage) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (from, at) = (stage.folder().join("from"), stage.folder().join("at"));
    fs::create_dir(&from)?;
    fs::create_dir(&at)?;
    Ok((from, at))
}

fn pivot(stage: &Stage) -> anyhow::Result<Expect> {
    let (at, old) = (stage.folder().join("at"), stage.folder().join("at/old"));
    fs::create_dir(&at)?;
    let (pid, events) = in_own_mounts(|| {
        mount(Some("of-nothing"), &at, Some("tmpfs"), MsFlags::empty(), None::<&Path>)?;
        fs::create_dir(&old)?;
        Ok(pivot_root(&at, &old)?)
    })?;
    // A security hook is asked before: the paths are those of the tree as it was.
    Ok(events
        .event(Event::new("mount").by(pid).with_path("file.path", &at))
        .event(Event::new("pivot_root").by(pid)))
}

fn bind(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, at) = two_folders(stage)?;
    let (pid, events) =
        in_own_mounts(|| Ok(mount(Some(&from), &at, None::<&Path>, MsFlags::MS_BIND, None::<&Path>)?))?;
    let mounted =
        Event::new("mount").by(pid).with_path("file.path", &at).with_path("file.target_path", &from);
    Ok(events.event(mounted))
}

fn moved(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, at) = two_folders(stage)?;
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (from, to) = (text(&from)?, text(&at)?);
    let (pid, events) = in_own_mounts(|| Ok(sys::move_mount(sys::copy_of_mount(&from)?.as_fd(), &to)?))?;
    Ok(events.event(Event::new("mount").by(pid).with_path("file.path", &at)))
}

fn new_mount(stage: &Stage) -> anyhow::Result<Expect> {
    let (_, at) = two_folders(stage)?;
    let to = CString::new(at.as_os_str().as_bytes())?;
    let (pid, events) = in_own_mounts(|| Ok(sys::move_mount(sys::detached_tmpfs()?.as_fd(), &to)?))?;
    Ok(events.event(Event::new("mount").by(pid).with_path("file.path", &at)))
}

fn enter(stage: &Stage) -> anyhow::Result<Expect> {
    let (ready, is_ready) = pipe()?;
    let host = sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        write(&is_ready, b"x")?;
        pause();
        Ok(0)
    })?;
    File::from(ready).read_exact(&mut [0])?;
    let space = File::open(format!("/proc/{host}/ns/uts"))?;
    let inode = space.metadata()?.ino();
    let child = wait(sys::fork(|| {
        setns(&space, CloneFlags::CLONE_NEWUTS)?;
        ensure!(fs::metadata("/proc/self/ns/uts")?.ino() == inode, "the namespace is another one");
        Ok(0)
    })?)?
    .with_code(0)?;
    kill(host, Signal::SIGKILL)?;
    let host = wait(host)?.with_code(137)?;
    let changed = |pid| changed(stage, pid, "uts");
    Ok(Expect::nothing().event(changed(host.pid)).event(changed(child.pid)))
}

/// A change of the namespace of this kind, which is told where the move itself is seen.
fn changed(stage: &Stage, pid: u32, kind: &str) -> Event {
    let sees = stage.has_hook("fentry/switch_task_namespaces");
    let changed = if sees { Want::Holds(kind.into()) } else { Want::Absent };
    Event::new("namespace_change").by(pid).want("namespace.changed", changed)
}

fn user(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        setresgid(65534.into(), 65534.into(), 65534.into())?;
        setresuid(65534.into(), 65534.into(), 65534.into())?;
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWUTS)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    Ok(Expect::nothing().event(Event::new("namespace_change").by(child.pid)))
}

fn born(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::clone3(CloneFlags::CLONE_NEWNET.bits() as u64, None, || Ok(0))?)?.with_code(0)?;
    let changed =
        Event::new("namespace_change").by(child.pid).want("namespace.changed", Want::Holds("net".into()));
    Ok(Expect::nothing().event(changed))
}

fn ring(_: &Stage) -> anyhow::Result<Expect> {
    drop(IoUring::new(4)?);
    Ok(Expect::nothing().event(Event::new("io_uring_setup").by(std::process::id())))
}

fn module(_: &Stage) -> anyhow::Result<Expect> {
    let Ok(file) = File::open("/modules/dummy.ko") else {
        return Err(Absent("there is no module to load").into());
    };
    sys::load_module(file.as_fd())?;
    let loaded = Event::new("module_load").by(std::process::id()).with("kernel.object.name", "dummy");
    Ok(Expect::nothing().event(loaded))
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
