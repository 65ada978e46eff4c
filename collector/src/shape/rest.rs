//! What no table has a place for: kept under its own name, so that nothing is lost.

use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use super::field_set::FieldSet;
use super::follow::{fits, is_of_events};
use super::form::Form;
use super::writer::Writer;

/// Writes an event's own fields that are not in the set as members, each under its whole name.
///
/// A column that no event may claim (a host's name, say) is not written, as no reader shows it.
pub fn rest(row: &Row, mapped: FieldSet, to: &mut Writer) {
    for (field, value) in row.iter() {
        if is_of_events(field) && is_left(field, value, mapped) {
            to.key(field.name());
            to.plain(field, value);
        }
    }
}

/// Writes a subject's fields that are not in the set as members, each under its whole name.
///
/// - Arguments are told only where the command line does not tell where one ends: where one holds a blank, or nothing.
/// - Capabilities are told as a mask: root's have forty names.
pub fn rest_of_subject(row: &Row, mapped: FieldSet, to: &mut Writer) {
    for (field, value) in row.iter() {
        if !is_left(field, value, mapped) || field == Field::ProcessArgs && !is_ambiguous(value) {
            continue;
        }
        to.key(field.name());
        match field {
            Field::ProcessCapabilities => Form::Hex.write(field, value, to),
            _ => to.plain(field, value),
        }
    }
}

/// Whether a value has no place in a table that has one for these fields.
pub fn is_left(field: Field, value: &Value, mapped: FieldSet) -> bool {
    !mapped.has(field) || !fits(field, value)
}

/// Writes a row as members, nested by the dots of the fields' names; says whether there were any.
pub fn nested(row: &Row, to: &mut Writer) -> bool {
    let mut fields: Vec<(&str, Field, &Value)> =
        row.iter().map(|(field, value)| (field.name(), field, value)).collect();
    fields.sort_unstable_by_key(|(name, ..)| *name);
    let mut open: Vec<&str> = Vec::new();
    for (name, field, value) in &fields {
        let mut parts: Vec<&str> = name.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let n_shared = open.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        open.drain(n_shared..).for_each(|_| to.raw("}"));
        for part in parts.into_iter().skip(n_shared) {
            to.key(part);
            to.raw("{");
            open.push(part);
        }
        to.key(last);
        to.plain(*field, value);
    }
    open.iter().for_each(|_| to.raw("}"));
    !fields.is_empty()
}

fn is_ambiguous(arguments: &Value) -> bool {
    match arguments {
        Value::List(arguments) => {
            arguments.iter().any(|argument| argument.is_empty() || argument.contains(&b' '))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nested_by_their_dots() {
        let row = Row::default()
            .with(Field::TargetProcessPid, 7u64)
            .with(Field::TargetProcessExecutable, "/bin/sh")
            .with(Field::SignalNumber, 9u64)
            .with(Field::NamespaceMnt, 1u64);
        let mut to = Writer::default();
        assert!(nested(&row, &mut to));
        let json = to.finish().0;
        assert_eq!(
            std::str::from_utf8(&json),
            Ok(
                r#""namespace":{"mnt":1},"signal":{"number":9},"target":{"process":{"executable":"/bin/sh","pid":7}}"#
            )
        );
        assert!(!nested(&Row::default(), &mut Writer::default()));
    }
}
