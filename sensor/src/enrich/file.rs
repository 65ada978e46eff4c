//! What is done to files.

use bytes::Bytes;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::value::Value;

use crate::record::File;

/// The values of an action on a file.
pub(super) fn row(file: &File<'_>) -> Row {
    let mut row = Row::default();
    let name = if file.action == Kind::MOUNT { Field::KernelObjectName } else { Field::FileXattr };
    let texts = [(Field::FilePath, file.path), (Field::FileTargetPath, file.target), (name, file.name)];
    for (field, text) in texts {
        if !text.is_empty() {
            row.set(field, Bytes::copy_from_slice(text));
        }
    }
    super::set_outcome(&mut row, file.error);
    row.set(Field::EventSource, if file.from_syscall { "syscall" } else { "kernel" });
    row.set(Field::FileTruncated, file.truncated);
    let access = [(file.access.read, "read"), (file.access.write, "write"), (file.access.exec, "exec")];
    let access: Vec<Bytes> = access
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| Bytes::from_static(name.as_bytes()))
        .collect();
    if !access.is_empty() {
        row.set(Field::FileAccess, Value::List(access));
    }
    if file.mode == 0 {
        return row;
    }
    row.set(Field::FileHostNamespace, file.host_namespace);
    row.set(Field::FileInode, file.inode);
    row.set(Field::FileDevice, file.device);
    row.set(Field::FileMode, u64::from(file.mode & 0o7777));
    row.set(Field::FileOwner, u64::from(file.owner));
    row.set(Field::FileGroup, u64::from(file.group));
    row.set(Field::FileFilesystem, Bytes::from(filesystem(file.filesystem)));
    if let Some(name) = file_type(file.mode) {
        row.set(Field::FileType, name);
    }
    if file.mode & S_IFMT == S_IFREG {
        row.set(Field::FileSize, file.size);
    }
    row
}

/// `stat(2)`.
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;

fn file_type(mode: u32) -> Option<&'static str> {
    match mode & S_IFMT {
        0o140_000 => Some("socket"),
        0o120_000 => Some("symlink"),
        S_IFREG => Some("regular"),
        0o060_000 => Some("block"),
        0o040_000 => Some("directory"),
        0o020_000 => Some("char"),
        0o010_000 => Some("fifo"),
        _ => None,
    }
}

/// A file system's name, from the number in its superblock (`include/uapi/linux/magic.h`); the number where it has none here.
fn filesystem(magic: u32) -> String {
    let name = match magic {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x2fc1_2fc1 => "zfs",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x794c_7630 => "overlay",
        0x9fa0 => "proc",
        0x6265_6572 => "sysfs",
        0x6367_7270 => "cgroup2",
        0x0027_e0eb => "cgroup",
        0xcafe_4a11 => "bpf",
        0x6462_6720 => "debugfs",
        0x7472_6163 => "tracefs",
        0x7363_6673 => "securityfs",
        0x1cd1 => "devpts",
        0x1373 => "devfs",
        0x6e73_6673 => "nsfs",
        0x5049_5045 => "pipefs",
        0x534f_434b => "sockfs",
        0x0904_1934 => "anon_inode",
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x6573_5546 => "fuse",
        0x7371_7368 => "squashfs",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x5346_544e => "ntfs",
        0x9660 => "iso9660",
        0xf2f5_2010 => "f2fs",
        0xe0f5_e1e2 => "erofs",
        0x0102_1997 => "9p",
        0x00c3_6400 => "ceph",
        0x1980_0202 => "mqueue",
        0x9584_58f6 => "hugetlbfs",
        0x6165_676c => "pstore",
        0xde5e_81e4 => "efivarfs",
        0x4249_4e4d => "binfmt_misc",
        other => return format!("0x{other:x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_file_systems_have_names() {
        assert_eq!(file_type(0o100_644), Some("regular"));
        assert_eq!(file_type(0o040_755), Some("directory"));
        assert_eq!(filesystem(0xef53), "ext4");
        assert_eq!(filesystem(0x1234), "0x1234");
    }
}
