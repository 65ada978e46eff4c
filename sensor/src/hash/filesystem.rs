//! Which file systems are read from: those whose answer depends on nobody else.
//!
//! Pure. To ask a file for its file system (`statfs`) is to ask the file system, so that a FUSE daemon or an NFS server
//! that hangs would hang the caller. The kernel's own list of mounts tells the same and asks nobody. (It does not tell
//! of what an overlay is made: one over a network's file system is read as it would be over a disk's.)

/// A file system by the numbers of its device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Device {
    major: u64,
    minor: u64,
}

/// What is read from. What is not in the list may be a network's, or a program's of user space.
const LOCAL: &[&[u8]] = &[
    b"bcachefs",
    b"btrfs",
    b"cramfs",
    b"erofs",
    b"exfat",
    b"ext2",
    b"ext3",
    b"ext4",
    b"f2fs",
    b"iso9660",
    b"jfs",
    b"minix",
    b"nilfs2",
    b"ntfs3",
    b"overlay",
    b"ramfs",
    b"reiserfs",
    b"romfs",
    b"rootfs",
    b"squashfs",
    b"tmpfs",
    b"udf",
    b"vfat",
    b"xfs",
    b"zfs",
];

/// The most bytes of a list of mounts that are read.
pub(super) const MAX_MOUNTS_BYTES: u64 = 4 << 20;

impl Device {
    /// From the number that `stat` gives.
    pub(super) fn new(device: u64) -> Self {
        Self { major: device >> 8 & 0xfff, minor: (device & 0xff) | (device >> 12 & 0xf_ff00) }
    }

    /// Whether it is a disk's or the like: then it is local in any case but FUSE's.
    pub(super) fn is_block(self) -> bool {
        self.major != 0
    }
}

/// Whether the device's file system may be read from; `None` where the list (`/proc/PID/mountinfo`) does not have it.
pub(super) fn is_local(mounts: &[u8], device: Device) -> Option<bool> {
    let name = format!("{}:{}", device.major, device.minor);
    let kind = mounts.split(|byte| *byte == b'\n').find_map(|line| {
        // Blanks within a path are written as \040.
        let mut words = line.split(|byte| *byte == b' ');
        (words.nth(2)? == name.as_bytes()).then_some(())?;
        words.skip_while(|word| *word != b"-").nth(1)
    })?;
    Some(LOCAL.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        36 35 0:51 /a\\040b /mnt/a\\040b rw shared:1 master:2 - fuse.sshfs host: rw\n\
        37 35 0:52 / /mnt/n rw shared:7 - nfs4 server:/ rw\n\
        38 35 0:53 / /c rw - overlay overlay rw,lowerdir=/l\n\
        39 35 8:1 / /win rw - fuseblk /dev/sda1 rw\n\
        broken\n";

    #[test]
    fn a_device_is_found_with_its_kind() {
        let of = |major: u64, minor: u64| is_local(MOUNTS, Device { major, minor });
        assert_eq!(of(254, 0), Some(true));
        assert_eq!(of(0, 51), Some(false), "FUSE");
        assert_eq!(of(0, 52), Some(false), "NFS");
        assert_eq!(of(0, 53), Some(true), "containers");
        assert_eq!(of(8, 1), Some(false), "FUSE on a disk");
        assert_eq!(of(0, 5), None, "no other's beginning");
        assert_eq!(is_local(b"\n - \n1 2 3\n", Device { major: 0, minor: 3 }), None);
    }

    #[test]
    fn numbers_are_read_as_stat_packs_them() {
        assert_eq!(Device::new(0xfe00), Device { major: 254, minor: 0 });
        assert_eq!(Device::new(0x30_0801), Device { major: 8, minor: 0x301 });
        assert!(!Device::new(0x35).is_block());
    }

    #[test]
    fn this_machine_runs_from_what_is_read_from() {
        use std::os::unix::fs::MetadataExt;
        let mounts = std::fs::read("/proc/self/mountinfo").expect("/proc");
        let device = Device::new(std::fs::metadata("/proc/self/exe").expect("this test").dev());
        assert!(is_local(&mounts, device).is_none_or(|local| local));
    }
}
