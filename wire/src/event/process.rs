//! `process`: its life, and what is done to other processes.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A process was born. The subject is the child, with its parent's image.
    pub const FORK: Kind = Kind(1);
    /// A process runs a new image. The subject is that image.
    pub const EXEC: Kind = Kind(2);
    /// A process (its thread-group leader) ended. The subject is its last image.
    pub const EXIT: Kind = Kind(3);
    /// A process's user ids were changed, by a call of its own.
    pub const SETUID: Kind = Kind(4);
    /// A process's group ids were changed, by a call of its own.
    pub const SETGID: Kind = Kind(5);
    /// A process's capabilities were changed, by a call of its own.
    pub const CAPSET: Kind = Kind(6);
    /// A process asked for power over another one (`target.process`): ptrace, /proc/PID/mem, process_vm_writev, pidfd_getfd.
    pub const PTRACE: Kind = Kind(7);
    /// A process sent another one (`target.process`) a signal that ends or stops.
    pub const SIGNAL: Kind = Kind(8);
    /// A process made memory executable that no file stands behind: told once for each of its images.
    pub const MPROTECT_EXEC: Kind = Kind(9);
    /// A process made a file that is memory only; `file.path` is its name, as /proc shows it.
    pub const MEMFD_CREATE: Kind = Kind(10);
    /// A process asked to write into the memory of another one (`target.process`), by process_vm_writev.
    pub const PROCESS_VM_WRITE: Kind = Kind(11);
}

const CREDENTIALS: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::ProcessOldUserId,
    Field::ProcessNewUserId,
    Field::ProcessOldRealUserId,
    Field::ProcessNewRealUserId,
    Field::ProcessOldGroupId,
    Field::ProcessNewGroupId,
    Field::ProcessOldCapabilities,
    Field::ProcessNewCapabilities,
];

const PTRACE: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::TargetProcessEntityId,
    Field::TargetProcessPid,
    Field::TargetProcessExecutable,
];

const SIGNAL: &[Field] = &[
    Field::EventOutcome,
    Field::EventSource,
    Field::ErrorCode,
    Field::TargetProcessEntityId,
    Field::TargetProcessPid,
    Field::TargetProcessExecutable,
    Field::SignalNumber,
];

const EXECUTABLE_MEMORY: &[Field] = &[Field::EventSource, Field::MemoryProtection];

const MEMFD: &[Field] = &[Field::EventSource, Field::FilePath, Field::FileInode];

const fn credentials(kind: Kind, action: &'static str) -> KindInfo {
    KindInfo { kind, category: "process", action, lane: Lane::Bulk, columns: CREDENTIALS }
}

pub(super) const KINDS: &[KindInfo] = &[
    KindInfo { kind: Kind::FORK, category: "process", action: "fork", lane: Lane::Critical, columns: &[] },
    KindInfo { kind: Kind::EXEC, category: "process", action: "exec", lane: Lane::Critical, columns: &[] },
    KindInfo {
        kind: Kind::EXIT,
        category: "process",
        action: "exit",
        lane: Lane::Critical,
        columns: &[Field::ProcessExitCode, Field::ProcessDurationNs, Field::SignalNumber],
    },
    credentials(Kind::SETUID, "setuid"),
    credentials(Kind::SETGID, "setgid"),
    credentials(Kind::CAPSET, "capset"),
    KindInfo { kind: Kind::PTRACE, category: "process", action: "ptrace", lane: Lane::Bulk, columns: PTRACE },
    KindInfo {
        kind: Kind::MPROTECT_EXEC,
        category: "process",
        action: "mprotect_exec",
        lane: Lane::Bulk,
        columns: EXECUTABLE_MEMORY,
    },
    KindInfo {
        kind: Kind::MEMFD_CREATE,
        category: "process",
        action: "memfd_create",
        lane: Lane::Bulk,
        columns: MEMFD,
    },
    KindInfo {
        kind: Kind::PROCESS_VM_WRITE,
        category: "process",
        action: "process_vm_write",
        lane: Lane::Bulk,
        columns: PTRACE,
    },
    KindInfo { kind: Kind::SIGNAL, category: "process", action: "signal", lane: Lane::Bulk, columns: SIGNAL },
];
