//! `process`: its life, and what is done to other processes.

use super::file::{MAPPED, PROTECTED, RETURNED};
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
const SIGNALLED: Hook = Hook {
    program: "target_signalled",
    place: "signal_generate",
    class: Class::Bulk,
    kind: HookKind::Tracepoint,
};
const ACCESSED: Hook = Hook {
    program: "target_accessed",
    place: "security_ptrace_access_check",
    class: Class::Bulk,
    kind: HookKind::Return,
};
const fn credentials(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::Bulk, kind: HookKind::Return }
}

const MADE: Hook = credentials("memory_file", "shmem_file_setup");
const MADE_HUGE: Hook = credentials("memory_file_huge", "hugetlb_file_setup");
const EXEC_FILE: Hook = credentials("credentials_file", "security_bprm_creds_from_file");
const EXEC_PREPARED: Hook = Hook {
    program: "credentials_exec",
    place: "sched_prepare_exec",
    class: Class::Bulk,
    kind: HookKind::Tracepoint,
};
const UID: Hook = credentials("credentials_uid", "security_task_fix_setuid");
const GID: Hook = credentials("credentials_gid", "security_task_fix_setgid");
const CAPSET: Hook = credentials("credentials_capset", "security_capset");

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
    Sight {
        name: "process.signal",
        shows: "signals that end or stop other processes",
        without: "no signal is seen to be sent",
        required: false,
        ways: &[Way { name: "tp_btf", hooks: &[&SIGNALLED], blind: "" }],
    },
    Sight {
        name: "process.ptrace",
        shows: "ways into other processes: ptrace, /proc/PID/mem, process_vm_writev, pidfd_getfd",
        without: "no process is seen to enter another one",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&ACCESSED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "of ways into other processes only ptrace and process_vm_writev are seen, with a pid that may be another namespace's",
            },
        ],
    },
    Sight {
        name: "process.credentials",
        shows: "changes of user, group and capabilities",
        without: "who a process acts as is known from its exec only",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&UID, &GID, &CAPSET], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "of changed credentials only the new ones are seen",
            },
        ],
    },
    Sight {
        name: "process.exec_credentials",
        shows: "rights that a program's file gives: set-user-id, set-group-id, file capabilities",
        without: "that a program's file gave it rights is known from what it has after its exec only",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&EXEC_FILE], blind: "" },
            Way { name: "tp_btf", hooks: &[&EXEC_PREPARED], blind: "" },
        ],
    },
    Sight {
        name: "process.memfd_create",
        shows: "files made that are memory only",
        without: "files in memory are seen only when they are run or mapped",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&MADE, &MADE_HUGE], blind: "" },
            Way { name: "fexit without huge pages", hooks: &[&MADE], blind: "" },
            Way { name: "sys_exit", hooks: &[&RETURNED], blind: "" },
        ],
    },
    Sight {
        name: "process.mprotect_exec",
        shows: "memory made executable that no file stands behind, once for each image",
        without: "code that is made while a program runs is not seen",
        required: false,
        ways: &[
            Way { name: "fexit", hooks: &[&MAPPED, &PROTECTED], blind: "" },
            Way {
                name: "sys_exit",
                hooks: &[&RETURNED],
                blind: "whether a file stands behind memory that mprotect makes executable is not seen (event.source: syscall)",
            },
        ],
    },
];
