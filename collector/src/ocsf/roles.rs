//! Who did it, and to which process.

use wire::field::Field;
use wire::time::WallTime;

use super::mapping::{Mapping, Roles};
use super::object::UNKNOWN;
use super::process::Shown;
use crate::shape::{Attribute, Given, Writer, follow};

/// The processes of an event.
#[derive(Clone, Copy, Debug)]
pub struct Cast<'a> {
    /// Its subject, with its lineage.
    pub subject: Option<&'a Shown>,
    /// The subject's parent.
    pub parent: Option<&'a Shown>,
}

/// An actor must be something.
const NOBODY: &str = r#"{"app_name":"unknown"}"#;

/// What a process that changes stays.
const SAME: &[Attribute] = &[
    Attribute::plain("uid", Field::ProcessEntityId),
    Attribute::plain("pid", Field::ProcessPid),
    Attribute::plain("name", Field::ProcessName),
];

/// Writes `actor` and, where the subject has to do with it, `process`. The lineage stands where the subject first does.
pub fn roles(mapping: &Mapping, cast: Cast<'_>, given: Given<'_>, time: WallTime, to: &mut Writer) {
    let Cast { subject, parent } = cast;
    match mapping.roles {
        Roles::Actor => actor(mapping, subject, Shown::write_with_lineage, to),
        Roles::Launched => {
            process(subject, to);
            to.raw("}");
            actor(mapping, parent, Shown::write_alone, to);
        }
        Roles::Itself => {
            process(subject, to);
            to.raw("}");
            actor(mapping, subject, Shown::write_alone, to);
        }
        Roles::Ended => {
            process(subject, to);
            to.key("terminated_time");
            to.millis(time);
            to.raw("}");
            actor(mapping, subject, Shown::write_alone, to);
        }
        Roles::Changed(attributes) => {
            to.key("process");
            to.raw("{");
            match subject {
                Some(_) => {
                    follow(SAME, given, to);
                }
                None => to.member("uid", UNKNOWN),
            }
            follow(attributes, given, to);
            to.raw("}");
            actor(mapping, subject, Shown::write_with_lineage, to);
        }
    }
}

fn actor(mapping: &Mapping, process: Option<&Shown>, write: fn(&Shown, &mut Writer), to: &mut Writer) {
    match process {
        Some(process) => {
            to.key("actor");
            to.raw(r#"{"process":{"#);
            write(process, to);
            to.raw("}}");
        }
        None if mapping.class.needs_actor => to.member("actor", NOBODY),
        None => {}
    }
}

/// Begins `process`; more may follow.
fn process(subject: Option<&Shown>, to: &mut Writer) {
    to.key("process");
    to.raw("{");
    match subject {
        Some(subject) => subject.write_with_lineage(to),
        None => to.member("uid", UNKNOWN),
    }
}
