//! `process`: its life, and what is done to other processes.

use wire::event::{Kind, Row};
use wire::field::Field;
use wire::value::Value;

use super::super::class::{FILE, MEMORY, PROCESS};
use super::super::codes::PROTECTION;
use super::super::mapping::{Case, Mapping, Roles};
use super::super::object::{REQUIRED_FILE, TARGET, UNKNOWN};
use crate::shape::{Attribute, Form, From};

const CHANGED: Roles = Roles::Changed(&[Attribute::object(
    "user",
    &[
        Attribute { name: "uid", from: From::FieldOr(Field::ProcessNewUserId, Form::Text, UNKNOWN) },
        Attribute {
            name: "groups",
            from: From::List(&[&[Attribute::field("uid", Field::ProcessNewGroupId, Form::Text)]]),
        },
    ],
)]);

const CAPABILITIES: &[Attribute] = &[Attribute::plain("actual_permissions", Field::ProcessNewCapabilities)];

/// Signals that stop a process, or let it go on: SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU.
const STOPPING: std::ops::RangeInclusive<u64> = 18..=22;

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(
        Kind::FORK,
        &PROCESS,
        &[Case::new(
            1,
            &[Attribute::always("launch_type_id", "2"), Attribute::always("launch_type", r#""Fork""#)],
        )],
    )
    .roles(Roles::Launched),
    Mapping::new(
        Kind::EXEC,
        &PROCESS,
        &[Case::new(
            1,
            &[Attribute::always("launch_type_id", "3"), Attribute::always("launch_type", r#""Exec""#)],
        )],
    )
    .roles(Roles::Launched),
    Mapping::new(
        Kind::EXIT,
        &PROCESS,
        &[Case::new(2, &[Attribute::plain("exit_code", Field::ProcessExitCode)])],
    )
    .roles(Roles::Ended),
    Mapping::new(Kind::SETUID, &PROCESS, &[Case::new(5, &[])]).roles(CHANGED),
    Mapping::new(Kind::SETGID, &PROCESS, &[Case::other("Set Group ID", &[])]).roles(CHANGED),
    Mapping::new(Kind::CAPSET, &PROCESS, &[Case::other("Set Capabilities", CAPABILITIES)]).roles(CHANGED),
    Mapping::new(Kind::PTRACE, &PROCESS, &[Case::new(3, &[TARGET])]),
    Mapping::new(Kind::SIGNAL, &PROCESS, &[Case::new(2, &[TARGET]), Case::other("Stop", &[TARGET])])
        .choose(ends_or_stops),
    Mapping::new(
        Kind::MPROTECT_EXEC,
        &MEMORY,
        &[Case::new(
            2,
            &[Attribute::field("actual_permissions", Field::MemoryProtection, Form::Bits(&PROTECTION))],
        )],
    )
    .roles(Roles::Itself),
    Mapping::new(Kind::MEMFD_CREATE, &FILE, &[Case::new(1, &[REQUIRED_FILE])]),
    Mapping::new(
        Kind::PROCESS_VM_WRITE,
        &PROCESS,
        &[Case::new(
            4,
            &[
                Attribute::always("injection_type_id", "99"),
                Attribute::always("injection_type", r#""process_vm_writev""#),
                TARGET,
            ],
        )],
    ),
];

fn ends_or_stops(row: &Row) -> usize {
    match row.get(Field::SignalNumber) {
        Some(Value::Uint(number)) if STOPPING.contains(number) => 1,
        _ => 0,
    }
}
