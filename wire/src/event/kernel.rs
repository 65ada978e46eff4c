//! `kernel`: what processes do to the kernel.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A kernel module was loaded.
    pub const MODULE_LOAD: Kind = Kind(60);
    /// A BPF program was loaded; `kernel.object.type` says of which type, `kernel.object.attach` for which place.
    pub const BPF_LOAD: Kind = Kind(61);
    /// Something was mounted at `file.path`; `file.target_path` says what, `kernel.object.name` of which type.
    pub const MOUNT: Kind = Kind(62);
    /// What was mounted at `file.path` was taken off.
    pub const UNMOUNT: Kind = Kind(63);
    /// A process came to live in other namespaces.
    pub const NAMESPACE_CHANGE: Kind = Kind(64);
    /// A process took `file.path` for its root.
    pub const CHROOT: Kind = Kind(65);
    /// A process made `file.path` the root of its mount namespace.
    pub const PIVOT_ROOT: Kind = Kind(66);
    /// A process asked for another kernel to be run; `file.path` is its image, where there is one.
    pub const KEXEC: Kind = Kind(67);
    /// A process set a setting of the kernel (`kernel.object.name`) to `kernel.object.value`, or opened a file by which ftrace or
    /// control groups are controlled (`file.path`) to write to it.
    pub const SYSCTL: Kind = Kind(68);
    /// A process made an io_uring, through which it can ask for things without system calls.
    pub const IO_URING_SETUP: Kind = Kind(69);
}

const PLACES: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::FilePath,
    Field::FileTargetPath,
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
    Field::KernelObjectName,
];

const SETTING: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::FilePath,
    Field::FileInode,
    Field::FileDevice,
    Field::FileMode,
    Field::FileOwner,
    Field::FileAccess,
    Field::FileTruncated,
    Field::FileType,
    Field::FileFilesystem,
    Field::FileHostNamespace,
    Field::FileGroup,
    Field::FileSize,
    Field::KernelObjectName,
    Field::KernelObjectValue,
];

const fn kernel(kind: Kind, action: &'static str, columns: &'static [Field]) -> KindInfo {
    KindInfo { kind, category: "kernel", action, lane: Lane::Bulk, columns }
}

pub(super) const KINDS: &[KindInfo] = &[
    kernel(Kind::MODULE_LOAD, "module_load", &[Field::KernelObjectName]),
    kernel(
        Kind::BPF_LOAD,
        "bpf_load",
        &[Field::KernelObjectName, Field::KernelObjectType, Field::KernelObjectAttach],
    ),
    kernel(Kind::MOUNT, "mount", PLACES),
    kernel(Kind::UNMOUNT, "unmount", PLACES),
    kernel(
        Kind::NAMESPACE_CHANGE,
        "namespace_change",
        &[
            Field::EventSource,
            Field::NamespaceChanged,
            Field::NamespaceMnt,
            Field::NamespacePid,
            Field::NamespaceNet,
            Field::NamespaceUser,
        ],
    ),
    kernel(Kind::CHROOT, "chroot", PLACES),
    kernel(Kind::PIVOT_ROOT, "pivot_root", PLACES),
    kernel(Kind::KEXEC, "kexec", PLACES),
    kernel(Kind::SYSCTL, "sysctl", SETTING),
    kernel(Kind::IO_URING_SETUP, "io_uring_setup", &[]),
];
