//! Where a file is: whoever may mount, link or change his root can give it other names, and names may be longer than any
//! buffer.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, chdir, chroot, unlinkat};

use super::{done, made};
use crate::expect::{Event, Expect, Want};
use crate::scenario::process::path::own_mounts;
use crate::scenario::{Absent, Scenario};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "chroot",
        about: "A file is opened in a chroot; its path is told from the root of the mount namespace.",
        play: in_chroot,
    },
    Scenario {
        name: "bind mount over a file",
        about: "In a mount namespace of its own, a process mounts another file over one, and reads: the inode tells.",
        play: mounted_over,
    },
    Scenario {
        name: "bind mount elsewhere",
        about: "In a mount namespace of its own, a process mounts a watched file elsewhere, and reads it there.",
        play: mounted_elsewhere,
    },
    Scenario {
        name: "moved mount",
        about: "The same by open_tree(2) and move_mount(2).",
        play: moved_elsewhere,
    },
    Scenario {
        name: "hard link elsewhere",
        about: "A watched file gets a name that is not watched, and is read by that.",
        play: linked_elsewhere,
    },
    Scenario {
        name: "linked directory",
        about: "A file's permissions are changed through a symbolic link of its directory.",
        play: through_link,
    },
    Scenario {
        name: "dots in a path",
        about: "A file is removed as ../watched, and a directory made with a slash at its end.",
        play: dots,
    },
    Scenario {
        name: "overlay",
        about: "A file of an overlay is read, changed and removed, as in containers: once each, and not in its layers.",
        play: overlay,
    },
    Scenario {
        name: "300 directories",
        about: "A file below three hundred directories is opened; its path is told whole.",
        play: deep,
    },
    Scenario {
        name: "path of 5,000 bytes",
        about: "A file is reached whose path is longer than any path may be: its end is told, and that it was cut.",
        play: too_long,
    },
    Scenario {
        name: "renamed meanwhile",
        about: "A file is opened a hundred times while a directory above it is renamed without end.",
        play: renamed_meanwhile,
    },
];

/// The same, by a child.
fn by(child: u32, action: &str, path: &Path) -> Event {
    Event::new(action).by(child).with_path("file.path", path).with("event.outcome", "success")
}

