//! The ways to change what a file is called, where it is, and what it is.

use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::SystemTime;

use anyhow::ensure;
use io_uring::{opcode, squeue, types};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, renameat2};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{linkat, mkfifo, truncate};

use super::{done, made, text};
use crate::expect::{Event, Expect};
use crate::scenario::{Absent, Scenario};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "exchange",
        about: "Two files exchange their names (RENAME_EXCHANGE): one event names both.",
        play: exchange,
    },
    Scenario {
        name: "replaced",
        about: "A file takes the name of another one, which is gone.",
        play: replace,
    },
    Scenario {
        name: "O_TMPFILE",
        about: "A file without a name is written, and then gets one.",
        play: nameless,
    },
    Scenario { name: "FIFO", about: "A named pipe is made.", play: fifo },
    Scenario { name: "Unix socket", about: "A socket is bound to a path, which makes a file.", play: socket },
    Scenario { name: "truncate", about: "A file is cut by its path.", play: cut },
    Scenario {
        name: "setxattr",
        about: "A file gets an extended attribute; the process works in the same file system.",
        play: attribute,
    },
    Scenario {
        name: "chmod through /proc/self/fd",
        about: "A file's permissions are changed by the path of a descriptor of it.",
        play: by_link_of_descriptor,
    },
    Scenario {
        name: "chown that fails",
        about: "A process may not give a file to a user that its namespace does not have, and then touches it.",
        play: refused_owner,
    },
    Scenario { name: "32-bit unlink", about: "A file is removed through int 0x80.", play: thirty_two },
    Scenario {
        name: "io_uring unlink",
        about: "io_uring removes a file (Linux 5.11).",
        play: unlink_by_uring,
    },
    Scenario {
        name: "io_uring rename",
        about: "io_uring renames a file (Linux 5.11).",
        play: rename_by_uring,
    },
    Scenario {
        name: "io_uring mkdir",
        about: "io_uring makes a directory (Linux 5.15).",
        play: mkdir_by_uring,
    },
    Scenario { name: "io_uring link", about: "io_uring links a file (Linux 5.15).", play: link_by_uring },
    Scenario {
        name: "io_uring setxattr",
        about: "io_uring sets an extended attribute (Linux 5.19).",
        play: attribute_by_uring,
    },
    Scenario {
        name: "io_uring ftruncate",
        about: "io_uring cuts a file by a descriptor (Linux 6.9).",
        play: cut_by_uring,
    },
];

fn exchange(stage: &Stage) -> anyhow::Result<Expect> {
    let (one, other) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&one, "1")?;
    fs::write(&other, "2")?;
    renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE)?;
    ensure!(fs::metadata(&one)?.len() == 1, "the file is gone");
    Ok(made(&one).and(made(&other)).event(done("rename", &one).with_path("file.target_path", &other)))
}

fn replace(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&from, "1")?;
    fs::write(&to, "2")?;
    fs::rename(&from, &to)?;
    Ok(made(&to).event(done("create", &from)).event(done("rename", &from).with_path("file.target_path", &to)))
}

fn nameless(stage: &Stage) -> anyhow::Result<Expect> {
    let folder = stage.folder().join("watched-folder");
    let path = folder.join("named");
    fs::create_dir(&folder)?;
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = nix::fcntl::open(&folder, flags, Mode::S_IRUSR)?;
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, open.as_str(), AT_FDCWD, &path, AtFlags::AT_SYMLINK_FOLLOW)?;
    drop(file);
    fs::remove_file(&path)?;
    fs::remove_dir(&folder)?;
    let linked = Event::new("link").by(std::process::id()).with_path("file.target_path", &path);
    let opened = Event::new("open").by(std::process::id()).with("file.access", serde_json::json!(["write"]));
    Ok(made(&folder).event(opened).event(done("unlink", &path)).event_if(
        stage.follows_functions(),
        linked,
        ARGUMENT,
    ))
}

fn fifo(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    mkfifo(&path, Mode::S_IRUSR)?;
    Ok(made(&path))
}

fn socket(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    UnixListener::bind(&path)?;
    Ok(Expect::nothing().event(done("unlink", &path)).event_if(
        stage.follows_functions(),
        done("create", &path),
        "where system calls are looked at, bind is not one that makes files",
    ))
}

fn cut(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "some text")?;
    truncate(&path, 3)?;
    Ok(made(&path).event(done("truncate", &path)))
}

fn attribute(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    std::env::set_current_dir(stage.folder())?;
    sys::set_attribute(&text(&path)?, ATTRIBUTE, b"value")?;
    std::env::set_current_dir("/")?;
    Ok(made(&path).event(attribute_set(&path)))
}

/// Every file system that is tried has such attributes.
const ATTRIBUTE: &std::ffi::CStr = c"trusted.vedette";

