//! `syscall`: the system calls that a collection asks for.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

/// Beside the program that reads calls for other sights: this one is attached only where calls are asked for.
const CALLED: Hook =
    Hook { program: "call_returned", place: "sys_exit", class: Class::File, kind: HookKind::Tracepoint };

/// What this sight is called.
pub(super) const CALL: &str = "syscall.call";

pub(super) static SIGHTS: &[Sight] = &[Sight {
    name: CALL,
    shows: "the system calls that the collection asks for",
    without: "no system call is told, whatever the collection asks for",
    required: false,
    ways: &[Way { name: "tp_btf", hooks: &[&CALLED], blind: "" }],
}];
