//! `file`: what is done to files.
//!
//! A security hook knows the path; the function that does the work knows the result. Where the kernel lets no program follow
//! its functions, system calls that return are all there is.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn before(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::File, kind: HookKind::Entry }
}

const fn after(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::File, kind: HookKind::Return }
}

/// System calls that return: the last way to see several things.
pub(super) const RETURNED: Hook =
    Hook { program: "syscall_returned", place: "sys_exit", class: Class::File, kind: HookKind::Tracepoint };

pub(super) const OPENED: Hook = after("file_opened", "security_file_open");
pub(super) const MAPPED: Hook = after("file_mapped", "security_mmap_file");
pub(super) const PROTECTED: Hook = after("file_protected", "security_file_mprotect");

const UNLINK: Hook = before("change_unlink", "security_path_unlink");
const RMDIR: Hook = before("change_rmdir", "security_path_rmdir");
const MKDIR: Hook = before("change_mkdir", "security_path_mkdir");
const MKNOD: Hook = before("change_mknod", "security_path_mknod");
const SYMLINK: Hook = before("change_symlink", "security_path_symlink");
const LINK: Hook = before("change_link", "security_path_link");
const RENAME: Hook = before("change_rename", "security_path_rename");
const CHMOD: Hook = before("change_chmod", "security_path_chmod");
const CHOWN: Hook = before("change_chown", "security_path_chown");
/// Before 6.1, which does not let the security hook be followed.
const CHOWN_COMMON: Hook = before("change_chown_common", "chown_common");
const TRUNCATE: Hook = before("change_truncate", "security_path_truncate");
/// Since 6.2 (3350607dc5637b): what is truncated through a descriptor.
const FILE_TRUNCATE: Hook = before("change_file_truncate", "security_file_truncate");

const UNLINK_DONE: Hook = after("unlink_done", "vfs_unlink");
const RMDIR_DONE: Hook = after("rmdir_done", "vfs_rmdir");
const GONE: Hook = before("change_gone", "d_delete");
const MKDIR_DONE: Hook = after("mkdir_done", "vfs_mkdir");
const MKNOD_DONE: Hook = after("mknod_done", "vfs_mknod");
const CREATE_DONE: Hook = after("create_done", "vfs_create");
const SYMLINK_DONE: Hook = after("symlink_done", "vfs_symlink");
const LINK_DONE: Hook = after("link_done", "vfs_link");
const RENAME_DONE: Hook = after("rename_done", "vfs_rename");
const XATTR_DONE: Hook = after("xattr_done", "vfs_setxattr");
const ATTRIBUTE_DONE: Hook = after("attribute_done", "notify_change");

const BY_SYSCALL: Way = Way {
    name: "sys_exit",
    hooks: &[&RETURNED],
    blind: "paths of changes are the caller's arguments (event.source: syscall), and io_uring's are not seen",
};

const fn sight(
    name: &'static str,
    shows: &'static str,
    without: &'static str,
    ways: &'static [Way],
) -> Sight {
    Sight { name, shows, without, required: false, ways }
}

pub(super) static SIGHTS: &[Sight] = &[
    sight(
        "file.open",
        "files opened, and created by an open",
        "no file is seen to be opened",
        &[
            Way { name: "fexit", hooks: &[&OPENED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "files opened through io_uring, and by programs being run, are not seen to be opened",
            },
        ],
    ),
    sight(
        "file.mmap_exec",
        "files mapped to be executed",
        "libraries, and programs run through a loader, are not seen",
        &[
            Way { name: "fexit", hooks: &[&MAPPED, &PROTECTED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "files that exec maps, and mappings made executable later, are not seen",
            },
        ],
    ),
    sight(
        "file.create",
        "directories and device nodes made",
        "directories are not seen to be made",
        &[
            Way {
                name: "fexit",
                hooks: &[&MKDIR_DONE, &MKNOD_DONE, &CREATE_DONE, &MKDIR, &MKNOD],
                blind: "",
            },
            BY_SYSCALL,
        ],
    ),
    sight(
        "file.unlink",
        "files and directories removed",
        "nothing is seen to be removed",
        &[
            Way { name: "fexit", hooks: &[&UNLINK_DONE, &RMDIR_DONE, &GONE, &UNLINK, &RMDIR], blind: "" },
            BY_SYSCALL,
        ],
    ),
    sight(
        "file.rename",
        "files renamed and exchanged",
        "nothing is seen to be renamed",
        &[Way { name: "fexit", hooks: &[&RENAME_DONE, &RENAME], blind: "" }, BY_SYSCALL],
    ),
    sight(
        "file.link",
        "hard and symbolic links",
        "links are not seen to be made",
        &[Way { name: "fexit", hooks: &[&LINK_DONE, &SYMLINK_DONE, &LINK, &SYMLINK], blind: "" }, BY_SYSCALL],
    ),
    sight(
        "file.attributes",
        "permissions, owners and lengths changed",
        "permissions, owners and lengths are not seen to change",
        &[
            Way {
                name: "fexit",
                hooks: &[&ATTRIBUTE_DONE, &CHMOD, &CHOWN, &TRUNCATE, &FILE_TRUNCATE],
                blind: "",
            },
            Way { name: "fexit before 6.2", hooks: &[&ATTRIBUTE_DONE, &CHMOD, &CHOWN, &TRUNCATE], blind: "" },
            Way {
                name: "fexit before 6.1",
                hooks: &[&ATTRIBUTE_DONE, &CHMOD, &CHOWN_COMMON, &TRUNCATE],
                blind: "",
            },
            BY_SYSCALL,
        ],
    ),
    sight(
        "file.setxattr",
        "extended attributes set",
        "extended attributes are not seen to be set",
        &[Way { name: "fexit", hooks: &[&XATTR_DONE], blind: "" }, BY_SYSCALL],
    ),
];
