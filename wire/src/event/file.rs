//! `file`: what is done to files. The subject is the process that does it.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A file was opened that was there; `file.access` says for what.
    pub const FILE_OPEN: Kind = Kind(40);
    /// A file, directory or device node came to be; by an open too, and then `file.access` says for what.
    pub const FILE_CREATE: Kind = Kind(41);
    /// A file or directory was removed.
    pub const FILE_UNLINK: Kind = Kind(42);
    /// A file or directory was renamed to `file.target_path`, or exchanged with what was there.
    pub const FILE_RENAME: Kind = Kind(43);
    /// A file got one more name, `file.target_path`.
    pub const FILE_LINK: Kind = Kind(44);
    /// A symbolic link was made that leads to `file.target_path`.
    pub const FILE_SYMLINK: Kind = Kind(45);
    /// Permission bits were set; `file.mode` are the new ones.
    pub const FILE_CHMOD: Kind = Kind(46);
    /// The owner or group was set; `file.owner` and `file.group` are the new ones.
    pub const FILE_CHOWN: Kind = Kind(47);
    /// A file's length was set; `file.size` is the new one.
    pub const FILE_TRUNCATE: Kind = Kind(48);
    /// An extended attribute (`file.xattr`) was set.
    pub const FILE_SETXATTR: Kind = Kind(49);
    /// A file was mapped to be executed, or a mapping of it was made executable.
    pub const FILE_MMAP_EXEC: Kind = Kind(50);
}

/// What every event of a file may have, and then what only some have.
macro_rules! columns {
    ($($more:ident),*) => {
        &[
            Field::EventOutcome,
            Field::EventSource,
            Field::ErrorCode,
            Field::FilePath,
            Field::FileInode,
            Field::FileDevice,
            Field::FileMode,
            Field::FileOwner,
            Field::FileTruncated,
            Field::FileType,
            Field::FileFilesystem,
            Field::FileHostNamespace,
            Field::FileGroup,
            Field::FileSize,
            $(Field::$more,)*
        ]
    };
}

const fn file(kind: Kind, action: &'static str, columns: &'static [Field]) -> KindInfo {
    KindInfo { kind, category: "file", action, lane: Lane::Bulk, columns }
}

pub(super) const KINDS: &[KindInfo] = &[
    file(Kind::FILE_OPEN, "open", columns![FileAccess]),
    file(Kind::FILE_CREATE, "create", columns![FileAccess]),
    file(Kind::FILE_UNLINK, "unlink", columns![]),
    file(Kind::FILE_RENAME, "rename", columns![FileTargetPath]),
    file(Kind::FILE_LINK, "link", columns![FileTargetPath]),
    file(Kind::FILE_SYMLINK, "symlink", columns![FileTargetPath]),
    file(Kind::FILE_CHMOD, "chmod", columns![]),
    file(Kind::FILE_CHOWN, "chown", columns![]),
    file(Kind::FILE_TRUNCATE, "truncate", columns![]),
    file(Kind::FILE_SETXATTR, "setxattr", columns![FileXattr]),
    file(Kind::FILE_MMAP_EXEC, "mmap_exec", columns![FileAccess]),
];