fn in_chroot(stage: &Stage) -> anyhow::Result<Expect> {
    let root = stage.folder().join("root");
    fs::create_dir(&root)?;
    let child = wait(sys::fork(|| {
        chroot(&root)?;
        chdir("/")?;
        fs::write("/watched", "x")?;
        File::open("watched")?;
        fs::remove_file("/watched")?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let path = root.join("watched");
    let all = ["create", "open", "unlink"].map(|action| by(child.pid, action, &path));
    Ok(all.into_iter().fold(Expect::nothing(), Expect::event))
}

fn mounted_over(stage: &Stage) -> anyhow::Result<Expect> {
    let (path, other) = (stage.folder().join("watched"), stage.folder().join("other"));
    fs::write(&path, "x")?;
    fs::write(&other, "y")?;
    let inode = fs::metadata(&other)?.ino();
    let child = wait(sys::fork(|| {
        own_mounts()?;
        mount(Some(&other), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        anyhow::ensure!(fs::read(&path)? == b"y", "the mount is not there");
        Ok(0)
    })?)?
    .with_code(0)?;
    let opened = by(child.pid, "open", &path).with("file.inode", inode).with("file.host_namespace", false);
    Ok(made(&path).event(opened))
}

const OTHER_PLACE: &str =
    "the collection asks for a path, and there the file has another one; that it got it is told";

fn mounted_elsewhere(stage: &Stage) -> anyhow::Result<Expect> {
    elsewhere(stage, |path, other| {
        Ok(mount(Some(path), other, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
    })
}

fn moved_elsewhere(stage: &Stage) -> anyhow::Result<Expect> {
    elsewhere(stage, |path, other| {
        let mount = sys::copy_of_mount(&super::text(path)?)?;
        Ok(sys::move_mount(mount.as_fd(), &super::text(other)?)?)
    })
}

fn elsewhere(stage: &Stage, put: fn(&Path, &Path) -> anyhow::Result<()>) -> anyhow::Result<Expect> {
    let (path, other) = (stage.folder().join("watched"), stage.folder().join("other"));
    fs::write(&path, "x")?;
    fs::write(&other, "y")?;
    let child = wait(sys::fork(|| {
        own_mounts()?;
        put(&path, &other)?;
        anyhow::ensure!(fs::read(&other)? == b"x", "the mount is not there");
        Ok(0)
    })?)?
    .with_code(0)?;
    let mounted = Event::new("mount").by(child.pid).with_path("file.path", &other);
    let opened = Event::new("open").by(child.pid);
    Ok(made(&path).event(mounted).unseen(opened, OTHER_PLACE))
}

fn linked_elsewhere(stage: &Stage) -> anyhow::Result<Expect> {
    let (path, other) = (stage.folder().join("watched"), stage.folder().join("other"));
    fs::write(&path, "x")?;
    fs::hard_link(&path, &other)?;
    fs::read(&other)?;
    Ok(made(&path)
        .event(done("link", &path).with_path("file.target_path", &other))
        .unseen(Event::new("open").by(std::process::id()), OTHER_PLACE))
}

fn through_link(stage: &Stage) -> anyhow::Result<Expect> {
    let (real, alias) = (stage.folder().join("real"), stage.folder().join("alias"));
    let path = real.join("watched");
    fs::create_dir(&real)?;
    symlink("real", &alias)?;
    fs::write(&path, "x")?;
    let by_alias = alias.join("watched");
    fs::set_permissions(&by_alias, Permissions::from_mode(0o600))?;
    // Where system calls are looked at, what was given is told.
    let told = if stage.follows_functions() { &path } else { &by_alias };
    Ok(made(&path).event(done("chmod", told)))
}

fn dots(stage: &Stage) -> anyhow::Result<Expect> {
    let (file, folder) = (stage.folder().join("watched"), stage.folder().join("watched-folder"));
    fs::write(&file, "x")?;
    let with_slash = PathBuf::from(format!("{}/", folder.display()));
    fs::create_dir(&with_slash)?;
    std::env::set_current_dir(&folder)?;
    fs::remove_file("../watched")?;
    std::env::set_current_dir("/")?;
    fs::remove_dir(&folder)?;
    let (removed, made) = match stage.follows_functions() {
        true => (file.clone(), folder.clone()),
        false => (folder.join("../watched"), with_slash),
    };
    Ok(Expect::nothing()
        .event(done("create", &file))
        .event(done("create", &made))
        .event(done("unlink", &removed))
        .event(done("unlink", &folder)))
}

fn overlay(stage: &Stage) -> anyhow::Result<Expect> {
    let base = stage.folder().join("base");
    let path = base.join("merged/watched");
    fs::create_dir(&base)?;
    let child = wait(sys::fork(|| {
        own_mounts()?;
        mount(Some("tmpfs"), &base, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        for folder in ["lower", "upper", "work", "merged"] {
            fs::create_dir(base.join(folder))?;
        }
        fs::write(base.join("lower/watched"), "x")?;
        let of = |name| base.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", of("lower"), of("upper"), of("work"));
        let at = base.join("merged");
        match mount(Some("overlay"), &at, Some("overlay"), MsFlags::empty(), Some(options.as_str())) {
            Err(Errno::ENODEV) => return Ok(NO_OVERLAY),
            mounted => mounted?,
        }
        fs::read(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        fs::rename(&path, base.join("merged/watched-2"))?;
        fs::remove_file(base.join("merged/watched-2"))?;
        Ok(0)
    })?)?;
    if child.code == i32::from(NO_OVERLAY) {
        return Err(Absent("this kernel has no overlay file system").into());
    }
    let pid = child.with_code(0)?.pid;
    let renamed = base.join("merged/watched-2");
    Ok(Expect::nothing()
        .event(by(pid, "create", &base.join("lower/watched")))
        .event(by(pid, "open", &path))
        .event(by(pid, "chmod", &path))
        .event(by(pid, "rename", &path).with_path("file.target_path", &renamed))
        .event(by(pid, "unlink", &renamed)))
}

/// The code of a child that could not mount an overlay.
const NO_OVERLAY: u8 = 99;

/// Directories of this name below each other; each is the working directory of the next.
struct Chain {
    name: String,
    folders: Vec<OwnedFd>,
}

impl Chain {
    fn new(stage: &Stage, name: &str, n: usize) -> anyhow::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut folders = vec![nix::fcntl::open(stage.folder(), flags, Mode::empty())?];
        for _ in 0..n {
            let Some(last) = folders.last() else { break };
            mkdirat(last, name, Mode::S_IRWXU)?;
            let next = openat(last, name, flags, Mode::empty())?;
            folders.push(next);
        }
        Ok(Self { name: name.into(), folders })
    }

    /// Opens a new file in the last one, to read and write.
    fn create(&self, name: &str) -> anyhow::Result<()> {
        let last = self.folders.last().map_or(AT_FDCWD, |folder| folder.as_fd());
        let flags = OFlag::O_CREAT | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        openat(last, name, flags, Mode::S_IRUSR)?;
        Ok(())
    }

    /// Removes a file in the last one.
    fn remove(&self, name: &str) -> anyhow::Result<()> {
        let last = self.folders.last().map_or(AT_FDCWD, |folder| folder.as_fd());
        Ok(unlinkat(last, name, UnlinkatFlags::NoRemoveDir)?)
    }
}

/// The standard library cannot remove what is nested so deeply.
impl Drop for Chain {
    fn drop(&mut self) {
        while self.folders.pop().is_some() {
            let Some(folder) = self.folders.last() else { break };
            let _ = unlinkat(folder, self.name.as_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

fn deep(stage: &Stage) -> anyhow::Result<Expect> {
    const N: usize = 300;
    let chain = Chain::new(stage, "d", N)?;
    chain.create("watched")?;
    chain.remove("watched")?;
    drop(chain);
    let path = stage.folder().join(vec!["d"; N].join("/")).join("watched");
    Ok(made_with(&path, |event| event.with("file.truncated", false)))
}

fn too_long(stage: &Stage) -> anyhow::Result<Expect> {
    const PATH_MAX: usize = 4096;
    const N: usize = 20;
    let name = "n".repeat(249);
    let chain = Chain::new(stage, &name, N)?;
    chain.create("watched")?;
    chain.remove("watched")?;
    drop(chain);
    let cut = |action: &str, end: &str| {
        Event::new(action)
            .by(std::process::id())
            .with("file.truncated", true)
            .want("file.path", Want::EndsWith(end.into()))
    };
    // A path that is not whole could be any: so the directories with such paths are told of, too.
    let n_cut =
        (1..=N).filter(|n| stage.folder().as_os_str().len() + n * (name.len() + 1) > PATH_MAX).count();
    let file = ["create", "unlink"].map(|action| cut(action, "nnn/watched"));
    let folders = ["create", "open", "unlink"].map(|action| cut(action, "nnn").times(n_cut));
    Ok(file.into_iter().chain(folders).fold(Expect::nothing(), Expect::event))
}

fn made_with(path: &Path, with: impl Fn(Event) -> Event) -> Expect {
    Expect::nothing().event(with(done("create", path))).event(with(done("unlink", path)))
}

fn renamed_meanwhile(stage: &Stage) -> anyhow::Result<Expect> {
    const TIMES: usize = 100;
    let names =
        ["short", "a-name-that-is-much-longer-than-the-other-one"].map(|name| stage.folder().join(name));
    let [one, other] = &names;
    fs::create_dir(one)?;
    fs::write(one.join("watched"), "x")?;
    let folder = nix::fcntl::open(one, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let renames = scope.spawn(|| -> anyhow::Result<()> {
            while !is_done.load(Ordering::Relaxed) {
                fs::rename(one, other)?;
                fs::rename(other, one)?;
            }
            Ok(())
        });
        let name = CString::new("watched")?;
        let opened = (0..TIMES).try_for_each(|_| {
            openat(&folder, name.as_c_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(drop)
        });
        is_done.store(true, Ordering::Relaxed);
        renames.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        anyhow::Ok(opened?)
    })?;
    let opened = Event::new("open")
        .by(std::process::id())
        .want("file.path", Want::EndsWith("/watched".into()))
        .times(TIMES);
    Ok(made(&one.join("watched")).event(opened))
}
