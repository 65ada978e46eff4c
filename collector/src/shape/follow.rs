//! Writes what a table of attributes says of a row.

use wire::event::Row;
use wire::field::{Field, Place};
use wire::value::Value;

use super::attribute::{Attribute, From};
use super::writer::Writer;

/// What a table is followed for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The event's own fields. What only others may say is not taken from them.
    pub event: Option<&'a Row>,
    /// Its subject's.
    pub subject: Option<&'a Row>,
    /// The event's id.
    pub id: &'a str,
    /// What was done.
    pub action: &'a str,
    /// What [`From::Host`] stands for: members of an object.
    pub host: &'a [u8],
}

impl<'a> Given<'a> {
    /// A field's value, if it [`fits`].
    pub fn get(&self, field: Field) -> Option<&'a Value> {
        let value = match is_of_events(field) {
            true => self.event?.get(field),
            false => self.subject?.get(field),
        };
        value.filter(|value| fits(field, value))
    }
}

/// Whether others' schemas take a value, whoever made it up: ports have 16 bits, numbers at most 63. What does not fit stands where
/// the rest does.
pub fn fits(field: Field, value: &Value) -> bool {
    match value {
        Value::Uint(port) if matches!(field, Field::SourcePort | Field::DestinationPort) => {
            u16::try_from(*port).is_ok()
        }
        Value::Uint(number) => i64::try_from(*number).is_ok(),
        _ => true,
    }
}

/// Whether events have such a field as a column of their own.
pub fn is_of_events(field: Field) -> bool {
    field.place() == Place::Event || field == Field::NetworkDirection
}

/// Writes these attributes as members; says whether any had a value of its own.
pub fn follow(attributes: &[Attribute], given: Given<'_>, to: &mut Writer) -> bool {
    let mut any = false;
    for Attribute { name, from } in attributes {
        any |= match from {
            From::Always(json) | From::Implied(_, json) => {
                to.member(name, json);
                matches!(from, From::Implied(..))
            }
            From::Field(field, form) => match given.get(*field) {
                Some(value) => {
                    to.key(name);
                    form.write(*field, value, to);
                    true
                }
                None => false,
            },
            From::Either(first, second, form) => {
                let found = [first, second].into_iter().find_map(|field| Some((field, given.get(*field)?)));
                match found {
                    Some((field, value)) => {
                        to.key(name);
                        form.write(*field, value, to);
                        true
                    }
                    None => false,
                }
            }
            From::FieldOr(field, form, json) => {
                to.key(name);
                let value = given.get(*field);
                match value {
                    Some(value) => form.write(*field, value, to),
                    None => to.raw(json),
                }
                value.is_some()
            }
            From::Object(inner) => {
                let before = to.len();
                to.key(name);
                object(inner, before, given, to)
            }
            From::List(objects) => {
                let before = to.len();
                to.key(name);
                to.raw("[");
                let mut any = false;
                for inner in *objects {
                    let before = to.len();
                    to.comma();
                    any |= object(inner, before, given, to);
                }
                match any {
                    true => to.raw("]"),
                    false => to.truncate(before),
                }
                any
            }
            From::When(field, json) => {
                if given.get(*field).is_some() {
                    to.member(name, json);
                }
                false
            }
            From::Required(inner) => {
                to.key(name);
                to.raw("{");
                follow(inner, given, to);
                to.raw("}");
                true
            }
            From::Id => {
                to.string_member(name, given.id);
                true
            }
            From::Action => {
                to.string_member(name, given.action);
                true
            }
            From::Host => {
                to.splice(given.host);
                true
            }
        };
    }
    any
}

/// Writes an object; takes back what was written since `before` where none of its fields has a value.
fn object(attributes: &[Attribute], before: usize, given: Given<'_>, to: &mut Writer) -> bool {
    to.raw("{");
    let any = follow(attributes, given, to);
    match any {
        true => to.raw("}"),
        false => to.truncate(before),
    }
    any
}

#[cfg(test)]
mod tests {
    use super::super::form::{Codes, Form};
    use super::*;

    const KINDS: Codes = Codes::new(&[("regular", 1, "Regular File")]);
    const TABLE: &[Attribute] = &[
        Attribute::object(
            "file",
            &[
                Attribute { name: "name", from: From::FieldOr(Field::FilePath, Form::Base, r#""unknown""#) },
                Attribute::field("type_id", Field::FileType, Form::Code(&KINDS)),
                Attribute { name: "hashes", from: From::List(&[&[Attribute::always("algorithm_id", "3")]]) },
                Attribute::object("owner", &[Attribute::field("uid", Field::FileOwner, Form::Text)]),
            ],
        ),
        Attribute { name: "dst", from: From::Object(&[Attribute { name: "", from: From::Host }]) },
    ];

    fn written(row: &Row) -> String {
        let mut to = Writer::default();
        follow(TABLE, Given { event: Some(row), host: br#""uid":"h""#, ..Given::default() }, &mut to);
        String::from_utf8(to.finish().0).expect("JSON is UTF-8")
    }

    #[test]
    fn objects_without_values_are_left_out() {
        assert_eq!(written(&Row::default()), r#""dst":{"uid":"h"}"#);
        let row = Row::default().with(Field::FileOwner, 0u64);
        assert_eq!(written(&row), r#""file":{"name":"unknown","owner":{"uid":"0"}},"dst":{"uid":"h"}"#);
    }

    #[test]
    fn values_take_their_forms() {
        let row = Row::default().with(Field::FilePath, "/").with(Field::FileType, "whiteout");
        assert_eq!(written(&row), r#""file":{"name":"/","type_id":99},"dst":{"uid":"h"}"#);
        let row = Row::default().with(Field::FilePath, "/etc/a\"b").with(Field::FileType, "regular");
        assert_eq!(written(&row), r#""file":{"name":"a\"b","type_id":1},"dst":{"uid":"h"}"#);
    }

    #[test]
    fn what_stands_there_in_part_is_left_for_the_rest() {
        let fields = Attribute::fields(TABLE);
        assert!(fields.has(Field::FileOwner));
        assert!(!fields.has(Field::FilePath) && !fields.has(Field::FileType));
    }
}
