//! What a file says of itself, without asking anybody for it.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, StatxFlags, makedev, statx};

use super::Skip;

/// A file as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stat {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) changed_ns: i64,
    pub(super) is_regular: bool,
}

impl Stat {
    /// Of an open file. What the kernel has of it is enough: a file system that would have to ask a server for more is
    /// not waited for.
    pub(super) fn of(file: impl AsFd) -> Result<Self, Skip> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(file, "", flags, StatxFlags::BASIC_STATS).map_err(|_| Skip::Unreadable)?;
        let (s, ns) = (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
        Ok(Self {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            size: stat.stx_size,
            changed_ns: s.saturating_mul(1_000_000_000).saturating_add(ns.into()),
            is_regular: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile,
        })
    }
}
