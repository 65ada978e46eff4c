//! Conditions on processes: judged once for each entry of the subject table, then carried to its
//! descendants where the condition is on a parent or an ancestor.

use std::collections::HashSet;

use super::bits::Bits;
use super::rows::{Texts, source};
use super::{Test, TextTest};
use crate::batch::{Batch, BatchError, NO_SUBJECT};
use crate::field::{Field, Place};
use crate::flat::Outer;
use crate::id::EntityId;
use crate::limits::MAX_ANCESTORS;
use crate::subject::SubjectNumber;
use crate::time::BootTime;

/// The subjects of which the field passes; the field's place is a subject, a parent, an ancestor or computed from a subject.
pub(super) fn passing(
    batch: &Batch,
    outer: &Outer,
    texts: Texts<'_>,
    field: Field,
    test: &Test,
) -> Result<Bits, BatchError> {
    match field.place() {
        Place::Parent(inner) => {
            let parents = passing(batch, outer, texts, inner, test)?;
            Ok(children_of(batch.parents()?, &parents))
        }
        Place::Ancestor(inner) => {
            let ancestors = passing(batch, outer, texts, inner, test)?;
            Ok(descendants_of(batch.parents()?, &ancestors))
        }
        _ => own(batch, outer, texts, field, test),
    }
}

fn own(
    batch: &Batch,
    outer: &Outer,
    texts: Texts<'_>,
    field: Field,
    test: &Test,
) -> Result<Bits, BatchError> {
    let mut passing = Bits::none(batch.n_subjects() as usize);
    let mut each = |passes: &mut dyn Iterator<Item = bool>| {
        passes.enumerate().filter(|(_, passes)| *passes).for_each(|(n, _)| passing.set(n));
    };
    match field {
        Field::ProcessPid => {
            each(&mut batch.subjects()?.pids().iter().map(|pid| test.matches_number(i128::from(*pid))));
        }
        Field::ProcessStart => {
            let clock = batch.header().clock;
            let time = |ns: &u64| clock.timestamp(BootTime::from_ns(*ns)).unix_ns();
            each(&mut batch.subjects()?.starts().iter().map(|ns| test.matches_number(i128::from(time(ns)))));
        }
        Field::ProcessEntityId => {
            let (subjects, boot) = (batch.subjects()?, batch.header().boot);
            let entities = (0..subjects.len())
                .map(|n| subjects.key(SubjectNumber(n)).map(|key| key.entity(outer.host, boot)));
            let passes = entity_test(texts, test);
            each(&mut entities.map(|entity| entity.is_some_and(&passes)));
        }
        _ => {
            if let Some((column, view)) = source(field)
                && let Some(column) = batch.subject_column(column)?
            {
                texts.passing(column, test, view, |n| passing.set(n));
            }
        }
    }
    Ok(passing)
}

/// Whether an entity's text passes; plain values are compared as numbers.
fn entity_test<'a>(texts: Texts<'a>, test: &'a Test) -> Box<dyn Fn(EntityId) -> bool + 'a> {
    let Test::Text(n) = test else { return Box::new(|_| *test == Test::Exists) };
    match texts.predicate.texts.get(*n) {
        Some(TextTest::OneOf(values)) => {
            let wanted: HashSet<EntityId> = values.iter().filter_map(|value| entity(value)).collect();
            Box::new(move |entity| wanted.contains(&entity))
        }
        Some(text) => Box::new(move |entity| text.matches(entity.to_string().as_bytes(), &mut Vec::new())),
        None => Box::new(|_| false),
    }
}

/// The entity of which this is the text, byte for byte.
pub(super) fn entity(text: &[u8]) -> Option<EntityId> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|entity: &EntityId| entity.to_string() == text)
}

fn children_of(parents: &[u32], passing: &Bits) -> Bits {
    let mut children = Bits::none(parents.len());
    for (n, &parent) in parents.iter().enumerate() {
        // Nobody is its own parent, whatever a host says; nor does `NO_SUBJECT` name anyone.
        if parent as usize != n && passing.get(parent as usize) {
            children.set(n);
        }
    }
    children
}

