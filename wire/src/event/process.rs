//! `process`: fork, exec, exit.

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
}

pub(super) static KINDS: &[KindInfo] = &[
    KindInfo { kind: Kind::FORK, category: "process", action: "fork", lane: Lane::Critical, columns: &[] },
    KindInfo { kind: Kind::EXEC, category: "process", action: "exec", lane: Lane::Critical, columns: &[] },
    KindInfo {
        kind: Kind::EXIT,
        category: "process",
        action: "exit",
        lane: Lane::Critical,
        columns: &[Field::ProcessExitCode, Field::ProcessDurationNs, Field::SignalNumber],
    },
];
