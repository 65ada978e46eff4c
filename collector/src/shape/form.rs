//! In which form a field's value stands in somebody else's schema.

use std::net::IpAddr;

use wire::field::Field;
use wire::term::base_name;
use wire::value::Value;

use super::writer::Writer;

/// What becomes of a value on its way into a record.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// As the search's JSON has it.
    Plain,
    /// A number as a text.
    Text,
    /// The last part of a path; of `/` the whole.
    Base,
    /// Permission bits as four octal digits.
    Octal,
    /// A mask as a hexadecimal text.
    Hex,
    /// A mask of capabilities as a list of their names.
    Capabilities,
    /// A time in ms since 1970.
    Millis,
    /// A time as RFC 3339 has it, to the nanosecond.
    Moment,
    /// A text as the number that the schema has for it.
    Code(&'static Codes),
    /// A text as the schema's own word for it; as it is where it has none.
    Caption(&'static Codes),
    /// A list of texts as the sum of the numbers that stand for them.
    Bits(&'static Codes),
    /// A list of texts as a list of objects with this attribute.
    Each(&'static str),
    /// The first text of a list.
    First,
    /// A list of one text.
    Listed,
    /// 4 or 6, of an address.
    IpVersion,
    /// ipv4 or ipv6, of an address.
    IpType,
}

/// An enumeration: for each of our texts the schema's number and its caption.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    known: &'static [(&'static str, i32, &'static str)],
    /// The schema's number for all others.
    other: i32,
}

impl Codes {
    /// These, and 99 for others, as OCSF mostly has it.
    pub const fn new(known: &'static [(&'static str, i32, &'static str)]) -> Self {
        Self { known, other: 99 }
    }

    /// The same with another number for others.
    #[must_use]
    pub const fn or(self, other: i32) -> Self {
        Self { other, ..self }
    }

    fn find(&self, text: &[u8]) -> Option<(i32, &'static str)> {
        let found = self.known.iter().find(|(known, ..)| known.as_bytes() == text);
        found.map(|(_, number, caption)| (*number, *caption))
    }
}

impl Form {
    /// Whether the value can be had back from what is written.
    pub(super) const fn is_whole(self) -> bool {
        !matches!(
            self,
            Form::Base
                | Form::Millis
                | Form::Code(_)
                | Form::Bits(_)
                | Form::First
                | Form::IpVersion
                | Form::IpType
        )
    }

    /// What becomes of a value, for a reference; `None`: nothing.
    pub(super) const fn note(self) -> Option<&'static str> {
        Some(match self {
            Form::Plain | Form::Text => return None,
            Form::Base => "the last part of the path",
            Form::Octal => "in octal",
            Form::Hex => "in hexadecimal",
            Form::Capabilities => "by name",
            Form::Millis => "in ms since 1970",
            Form::Moment => "RFC 3339",
            Form::Code(_) => "as the schema's number",
            Form::Caption(_) => "as the schema's word",
            Form::Bits(_) => "as a mask",
            Form::Each(_) => "one object each",
            Form::First => "the first",
            Form::Listed => "as a list",
            Form::IpVersion => "4 or 6",
            Form::IpType => "ipv4 or ipv6",
        })
    }

    /// Writes a value in this form. What is not of the type that the form is for is written as it is.
    pub(super) fn write(self, field: Field, value: &Value, to: &mut Writer) {
        match (self, value) {
            (Form::Text, Value::Uint(number)) => to.quoted_number(*number),
            (Form::Base, Value::Keyword(path)) => {
                let name = base_name(path);
                to.part(field, path, if name.is_empty() { path } else { name });
            }
            (Form::Octal, Value::Uint(mode)) => to.string(&format!("{mode:04o}")),
            (Form::Hex, Value::Uint(mask)) => to.string(&format!("{mask:#x}")),
            (Form::Capabilities, Value::Uint(mask)) => {
                to.list(wire::flat::capability_names(*mask), |to, name| to.string(&name));
            }
            (Form::Millis, Value::Time(time)) => to.millis(*time),
            (Form::Moment, Value::Time(time)) => to.moment(*time),
            (Form::Code(codes), Value::Keyword(text)) => {
                to.signed(i64::from(codes.find(text).map_or(codes.other, |(number, _)| number)));
            }
            (Form::Caption(codes), Value::Keyword(text)) => match codes.find(text) {
                Some((_, caption)) => to.string(caption),
                None => to.text(field, text),
            },
            (Form::Bits(codes), Value::List(texts)) => {
                let known = texts.iter().filter_map(|text| codes.find(text));
                to.signed(i64::from(known.fold(0, |mask, (bit, _)| mask | bit)));
            }
            (Form::Each(name), Value::List(texts)) => to.objects(field, name, texts),
            (Form::First, Value::List(texts)) => {
                to.text(field, texts.first().map(|text| &text[..]).unwrap_or_default());
            }
            (Form::Listed, Value::Keyword(_)) => {
                to.raw("[");
                to.plain(field, value);
                to.raw("]");
            }
            (Form::IpVersion, Value::Ip(address)) => to.number(if is_ipv4(*address) { 4 } else { 6 }),
            (Form::IpType, Value::Ip(address)) => {
                to.string(if is_ipv4(*address) { "ipv4" } else { "ipv6" });
            }
            _ => to.plain(field, value),
        }
    }
}

fn is_ipv4(address: IpAddr) -> bool {
    address.to_canonical().is_ipv4()
}
