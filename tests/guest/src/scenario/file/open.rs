//! The ways to open a file, and to have what is in it without an open of one's own.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use io_uring::{opcode, squeue, types};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};
use nix::libc;

use super::{done, made, text};
use crate::expect::{Event, Expect, Want};
use crate::scenario::{Absent, Scenario};
use crate::stage::{Stage, run, wait};
use crate::{elf, sys};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "openat2", about: "A file is opened by the newest of its calls.", play: newest },
    Scenario {
        name: "handle",
        about: "A file is opened by a handle (open_by_handle_at), without a name.",
        play: by_handle,
    },
    Scenario {
        name: "O_PATH",
        about: "A file is opened as a place only, and through /proc/self/fd to be read: the second is an open.",
        play: place_first,
    },
    Scenario { name: "io_uring open", about: "io_uring opens a file.", play: by_uring },
    Scenario {
        name: "io_uring open by a worker",
        about: "io_uring opens a file in a thread of its own (IOSQE_ASYNC).",
        play: by_worker,
    },
    Scenario {
        name: "32-bit open",
        about: "A file is created through int 0x80, as 32-bit programs do.",
        play: thirty_two,
    },
    Scenario {
        name: "written through memory",
        about: "A file is opened, mapped, and changed without a write: the open tells what for.",
        play: through_memory,
    },
    Scenario {
        name: "executed",
        about: "A program is executed, for which its file is opened.",
        play: executed,
    },
    Scenario {
        name: "mapped by ld.so",
        about: "The dynamic loader is executed with a program as its argument: it opens and maps that.",
        play: mapped,
    },
    Scenario { name: "refused", about: "A user may not read a file, and is turned away.", play: refused },
];

/// An open to read.
fn opened(path: &Path) -> Event {
    done("open", path).want("file.access", Want::Holds("read".into()))
}

fn newest(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let file =
        File::from(openat2(AT_FDCWD, &path, OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC))?);
    Ok(made(&path).event(opened(&path).with("file.inode", file.metadata()?.ino())))
}

fn by_handle(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let folder = File::open(stage.folder())?;
    let file = File::from(sys::open_by_handle(folder.as_fd(), c"watched")?);
    Ok(made(&path).event(opened(&path).with("file.inode", file.metadata()?.ino())))
}

fn place_first(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let place = nix::fcntl::open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?.read_to_end(&mut Vec::new())?;
    Ok(made(&path).event(opened(&path)))
}

fn by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    open_by_uring(stage, squeue::Flags::empty())
}

fn by_worker(stage: &Stage) -> anyhow::Result<Expect> {
    open_by_uring(stage, squeue::Flags::ASYNC)
}

fn open_by_uring(stage: &Stage, flags: squeue::Flags) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let name = text(&path)?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), name.as_ptr())
        .flags(libc::O_RDONLY | libc::O_CLOEXEC)
        .build();
    drop(sys::owned(sys::uring(&open.flags(flags))?));
    Ok(super::by_uring(stage, made(&path), opened(&path)))
}

#[cfg(target_arch = "x86_64")]
fn thirty_two(stage: &Stage) -> anyhow::Result<Expect> {
    const SYS_OPEN: u32 = 5;
    let path = stage.folder().join("watched");
    let name = text(&path)?;
    let child = wait(sys::fork(|| {
        let flags = sys::Given::Number((libc::O_CREAT | libc::O_WRONLY) as u32);
        sys::thirty_two(
            SYS_OPEN,
            [sys::Given::Bytes(name.to_bytes_with_nul()), flags, sys::Given::Number(0o600)],
        )?;
        Ok(0)
    })?)?;
    if child.code == 128 + libc::SIGSEGV {
        return Err(Absent("this kernel runs no 32-bit programs").into());
    }
    let child = child.with_code(0)?;
    let created = Event::new("create")
        .by(child.pid)
        .with_path("file.path", &path)
        .with("file.access", serde_json::json!(["write"]));
    Ok(Expect::nothing().event(created).event(done("unlink", &path)))
}

#[cfg(not(target_arch = "x86_64"))]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("32-bit programs are tried on x86-64 only").into())
}

fn through_memory(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let file = File::options().read(true).write(true).open(&path)?;
    sys::write_through_memory(file.as_fd(), b'y')?;
    anyhow::ensure!(fs::read(stage.folder().join("watched"))? == b"y", "the file is as it was");
    let both = done("open", &path).with("file.access", serde_json::json!(["read", "write"]));
    let to_read = done("open", &path).with("file.access", serde_json::json!(["read"]));
    Ok(made(&path).event(both).event(to_read))
}

/// What comes of a program that is written to be watched.
fn program(path: &Path) -> Expect {
    made(path).event(done("chmod", path))
}

fn executed(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.program("watched", 31)?;
    let child = run(&mut Command::new(&path))?.with_code(31)?;
    let opened = Event::new("open")
        .by(child.pid)
        .with_path("file.path", &path)
        .want("file.access", Want::Holds("exec".into()));
    Ok(program(&path).event_if(
        stage.follows_functions(),
        opened,
        "where system calls are looked at, what exec opens is not seen to be opened",
    ))
}

fn mapped(stage: &Stage) -> anyhow::Result<Expect> {
    let Ok(loader) = Path::new(elf::LOADER).canonicalize() else {
        return Err(Absent("there is no dynamic loader").into());
    };
    let path = stage.file("watched", &elf::loadable(32))?;
    let child = run(Command::new(&loader).arg(&path))?.with_code(32)?;
    let by_loader = |action: &str| {
        Event::new(action)
            .by(child.pid)
            .with_path("file.path", &path)
            .with_path("process.executable", &loader)
    };
    let map = by_loader("mmap_exec").want("file.access", Want::Holds("exec".into()));
    Ok(program(&path).event(by_loader("open")).event(map))
}

fn refused(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    fs::set_permissions(stage.folder(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let child = wait(sys::fork(|| {
        nix::unistd::setresgid(65534.into(), 65534.into(), 65534.into())?;
        nix::unistd::setresuid(65534.into(), 65534.into(), 65534.into())?;
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(0),
            other => anyhow::bail!("{other:?}"),
        }
    })?)?
    .with_code(0)?;
    let turned_away =
        Event::new("open").by(child.pid).with_path("file.path", &path).with("event.outcome", "failure");
    Ok(program(&path).event_if(
        !stage.follows_functions(),
        turned_away,
        "a file's permissions are looked at before its hook, which is not asked then",
    ))
}