fn attribute_set(path: &Path) -> Event {
    done("setxattr", path).with("file.xattr", "trusted.vedette")
}

fn by_link_of_descriptor(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    let file = File::create(&path)?;
    fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), Permissions::from_mode(0o600))?;
    Ok(made(&path).event_if(stage.follows_functions(), done("chmod", &path), ARGUMENT))
}

const ARGUMENT: &str = "where system calls are looked at, the path is the caller's argument, and the collection asks for another one";

fn refused_owner(stage: &Stage) -> anyhow::Result<Expect> {
    const NOBODY_THERE: u32 = 12345;
    let path = stage.folder().join("watched");
    let file = File::create(&path)?;
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        ensure!(chown(&path, Some(NOBODY_THERE), None).is_err(), "the file has an owner that is none");
        file.set_modified(SystemTime::now())?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let tried =
        Event::new("chown").by(child.pid).with_path("file.path", &path).with("event.outcome", "failure");
    Ok(made(&path).event_if(
        !stage.follows_functions(),
        tried,
        "the kernel finds that there is no such user before it looks at the file",
    ))
}

#[cfg(target_arch = "x86_64")]
fn thirty_two(stage: &Stage) -> anyhow::Result<Expect> {
    const SYS_UNLINK: u32 = 10;
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let name = text(&path)?;
    let child = wait(sys::fork(|| {
        let name = sys::Given::Bytes(name.to_bytes_with_nul());
        sys::thirty_two(SYS_UNLINK, [name, sys::Given::Number(0), sys::Given::Number(0)])?;
        Ok(0)
    })?)?;
    if child.code == 128 + libc::SIGSEGV {
        return Err(Absent("this kernel runs no 32-bit programs").into());
    }
    let removed = Event::new("unlink").by(child.with_code(0)?.pid).with_path("file.path", &path);
    Ok(Expect::nothing().event(done("create", &path)).event(removed))
}

#[cfg(not(target_arch = "x86_64"))]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("32-bit programs are tried on x86-64 only").into())
}

/// Has io_uring do it, if this kernel's can.
fn uring(stage: &Stage, since: (u32, u32), entry: &squeue::Entry) -> anyhow::Result<()> {
    if stage.is_before(since.0, since.1)? {
        return Err(Absent("io_uring does not do that yet").into());
    }
    sys::uring(entry)?;
    Ok(())
}

const HERE: types::Fd = types::Fd(libc::AT_FDCWD);

fn unlink_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    uring(stage, (5, 11), &opcode::UnlinkAt::new(HERE, text(&path)?.as_ptr()).build())?;
    Ok(super::by_uring(stage, Expect::nothing().event(done("create", &path)), done("unlink", &path)))
}

fn rename_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&from, "x")?;
    let names = (text(&from)?, text(&to)?);
    uring(stage, (5, 11), &opcode::RenameAt::new(HERE, names.0.as_ptr(), HERE, names.1.as_ptr()).build())?;
    let rest = Expect::nothing().event(done("create", &from)).event(done("unlink", &to));
    Ok(super::by_uring(stage, rest, done("rename", &from).with_path("file.target_path", &to)))
}

fn mkdir_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    let name = text(&path)?;
    uring(stage, (5, 15), &opcode::MkDirAt::new(HERE, name.as_ptr()).mode(0o700).build())?;
    fs::remove_dir(&path)?;
    Ok(super::by_uring(stage, Expect::nothing().event(done("unlink", &path)), done("create", &path)))
}

fn link_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&from, "x")?;
    let names = (text(&from)?, text(&to)?);
    uring(stage, (5, 15), &opcode::LinkAt::new(HERE, names.0.as_ptr(), HERE, names.1.as_ptr()).build())?;
    let rest = made(&from).event(done("unlink", &to));
    Ok(super::by_uring(stage, rest, done("link", &from).with_path("file.target_path", &to)))
}

fn attribute_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    std::env::set_current_dir(stage.folder())?;
    let name = text(&path)?;
    let set = opcode::SetXattr::new(ATTRIBUTE.as_ptr(), b"value".as_ptr().cast(), name.as_ptr(), 5).build();
    uring(stage, (5, 19), &set)?;
    std::env::set_current_dir("/")?;
    Ok(super::by_uring(stage, made(&path), attribute_set(&path)))
}

fn cut_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "some text")?;
    let file = File::options().write(true).open(&path)?;
    uring(stage, (6, 9), &opcode::Ftruncate::new(types::Fd(file.as_raw_fd()), 3).build())?;
    Ok(super::by_uring(
        stage,
        made(&path).event(done("open", &path)),
        done("truncate", &path).with("file.size", 3),
    ))
}
