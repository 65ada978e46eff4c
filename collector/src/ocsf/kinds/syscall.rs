//! `syscall`: system calls that have returned; and what this version does not know.

use wire::event::Kind;

use super::super::class::KERNEL;
use super::super::mapping::{Case, Mapping};
use crate::shape::{Attribute, From};

/// Calls have a mapping for all of them, below.
pub(super) const KINDS: &[Mapping] = &[];

/// A system call: its name is the event's action.
pub(super) static CALL: Mapping = Mapping::new(
    Kind::nameless_call(0),
    &KERNEL,
    &[Case::new(
        4,
        &[Attribute {
            name: "kernel",
            from: From::Required(&[
                Attribute { name: "name", from: From::Action },
                Attribute::always("type_id", "2"),
                Attribute::always("type", r#""System Call""#),
                Attribute { name: "system_call", from: From::Action },
            ]),
        }],
    )],
);

/// What a later version's sensors tell: its number, and its fields as they are.
pub(super) static UNKNOWN: Mapping = Mapping::new(
    Kind::new(0),
    &KERNEL,
    &[Case::new(
        0,
        &[Attribute {
            name: "kernel",
            from: From::Required(&[
                Attribute { name: "name", from: From::Action },
                Attribute::always("type_id", "0"),
            ]),
        }],
    )],
);
