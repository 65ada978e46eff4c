//! A row as nested objects, by the dots of its fields' names.

use std::sync::LazyLock;

use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use super::writer::Writer;

/// Writes a row as members, nested by the dots of the fields' names, in the order of the fields' numbers as far as that keeps objects
/// together. What is in `event` already is written at the end of the object of that name. Says whether there were any.
pub fn nested(row: &Row, event: &[u8], to: &mut Writer) -> bool {
    let mut fields: Vec<(u16, Field, &Value)> =
        row.iter().map(|(field, value)| (place(field), field, value)).collect();
    fields.sort_unstable_by_key(|(place, ..)| *place);
    let mut open: Vec<&str> = Vec::with_capacity(4);
    for (_, field, value) in &fields {
        let (above, last) = field.name().rsplit_once('.').unwrap_or(("", field.name()));
        let mut parts = above.split('.').filter(|part| !part.is_empty()).peekable();
        let mut n_shared = 0;
        while let Some(part) = parts.peek()
            && open.get(n_shared) == Some(part)
        {
            n_shared += 1;
            parts.next();
        }
        close(&mut open, n_shared, event, to);
        for part in parts {
            to.key(part);
            to.raw("{");
            open.push(part);
        }
        to.key(last);
        to.plain(*field, value);
    }
    close(&mut open, 0, event, to);
    !fields.is_empty()
}

fn close(open: &mut Vec<&str>, n_left: usize, event: &[u8], to: &mut Writer) {
    while open.len() > n_left {
        let closed = open.pop();
        if open.is_empty() && closed == Some("event") {
            to.splice(event);
        }
        to.raw("}");
    }
}

/// Where a field is written: objects in the order in which their first fields come.
fn place(field: Field) -> u16 {
    PLACES.get(usize::from(field.number())).copied().unwrap_or(u16::MAX)
}

/// By the fields' numbers.
static PLACES: LazyLock<Vec<u16>> = LazyLock::new(|| {
    // A name's beginnings, each by the first field that has it, sort the fields of an object together.
    let first = |beginning: &str| {
        let has = |field: &&Field| {
            field.name().strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Field::ALL.iter().find(has).map_or(u16::MAX, |field| field.number())
    };
    let beginnings = |field: &Field| -> Vec<u16> {
        let name = field.name();
        let dots = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        dots.map(|end| first(name.get(..end).unwrap_or(name))).collect()
    };
    let mut sorted: Vec<Field> = Field::ALL.to_vec();
    sorted.sort_by_cached_key(beginnings);
    let mut places =
        vec![u16::MAX; Field::ALL.iter().map(|field| usize::from(field.number()) + 1).max().unwrap_or(0)];
    for (place, field) in (0..).zip(sorted) {
        if let Some(slot) = places.get_mut(usize::from(field.number())) {
            *slot = place;
        }
    }
    places
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nested_by_their_dots() {
        let row = Row::default()
            .with(Field::EventId, "a")
            .with(Field::TargetProcessPid, 7u64)
            .with(Field::TargetProcessExecutable, "/bin/sh")
            .with(Field::SignalNumber, 9u64)
            .with(Field::ProcessUserId, 1u64)
            .with(Field::ProcessPid, 2u64)
            .with(Field::ProcessUserName, "root")
            .with(Field::ProcessExitCode, Value::Int(3));
        let mut to = Writer::default();
        assert!(nested(&row, br#""b":1"#, &mut to));
        let json = to.finish().0;
        assert_eq!(
            std::str::from_utf8(&json),
            Ok(
                r#""event":{"id":"a","b":1},"process":{"pid":2,"user":{"id":1,"name":"root"},"exit_code":3},"target":{"process":{"pid":7,"executable":"/bin/sh"}},"signal":{"number":9}"#
            )
        );
        assert!(!nested(&Row::default(), b"", &mut Writer::default()));
    }

    #[test]
    fn every_field_has_a_place_of_its_own_within_its_object() {
        let row = Field::ALL.iter().fold(Row::default(), |mut row, field| {
            row.set(*field, any(*field));
            row
        });
        let mut to = Writer::default();
        to.raw("{");
        nested(&row, b"", &mut to);
        to.raw("}");
        let json: serde_json::Value = serde_json::from_slice(&to.finish().0).expect("JSON");
        assert_eq!(json, wire::event::FlatEvent { row }.to_json());
    }

    fn any(field: Field) -> Value {
        use wire::value::FieldType;
        match field.field_type() {
            FieldType::Keyword => "a".into(),
            FieldType::KeywordList => Value::List(vec![]),
            FieldType::Uint => Value::Uint(1),
            FieldType::Int => Value::Int(1),
            FieldType::Bool => Value::Bool(true),
            FieldType::Ip => Value::Ip([10, 0, 0, 1].into()),
            FieldType::Time => Value::Time(wire::time::WallTime::default()),
        }
    }
}
