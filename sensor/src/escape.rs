//! Signs that a process gets out of its container.
//!
//! Pure. What a process does is told by the event of what it does; that a process of a container does it, where it is a known way
//! out, is an event of its own. The kernel's objects decide, not paths that the container has named: its namespaces, the kernel's
//! settings, the inode of a socket, the mount that a file lies in. Which container it is, its control group's path tells: a label
//! that root on the host may forge, so a sign here is a finding and never a verdict.

use std::collections::HashMap;

use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::ProcessKey;
use wire::time::BootTime;
use wire::value::Value;

use crate::container::Container;
use crate::record::{Body, File, Held, Image, Move, Record, Setting};

pub mod sockets;
#[cfg(test)]
mod tests;

/// How long a process that shows the same sign again is not told of, in ns.
const QUIET_NS: u64 = 10_000_000_000;
/// How many (process, sign) are remembered.
const MAX_RECENT: usize = 1024;

/// What the host itself lives in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The inode of its mount namespace; 0: not known.
    pub mnt: u32,
    /// The inode of its pid namespace; 0: not known.
    pub pid: u32,
}

/// Tells signs, each once in a while for a process.
#[derive(Debug, Default)]
pub struct Watch {
    host: Host,
    recent: HashMap<(ProcessKey, Kind), BootTime>,
}

impl Watch {
    /// For a host that lives in these namespaces.
    pub fn new(host: Host) -> Self {
        Self { host, recent: HashMap::new() }
    }

    /// What the record shows, if its actor, who runs `image`, is in a container; `None` too when the same was told of the same
    /// process in the last 10 s. `row`: what the record's own event says.
    pub fn sign(
        &mut self,
        record: &Record<'_>,
        image: &Image<'_>,
        row: &Row,
        now: BootTime,
    ) -> Option<(Kind, Row)> {
        let kind = kind(&record.body, image, self.host)?;
        Container::of(image.cgroup)?;
        let key = (record.body.actor()?.key, kind);
        let is_old = |then: &BootTime| now.ns().saturating_sub(then.ns()) >= QUIET_NS;
        if self.recent.get(&key).is_some_and(|then| !is_old(then)) {
            return None;
        }
        if self.recent.len() >= MAX_RECENT {
            self.recent.retain(|_, then| !is_old(then));
        }
        if self.recent.len() >= MAX_RECENT {
            // Better told twice than not.
            self.recent.clear();
        }
        self.recent.insert(key, now);
        Some((kind, kept(kind, row)))
    }
}

/// Whether a record can be such a sign at all.
pub fn concerns(body: &Body<'_>) -> bool {
    match body {
        Body::Move(_) | Body::Setting(_) => true,
        Body::File(file) => file.action.number() > Kind::FILE_MMAP_EXEC.number(),
        _ => false,
    }
}

/// What an action is that the kernel takes for a way out of a mount namespace: that, in a container; else a file that is opened.
pub fn settled(action: Kind, image: Option<&Image<'_>>) -> Kind {
    let reaches = [Kind::ESCAPE_RUNTIME_SOCKET, Kind::ESCAPE_OUTSIDE_ROOT].contains(&action);
    let contained = image.is_some_and(|image| Container::of(image.cgroup).is_some());
    if reaches && !contained { Kind::FILE_OPEN } else { action }
}

fn kind(body: &Body<'_>, image: &Image<'_>, host: Host) -> Option<Kind> {
    match body {
        Body::Move(moved) => to_host(moved, image, host).then_some(Kind::ESCAPE_HOST_NAMESPACE),
        Body::Setting(setting) => of_setting(setting),
        Body::File(file) => of_file(file),
        _ => None,
    }
}

/// Whether a process came to live in the host's mount or pid namespace.
fn to_host(moved: &Move, image: &Image<'_>, host: Host) -> bool {
    let lived = image.namespaces;
    let before = moved.before.unwrap_or(Held { mnt: lived.mnt, pid: lived.pid, ..Held::default() });
    let came = |before: u32, after: u32, host: u32| host != 0 && after == host && before != host;
    came(before.mnt, moved.after.mnt, host.mnt) || came(before.pid, moved.after.pid, host.pid)
}

/// Settings that name a program which the kernel runs on the host, as root.
fn of_setting(setting: &Setting<'_>) -> Option<Kind> {
    match setting.name {
        b"kernel/core_pattern" => Some(Kind::ESCAPE_CORE_PATTERN),
        b"kernel/modprobe" | b"kernel/hotplug" | b"kernel/poweroff_cmd" => Some(Kind::ESCAPE_MODPROBE),
        _ => None,
    }
}

fn of_file(file: &File<'_>) -> Option<Kind> {
    match file.action {
        Kind::SYSCTL if file.path.ends_with(b"/release_agent") => Some(Kind::ESCAPE_RELEASE_AGENT),
        Kind::MOUNT if file.error == 0 && DISKS.contains(&file.name) => Some(Kind::ESCAPE_HOST_MOUNT),
        _ => None,
    }
}

/// Types of file systems that lie on a device: a container is given none of them to mount.
const DISKS: &[&[u8]] = &[
    b"bcachefs",
    b"btrfs",
    b"cramfs",
    b"erofs",
    b"exfat",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"fuseblk",
    b"gfs2",
    b"hfs",
    b"hfsplus",
    b"iso9660",
    b"jfs",
    b"msdos",
    b"nilfs2",
    b"ntfs",
    b"ntfs3",
    b"ocfs2",
    b"reiserfs",
    b"romfs",
    b"squashfs",
    b"udf",
    b"ufs",
    b"vfat",
    b"xfs",
    b"zfs",
];

/// What the sign says: all that the event of the deed does, as far as a sign has such columns.
fn kept(kind: Kind, row: &Row) -> Row {
    let columns = kind.info().map(|info| info.columns).unwrap_or_default();
    let mut kept = Row::default();
    let has = |field: &Field| columns.contains(field);
    row.iter()
        .filter(|(field, _)| has(field))
        .for_each(|(field, value): (Field, &Value)| kept.set(field, value.clone()));
    kept
}
