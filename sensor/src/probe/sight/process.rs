//! `process`: its life.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn tracepoint(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Process, kind: HookKind::Tracepoint }
}

const EXIT: Hook = tracepoint("process_exit", "sched_process_exit");
const EXEC: Hook = tracepoint("process_exec", "sched_process_exec");
const FORK: Hook = tracepoint("process_fork", "sched_process_fork");
const FOUND: Hook =
    Hook { program: "process_found", place: "task", class: Class::Process, kind: HookKind::Iterator };

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "process.exit",
        shows: "ends of processes",
        without: "no process is seen to end",
        required: true,
        ways: &[Way { name: "tp_btf", hooks: &[&EXIT], blind: "" }],
    },
    Sight {
        name: "process.exec",
        shows: "programs being run",
        without: "no program is seen to run",
        required: true,
        ways: &[Way { name: "tp_btf", hooks: &[&EXEC], blind: "" }],
    },
    Sight {
        name: "process.fork",
        shows: "births of processes",
        without: "ancestry is incomplete",
        required: true,
        ways: &[Way { name: "tp_btf", hooks: &[&FORK], blind: "" }],
    },
    Sight {
        name: "process.found",
        shows: "processes that already live",
        without: "processes older than the sensor are unknown",
        required: true,
        ways: &[Way { name: "iter", hooks: &[&FOUND], blind: "" }],
    },
];
