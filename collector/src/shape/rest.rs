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

fn is_ambiguous(arguments: &Value) -> bool {
    match arguments {
        Value::List(arguments) => {
            arguments.iter().any(|argument| argument.is_empty() || argument.contains(&b' '))
        }
        _ => true,
    }
}
