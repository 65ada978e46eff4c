//! `kernel`: what processes do to it.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const MODULE: Hook =
    Hook { program: "module_loaded", place: "module_load", class: Class::Bulk, kind: HookKind::Tracepoint };
const IO_URING: Hook = Hook {
    program: "io_uring_made",
    place: "io_uring_create",
    class: Class::Bulk,
    kind: HookKind::Tracepoint,
};

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "kernel.module_load",
        shows: "kernel modules loaded",
        without: "no kernel module is seen to be loaded",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&MODULE], blind: "" }],
    },
    Sight {
        name: "kernel.io_uring_setup",
        shows: "io_urings made",
        without: "no io_uring is seen to be made",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&IO_URING], blind: "" }],
    },
];
