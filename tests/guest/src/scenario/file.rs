//! `file`: what is done to files. The collection that the sensor runs with ships what is done to those named `watched…`.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use super::Scenario;
use crate::expect::{Event, Expect, Want};
use crate::stage::Stage;

pub(super) mod change;
pub(super) mod open;
pub(super) mod place;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "read", about: "A file is opened to be read.", play: read },
    Scenario { name: "create", about: "A file is created by an open.", play: create },
    Scenario { name: "mkdir", about: "A directory is made, and removed.", play: directory },
    Scenario { name: "rename", about: "A file gets another name.", play: rename },
    Scenario { name: "link", about: "A file gets one more name, and is read by that.", play: link },
    Scenario {
        name: "symlink",
        about: "A symbolic link is made, and read through: the file's own path is told.",
        play: by_symlink,
    },
    Scenario { name: "chmod", about: "A file's permissions are changed by its path.", play: chmod },
    Scenario { name: "fchmod", about: "A file's permissions are changed by a descriptor.", play: fchmod },
    Scenario { name: "chown", about: "A file's owner is changed.", play: change_owner },
    Scenario { name: "ftruncate", about: "A file is cut by a descriptor.", play: truncate },
    Scenario {
        name: "another working directory",
        about: "A file is removed by a name without a directory.",
        play: relative,
    },
];

/// What comes of something that io_uring did, beside the rest.
fn by_uring(stage: &Stage, rest: Expect, event: Event) -> Expect {
    rest.event_if(stage.follows_functions(), event, "where system calls are looked at, io_uring makes none")
}

/// A path as a system call takes it.
fn text(path: &Path) -> anyhow::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Something done to a file, by the scenario's own process.
fn done(action: &str, path: &Path) -> Event {
    Event::new(action).by(std::process::id()).with_path("file.path", path).with("event.outcome", "success")
}

/// A file was created, and will be removed when the scenario is over.
fn made(path: &Path) -> Expect {
    Expect::nothing().event(done("create", path)).event(done("unlink", path))
}

fn read(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let mut file = File::open(&path)?;
    file.read_to_end(&mut Vec::new())?;
    let inode = file.metadata()?.ino();
    let opened =
        done("open", &path).want("file.access", Want::Holds("read".into())).with("file.inode", inode);
    Ok(made(&path).event(opened))
}

fn create(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    let created = done("create", &path)
        .want("file.access", Want::Holds("write".into()))
        .with("file.inode", fs::metadata(&path)?.ino())
        .with("file.type", "regular");
    Ok(Expect::nothing().event(created).event(done("unlink", &path)))
}

fn directory(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::create_dir(&path)?;
    fs::remove_dir(&path)?;
    Ok(made(&path))
}

fn rename(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&from, "x")?;
    fs::rename(&from, &to)?;
    Ok(Expect::nothing()
        .event(done("create", &from))
        .event(done("rename", &from).with_path("file.target_path", &to))
        .event(done("unlink", &to)))
}

fn link(stage: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (stage.folder().join("watched-1"), stage.folder().join("watched-2"));
    fs::write(&from, "x")?;
    fs::hard_link(&from, &to)?;
    let inode = File::open(&to)?.metadata()?.ino();
    Ok(made(&from)
        .event(done("link", &from).with_path("file.target_path", &to))
        .event(done("open", &to).with("file.inode", inode))
        .event(done("unlink", &to)))
}

fn by_symlink(stage: &Stage) -> anyhow::Result<Expect> {
    let (file, link) = (stage.folder().join("watched"), stage.folder().join("watched-link"));
    fs::write(&file, "x")?;
    symlink(&file, &link)?;
    File::open(&link)?;
    Ok(made(&file)
        .event(done("symlink", &link).with_path("file.target_path", &file))
        .event(done("open", &file))
        .event(done("unlink", &link)))
}

fn chmod(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    fs::set_permissions(&path, Permissions::from_mode(0o4711))?;
    Ok(made(&path).event(done("chmod", &path)))
}

fn fchmod(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    File::create(&path)?.set_permissions(Permissions::from_mode(0o4711))?;
    Ok(made(&path).event(done("chmod", &path).with("file.mode", 0o4711)))
}

fn change_owner(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    chown(&path, Some(7), Some(8))?;
    Ok(made(&path).event(done("chown", &path)))
}

fn truncate(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "some text")?;
    OpenOptions::new().write(true).open(&path)?.set_len(3)?;
    Ok(made(&path)
        .event(done("open", &path).want("file.access", Want::Holds("write".into())))
        .event(done("truncate", &path).with("file.size", 3)))
}

fn relative(stage: &Stage) -> anyhow::Result<Expect> {
    let path = stage.folder().join("watched");
    fs::write(&path, "x")?;
    std::env::set_current_dir(stage.folder())?;
    fs::remove_file("watched")?;
    std::env::set_current_dir("/")?;
    Ok(made(&path))
}
