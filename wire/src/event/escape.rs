//! `escape`: signs that a process gets out of its container. Each is an event in its own right, beside the event of what was
//! done, and travels in the critical lane.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A process of a container came to live in the host's mount or pid namespace (`namespace.changed` says which).
    pub const ESCAPE_HOST_NAMESPACE: Kind = Kind(110);
    /// A process of a container mounted a file system that lies on a device.
    pub const ESCAPE_HOST_MOUNT: Kind = Kind(111);
    /// A process of a container opened a control group's `release_agent` to write to it: the kernel runs that program on the host.
    pub const ESCAPE_RELEASE_AGENT: Kind = Kind(112);
    /// A process of a container set `kernel.core_pattern`: the kernel runs that program on the host when a process crashes.
    pub const ESCAPE_CORE_PATTERN: Kind = Kind(113);
    /// A process of a container set `kernel.modprobe` or `kernel.hotplug`: the kernel runs that program on the host.
    pub const ESCAPE_MODPROBE: Kind = Kind(114);
    /// A process of a container connected to a container runtime's socket: whoever talks to it rules the host.
    pub const ESCAPE_RUNTIME_SOCKET: Kind = Kind(115);
    /// A process of a container opened a file that lies in the host's mount namespace.
    pub const ESCAPE_OUTSIDE_ROOT: Kind = Kind(116);
}

const WHAT: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::FilePath,
    Field::FileTargetPath,
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
    Field::NamespaceChanged,
    Field::NamespaceMnt,
    Field::NamespacePid,
    Field::NamespaceNet,
    Field::NamespaceUser,
];

const fn escape(kind: Kind, action: &'static str) -> KindInfo {
    KindInfo { kind, category: "escape", action, lane: Lane::Critical, columns: WHAT }
}

pub(super) const KINDS: &[KindInfo] = &[
    escape(Kind::ESCAPE_HOST_NAMESPACE, "host_namespace"),
    escape(Kind::ESCAPE_HOST_MOUNT, "host_mount"),
    escape(Kind::ESCAPE_RELEASE_AGENT, "release_agent"),
    escape(Kind::ESCAPE_CORE_PATTERN, "core_pattern"),
    escape(Kind::ESCAPE_MODPROBE, "modprobe"),
    escape(Kind::ESCAPE_RUNTIME_SOCKET, "runtime_socket"),
    escape(Kind::ESCAPE_OUTSIDE_ROOT, "outside_root"),
];
