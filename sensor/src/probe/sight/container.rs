//! `container`: their lives.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

/// Hit when a control group of any hierarchy gets its first process or loses its last one.
const POPULATED: Hook = Hook {
    program: "container_populated",
    place: "cgroup_notify_populated",
    class: Class::Process,
    kind: HookKind::Tracepoint,
};

pub(super) static SIGHTS: &[Sight] = &[Sight {
    name: "container.start",
    shows: "starts and stops of containers",
    without: "containers are not seen to start or stop",
    required: false,
    ways: &[Way { name: "tp_btf", hooks: &[&POPULATED], blind: "" }],
}];
