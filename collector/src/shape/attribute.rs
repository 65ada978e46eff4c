//! An attribute of an object of a schema, and where its value comes from.

use wire::field::Field;

use super::field_set::FieldSet;
use super::form::Form;

/// An attribute of an object.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its value.
    pub from: From,
}

/// Where an attribute's value comes from.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// This JSON, always. It does not make its object worth writing.
    Always(&'static str),
    /// This JSON, as it is what the field would say of every event of such a kind.
    Implied(Field, &'static str),
    /// A field's value; left out where an event does not have it.
    Field(Field, Form),
    /// The first of two fields that an event has; neither counts as having its place here.
    Either(Field, Field, Form),
    /// A field's value; this JSON where an event does not have it, as the schema wants something there.
    FieldOr(Field, Form, &'static str),
    /// An object; left out where none of its fields has a value.
    Object(&'static [Attribute]),
    /// An object that is always there.
    Required(&'static [Attribute]),
    /// A list of objects, each left out where none of its fields has a value, as is the list where all are.
    List(&'static [&'static [Attribute]]),
    /// This JSON where the event has the field.
    When(Field, &'static str),
    /// The event's own id.
    Id,
    /// What was done: a system call's name, or the number of a kind that this version does not know.
    Action,
    /// What is known of the event's host, spliced into the object that has this among its attributes. It has no name of its own.
    Host,
}

impl Attribute {
    /// A field's value under this name.
    pub const fn field(name: &'static str, field: Field, form: Form) -> Self {
        Self { name, from: From::Field(field, form) }
    }

    /// A field's value as the search shows it, under this name.
    pub const fn plain(name: &'static str, field: Field) -> Self {
        Self::field(name, field, Form::Plain)
    }

    /// This JSON, always.
    pub const fn always(name: &'static str, json: &'static str) -> Self {
        Self { name, from: From::Always(json) }
    }

    /// An object under this name, if any of its fields has a value.
    pub const fn object(name: &'static str, attributes: &'static [Attribute]) -> Self {
        Self { name, from: From::Object(attributes) }
    }

    /// The fields that have a place in these attributes.
    pub const fn fields(attributes: &[Attribute]) -> FieldSet {
        let mut fields = FieldSet::EMPTY;
        let mut rest = attributes;
        while let [attribute, others @ ..] = rest {
            rest = others;
            fields = match attribute.from {
                From::Always(_) | From::When(..) | From::Id | From::Action | From::Host => fields,
                From::Implied(field, _) => fields.with(field),
                // What stands there in part only is left for the catch-all too.
                From::Field(field, form) | From::FieldOr(field, form, _) if form.is_whole() => {
                    fields.with(field)
                }
                From::Field(..) | From::FieldOr(..) | From::Either(..) => fields,
                From::Object(inner) | From::Required(inner) => fields.union(Attribute::fields(inner)),
                From::List(objects) => {
                    let (mut fields, mut objects) = (fields, objects);
                    while let [inner, others @ ..] = objects {
                        objects = others;
                        fields = fields.union(Attribute::fields(inner));
                    }
                    fields
                }
            };
        }
        fields
    }
}

/// One line of a reference: a field and the path at which its value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The field.
    pub field: Field,
    /// The attribute's path, as `file.hashes[].value`.
    pub path: String,
    /// What becomes of the value on the way; `None`: nothing.
    pub note: Option<&'static str>,
}

/// What these attributes say of fields, below a path, in their order.
pub fn lines(at: &str, attributes: &[Attribute]) -> Vec<Line> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let path = match at {
            "" => attribute.name.to_owned(),
            at => format!("{at}.{}", attribute.name),
        };
        let mut line = |field, note| lines.push(Line { field, path: path.clone(), note });
        match attribute.from {
            From::Always(_) | From::When(..) | From::Host => {}
            From::Id => line(Field::EventId, None),
            From::Action => line(Field::EventAction, None),
            From::Implied(field, _) => line(field, None),
            From::Field(field, form) | From::FieldOr(field, form, _) => line(field, form.note()),
            From::Either(first, second, form) => {
                line(first, form.note());
                line(second, form.note());
            }
            From::Object(inner) | From::Required(inner) => lines.extend(self::lines(&path, inner)),
            From::List(objects) => {
                objects.iter().for_each(|inner| lines.extend(self::lines(&format!("{path}[]"), inner)));
            }
        }
    }
    lines
}
