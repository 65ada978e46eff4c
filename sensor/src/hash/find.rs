//! Finding the very file that ran, and opening it without waiting for anybody.
//!
//! - `/proc/PID/exe` leads to it, whatever became of its path, as long as the process lives and has not executed another
//!   one since.
//! - Its path leads to it afterwards, if a file of the same inode, size and change time is there: a process of a
//!   millisecond has ended before the sensor hears of it.
//!
//! A path is only looked up among names that the kernel has at hand, and nothing is opened that is not a regular file of
//! a local file system.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use wire::time::BootTime;

use super::filesystem::{self, Device};
use super::stat::Stat;
use super::tick::Tick;
use super::{Request, Skip};
use crate::clock::Reading;
use crate::host_root::HostRoot;
use crate::proc;

/// An open file that ran.
pub(super) struct Found {
    pub(super) file: File,
    /// What it was when it was found to be the one.
    pub(super) stat: Stat,
    /// It still runs, so nobody can write to it; its change time may be another one all the same, if it was
    /// unlinked or given another mode.
    pub(super) runs: bool,
}

/// Finds it.
pub(super) fn find(request: &Request, tick: Tick) -> Result<Found, Skip> {
    require_local(request)?;
    match of_process(request) {
        Err(Skip::Gone) => by_path(request, tick),
        found => found,
    }
}

/// What the process runs.
fn of_process(request: &Request) -> Result<Found, Skip> {
    let link = format!("/proc/{}/exe", request.task.key.pid);
    let handle = open(&link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|_| Skip::Gone)?;
    let path = fs::read_link(&link).map_err(|_| Skip::Gone)?;
    let stat = Stat::of(&handle)?;
    if !proc::lives(request.task.key) || stat.inode != request.file.inode {
        return Err(Skip::Gone);
    }
    // The kernel's device is the whole file system's. Overlayfs shows the device of the layer, btrfs one of each
    // subvolume. Then the same process must run an inode of that number under the same path.
    let path = path.as_os_str().as_bytes();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    if stat.device != request.file.device && path != &*request.executable {
        return Err(Skip::Gone);
    }
    Ok(Found { file: reopen(&handle, stat)?, stat, runs: true })
}

/// What the path of a process that has ended leads to.
fn by_path(request: &Request, tick: Tick) -> Result<Found, Skip> {
    let ran = request.ran.ok_or(Skip::Gone)?;
    let mut handles = roots(request).into_iter().filter_map(|(root, own)| look_up(&root, own, request));
    let handle = handles.next().ok_or(Skip::Gone)?;
    let stat = Stat::of(&handle)?;
    let wanted = request.file;
    // The device is not compared, see above: these three agree in no other file.
    if (stat.inode, stat.size, stat.changed_ns) != (wanted.inode, wanted.size, wanted.changed_ns) {
        return Err(Skip::Gone);
    }
    if tick.may_hide_a_change(stat.changed_ns, wall_ns(ran).ok_or(Skip::Unreadable)?) {
        return Err(Skip::Fresh);
    }
    Ok(Found { file: reopen(&handle, stat)?, stat, runs: false })
}

/// Refuses what lies on a file system that may block.
fn require_local(request: &Request) -> Result<(), Skip> {
    if request.memfd {
        return Ok(());
    }
    let device = Device::new(request.file.device);
    let own = std::iter::once("self".to_owned());
    let pids = std::iter::once(&request.task.key.pid).chain(&request.witnesses);
    for process in own.chain(pids.map(u32::to_string)) {
        let mut mounts = Vec::new();
        let list = File::open(format!("/proc/{process}/mountinfo"));
        let read = list.and_then(|list| list.take(filesystem::MAX_MOUNTS_BYTES).read_to_end(&mut mounts));
        match read.ok().and_then(|_| filesystem::is_local(&mounts, device)) {
            Some(true) => return Ok(()),
            Some(false) => return Err(Skip::FileSystem),
            None => {}
        }
    }
    if device.is_block() { Ok(()) } else { Err(Skip::Gone) }
}

/// The roots below which the path may lead to the file, and whether that is a mount namespace in which only root mounts: the
/// sensor's own, or the host's.
fn roots(request: &Request) -> Vec<(String, bool)> {
    let namespace_of =
        |process: &str| fs::metadata(format!("/proc/{process}/ns/mnt")).map(|meta| meta.ino()).ok();
    let is_it = |process: &str| namespace_of(process) == Some(request.mnt_ns.into());
    if is_it("self") {
        return vec![("/".to_owned(), true)];
    }
    if let Some(way) = HostRoot::here().way_to(request.mnt_ns) {
        return vec![(way.to_string_lossy().into_owned(), true)];
    }
    let witnesses = request.witnesses.iter().map(u32::to_string).filter(|pid| is_it(pid));
    witnesses.map(|pid| (format!("/proc/{pid}/root"), false)).collect()
}

/// What the path leads to, if the kernel knows without asking a file system.
fn look_up(root: &str, own: bool, request: &Request) -> Option<OwnedFd> {
    let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let path = request.executable.strip_prefix(b"/")?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    match openat2(&root, path, flags, Mode::empty(), resolve | ResolveFlags::CACHED) {
        // Before 5.12 the kernel cannot be asked for names at hand only. In the sensor's own mount namespace, and in the
        // host's, no unprivileged user can put a file system in the way that root would wait for.
        Err(Errno::INVAL) if own => openat2(&root, path, flags, Mode::empty(), resolve).ok(),
        found => found.ok(),
    }
}

/// Opens for reading what was only looked up.
fn reopen(handle: &OwnedFd, stat: Stat) -> Result<File, Skip> {
    if !stat.is_regular {
        return Err(Skip::NotRegular);
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    // NONBLOCK: who holds a lease on it is not waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match open(&path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => open(&path, flags, Mode::empty()),
        opened => opened,
    };
    opened.map(File::from).map_err(|_| Skip::Unreadable)
}

/// A time of the boot clock on the wall clock, in ns since 1970.
fn wall_ns(boot: BootTime) -> Option<i64> {
    let boot_ns = i64::try_from(boot.ns()).ok()?;
    Some(Reading::now().ok()?.boot_to_wall_ns().saturating_add(boot_ns))
}
