//! `container`: their lives. The subject is the container's first process.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A container's first program is executed.
    pub const CONTAINER_START: Kind = Kind(90);
    /// A container's last process has ended. The exit code is the first one's, where its end was seen.
    pub const CONTAINER_STOP: Kind = Kind(91);
}

const fn container(kind: Kind, action: &'static str, columns: &'static [Field]) -> KindInfo {
    KindInfo { kind, category: "container", action, lane: Lane::Critical, columns }
}

pub(super) const KINDS: &[KindInfo] = &[
    container(Kind::CONTAINER_START, "start", &[]),
    container(Kind::CONTAINER_STOP, "stop", &[Field::ProcessExitCode]),
];
