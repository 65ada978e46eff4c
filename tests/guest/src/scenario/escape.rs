//! `escape`: a process that lives as one of a container does, in a control group and a mount namespace of its own, gets out.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::fcntl::{OFlag, openat};
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

use super::{Absent, Scenario};
use crate::expect::{Event, Expect};
use crate::stage::{Ended, Stage, run};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "host namespace",
        about: "A process of a container moves into the host's mount namespace.",
        play: host_namespace,
    },
    Scenario {
        name: "core_pattern",
        about: "A process of a container says which program the kernel is to run after a crash.",
        play: core_pattern,
    },
    Scenario {
        name: "modprobe",
        about: "A process of a container says which program the kernel is to run to load a module.",
        play: modprobe,
    },
    Scenario {
        name: "release_agent",
        about: "A process of a container mounts control groups and opens their release_agent to write.",
        play: release_agent,
    },
    Scenario {
        name: "outside of the root",
        about: "A process of a container opens a file of the host through a directory that was left open.",
        play: outside_root,
    },
    Scenario {
        name: "runtime's socket",
        about: "A process of a container connects to the socket of a container runtime.",
        play: runtime_socket,
    },
    Scenario {
        name: "none",
        about: "A process of a container mounts a tmpfs, writes a file, and enters a new namespace.",
        play: nothing,
    },
];

/// Where a runtime that is gone from most hosts had its socket.
const SOCKET: &str = "/run/dockershim.sock";
/// What is left open of the host when a container begins.
const LEFT_OPEN: i32 = 20;

fn host_namespace(stage: &Stage) -> anyhow::Result<Expect> {
    let child = contained(stage, "host-namespace", File::open("/proc/self/ns/mnt")?.into())?;
    Ok(Expect::nothing().event(Event::new("host_namespace").by(child.pid)))
}

fn core_pattern(stage: &Stage) -> anyhow::Result<Expect> {
    setting(stage, "core_pattern")
}

fn modprobe(stage: &Stage) -> anyhow::Result<Expect> {
    setting(stage, "modprobe")
}

fn setting(stage: &Stage, name: &str) -> anyhow::Result<Expect> {
    let path = format!("/proc/sys/kernel/{name}");
    let Ok(file) = OpenOptions::new().write(true).open(&path) else {
        return Err(Absent("this kernel has no such setting").into());
    };
    let value = fs::read_to_string(path)?;
    let child = contained(stage, &format!("set-{name}"), file.into())?;
    let set = Event::new(name)
        .by(child.pid)
        .with("kernel.object.name", format!("kernel.{name}"))
        .with("kernel.object.value", value.trim_end_matches('\n'));
    Ok(Expect::nothing().event(set))
}

fn release_agent(stage: &Stage) -> anyhow::Result<Expect> {
    let at = stage.folder().join("release-agent");
    fs::create_dir(&at)?;
    match contained(stage, &format!("release-agent {}", at.display()), File::open("/")?.into()) {
        Ok(child) => Ok(Expect::nothing().event(
            Event::new("release_agent").by(child.pid).with_path("file.path", &at.join("release_agent")),
        )),
        Err(error) if error.is::<Unsupported>() => {
            Err(Absent("this kernel mounts no control groups of version 1").into())
        }
        Err(error) => Err(error),
    }
}

fn outside_root(stage: &Stage) -> anyhow::Result<Expect> {
    let child = contained(stage, "outside-root", File::open("/etc")?.into())?;
    Ok(Expect::nothing().event(Event::new("outside_root").by(child.pid).with("file.path", "/etc/passwd")))
}

fn runtime_socket(stage: &Stage) -> anyhow::Result<Expect> {
    let socket = UnixListener::bind(SOCKET).with_context(|| format!("somebody has {SOCKET}"))?;
    // The sensor looks for such sockets every five seconds.
    sleep(Duration::from_secs(7));
    let child = contained(stage, "runtime-socket", socket.try_clone()?.into());
    fs::remove_file(SOCKET)?;
    Ok(Expect::nothing().event(Event::new("runtime_socket").by(child?.pid).with("file.path", SOCKET)))
}

fn nothing(stage: &Stage) -> anyhow::Result<Expect> {
    contained(stage, &format!("nothing {}", stage.folder().display()), File::open("/")?.into())?;
    Ok(Expect::nothing())
}

/// What a job says that its kernel has no means for.
const UNSUPPORTED: i32 = 3;

/// It has said so.
#[derive(Debug)]
struct Unsupported;

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not supported")
    }
}

impl std::error::Error for Unsupported {}

/// Does a job of [`run_job`] as a process of a container.
fn contained(stage: &Stage, job: &str, left_open: OwnedFd) -> anyhow::Result<Ended> {
    let group = Contained::below(stage.group())?;
    let procs = OpenOptions::new().write(true).open(group.0.join("cgroup.procs"))?;
    let mut command = stage.job(&["escape"]);
    command.args(job.split(' '));
    sys::before_exec(&mut command, move || {
        nix::unistd::write(&procs, b"0")?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)?;
        sys::duplicate(left_open.as_raw_fd(), LEFT_OPEN)
    });
    let child = run(&mut command)?;
    if child.code == UNSUPPORTED {
        return Err(Unsupported.into());
    }
    child.with_code(0)
}

/// Gets out, or does what is no way out.
pub(crate) fn run_job(job: &[&str]) -> anyhow::Result<()> {
    let left_open = sys::borrowed(LEFT_OPEN);
    match job {
        ["host-namespace"] => Ok(setns(left_open, CloneFlags::CLONE_NEWNS)?),
        ["set-core_pattern"] => write_back(left_open, "/proc/sys/kernel/core_pattern"),
        ["set-modprobe"] => write_back(left_open, "/proc/sys/kernel/modprobe"),
        ["release-agent", at] => open_release_agent(Path::new(at)),
        ["outside-root"] => {
            openat(left_open, "passwd", OFlag::O_RDONLY, Mode::empty()).map(drop).map_err(Into::into)
        }
        ["runtime-socket"] => UnixStream::connect(SOCKET).map(drop).map_err(Into::into),
        ["nothing", at] => live(Path::new(at)),
        _ => bail!("no job {job:?}"),
    }
}

fn write_back(file: BorrowedFd<'_>, path: &str) -> anyhow::Result<()> {
    nix::unistd::write(file, &fs::read(path)?)?;
    Ok(())
}

fn open_release_agent(at: &Path) -> anyhow::Result<()> {
    let options = Some("none,name=vedette-guest");
    if mount(Some("x"), at, Some("cgroup"), MsFlags::empty(), options).is_err() {
        std::process::exit(UNSUPPORTED);
    }
    let opened = OpenOptions::new().write(true).open(at.join("release_agent")).map(drop);
    umount(at)?;
    opened.context("release_agent")
}

fn live(at: &Path) -> anyhow::Result<()> {
    let at = at.join("own");
    fs::create_dir(&at)?;
    mount(Some("x"), &at, Some("tmpfs"), MsFlags::empty(), None::<&Path>)?;
    fs::write(at.join("file"), "x")?;
    unshare(CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNS)?;
    Command::new("/bin/busybox").arg("true").status()?;
    umount(&at)?;
    Ok(())
}

/// A control group named as a container runtime names them, removed when dropped.
struct Contained(PathBuf);

impl Contained {
    fn below(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("docker-{:064x}.scope", 0x00c0_ffee));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}
