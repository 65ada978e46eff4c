//! `sensor`: who gets hold of what is its own in the kernel.

use super::{Sight, Way, file::RETURNED};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn after(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Process, kind: HookKind::Return }
}

const MAP: Hook = after("touch_map", "security_bpf_map");
const PROGRAM: Hook = after("touch_program", "security_bpf_prog");

pub(super) static SIGHTS: &[Sight] = &[Sight {
    name: "sensor.tamper",
    shows: "who gets hold of the sensor's own programs and maps",
    without: "who changes the sensor's own programs and maps is not seen, only that they were changed",
    required: false,
    ways: &[
        Way { name: "fexit", hooks: &[&MAP, &PROGRAM], blind: "" },
        Way { name: "sys_exit", hooks: &[&RETURNED], blind: "" },
    ],
}];