/// Who has one of these above it, as [`crate::batch::Subjects::ancestors`] walks: so far up, and not round a cycle back to itself.
fn descendants_of(parents: &[u32], ancestors: &Bits) -> Bits {
    let mut descendants = Bits::none(parents.len());
    if ancestors.is_empty() {
        return descendants;
    }
    for n in 0..parents.len() {
        let mut at = n;
        for _ in 0..MAX_ANCESTORS {
            match parents.get(at) {
                Some(&parent) if parent != NO_SUBJECT && parent as usize != n => at = parent as usize,
                _ => break,
            }
            if ancestors.get(at) {
                descendants.set(n);
                break;
            }
        }
    }
    descendants
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bytes::Bytes;

    use super::*;
    use crate::batch::Builder;
    use crate::event::{Event, Kind, Row};
    use crate::flat::Flattener;
    use crate::flat::fixture::{host, seal};
    use crate::id::ProcessKey;
    use crate::predicate::{Options, Predicate};
    use crate::subject::Subject;
    use crate::value::Value;

    /// A line of processes, each forked by the one before and named by its number; one exec event of each. The first's parent is `first_parent`.
    fn line(n: u32, first_parent: Option<u32>) -> Batch {
        let mut builder = Builder::new();
        for pid in 0..n {
            let path = Bytes::from(format!("/bin/{pid}"));
            builder.subject(&Subject {
                key: ProcessKey { start: BootTime::from_ns(u64::from(pid)), pid },
                image: 0,
                parent: pid.checked_sub(1).or(first_parent).map(SubjectNumber),
                is_new: false,
                row: Row::default().with(Field::ProcessExecutable, path),
            });
        }
        for pid in 0..n {
            let event = Event { time: BootTime::default(), kind: Kind::EXEC, row: Row::default() };
            builder.push(&event, Some(SubjectNumber(pid)));
        }
        Batch::open(&seal(&mut builder)).unwrap()
    }

    #[track_caller]
    fn check(batch: &Batch, text: &str, expected: impl IntoIterator<Item = u32>) {
        let outer = host();
        let predicate = Predicate::parse(text, &Options::default()).unwrap();
        let expected: Vec<u32> = expected.into_iter().collect();
        assert_eq!(predicate.select(batch, &outer).unwrap(), expected, "{text} over columns");
        let mut flattener = Flattener::new(batch, &outer);
        let single: Vec<u32> = (0..batch.n_events())
            .filter(|n| predicate.matches(&flattener.event(*n).unwrap().unwrap()))
            .collect();
        assert_eq!(single, expected, "{text} over single events");
    }

    #[test]
    fn ancestors_are_found_so_far_up_and_no_further() {
        let batch = line(100, None);
        check(&batch, "process.ancestor.name:10", 11..=74);
        check(&batch, "process.parent.name:10", [11]);
        check(&batch, "process.name:10", [10]);
        check(&batch, "not process.ancestor.name:*", [0]);
        check(&batch, "process.parent.pid >= 97", [98, 99]);
    }

    #[test]
    fn names_are_found_where_strings_end() {
        let mut builder = Builder::new();
        let paths: &[&[u8]] =
            &[b"/bin/ls", b"ls", b"/bin/lsls", b"xls", b"/ls/", b"/bin/ls\0", b"/a\0/ls", b"ls\0ls", b"/x"];
        for (pid, path) in (0..).zip(paths) {
            let key = ProcessKey { start: BootTime::default(), pid };
            let row = Row::default().with(Field::ProcessExecutable, Bytes::from_static(path));
            let subject = builder.subject(&Subject { key, image: 0, parent: None, is_new: false, row });
            let event = Event { time: BootTime::default(), kind: Kind::EXEC, row: Row::default() };
            builder.push(&event, Some(subject));
        }
        let batch = Batch::open(&seal(&mut builder)).unwrap();
        check(&batch, "process.name:ls", [0, 1, 6]);
        check(&batch, "process.name:(ls or x)", [0, 1, 6, 8]);
        check(&batch, "process.name:lsls", [2]);
        check(&batch, "process.executable:ls", [1]);
        check(&batch, "process.executable:(ls or \"/x\" or \"/bin/ls\")", [0, 1, 8]);
        check(&batch, "process.name:\"\"", [4]);
    }

    #[test]
    fn cycles_end_where_they_close() {
        let batch = line(3, Some(2));
        check(&batch, "process.ancestor.name:0", [1, 2]);
        check(&batch, "process.parent.name:2", [0]);
        let alone = line(1, Some(0));
        check(&alone, "process.parent.name:* or process.ancestor.executable:*", []);
    }

    #[test]
    fn command_lines_are_searched_across_their_arguments() {
        let mut builder = Builder::new();
        let lines: &[&[&'static str]] =
            &[&["rm", "-rf", "/"], &["sh", "-c", "rm -rf"], &["rm", "x-rf"], &[], &[" "]];
        for (pid, args) in lines.iter().enumerate() {
            let args = args.iter().map(|arg| Bytes::from_static(arg.as_bytes())).collect();
            let key = ProcessKey { start: BootTime::default(), pid: pid as u32 };
            let row = Row::default().with(Field::ProcessArgs, Value::List(args));
            let subject = builder.subject(&Subject { key, image: 0, parent: None, is_new: false, row });
            let event = Event { time: BootTime::default(), kind: Kind::EXEC, row: Row::default() };
            builder.push(&event, Some(subject));
        }
        let batch = Batch::open(&seal(&mut builder)).unwrap();
        check(&batch, "process.command_line:*\"rm -rf\"*", [0, 1]);
        check(&batch, "process.command_line:*\"M -R\"i*", [0, 1]);
        check(&batch, "process.command_line:\"rm -rf /\"", [0]);
        check(&batch, "process.command_line:(\"rm -rf\" or \"sh -c rm -rf\")", [1]);
        check(&batch, "\"c rm\" or process.command_line:rm*", [0, 1, 2]);
        check(&batch, "process.command_line:*\" \"*", [0, 1, 2, 4]);
        check(&batch, "process.command_line:*", [0, 1, 2, 4]);
        check(&batch, "process.command_line:\"\"", []);
        check(&batch, "process.args:\"rm -rf\"", [1]);
    }
}
