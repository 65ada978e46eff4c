//! JSON, as it is written: straight into the bytes of a record.

use std::io::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use wire::field::Field;
use wire::flat::{capability_names, escape};
use wire::time::WallTime;
use wire::value::Value;

const NANOSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(9));

/// Writes the members of JSON objects, with commas where they are needed.
///
/// Texts that are not UTF-8 are written as the search writes them, and their fields are remembered.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    escaped: Vec<Field>,
    /// Where set, texts are cut after so many bytes and lists after so many items.
    limit: Option<usize>,
}

impl Writer {
    /// Starts with room for so many bytes.
    pub fn with_capacity(n_bytes: usize) -> Self {
        Self { out: Vec::with_capacity(n_bytes), ..Self::default() }
    }

    /// The same, but texts are cut after so many bytes and lists after so many items.
    #[must_use]
    pub fn limited(self, limit: Option<usize>) -> Self {
        Self { limit, ..self }
    }

    /// The JSON, and the fields whose texts had to be escaped, each once.
    pub fn finish(self) -> (Vec<u8>, Vec<Field>) {
        (self.out, self.escaped)
    }

    /// How much has been written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes back what was written since.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// The fields whose texts had to be escaped, each once.
    pub fn escaped(&self) -> &[Field] {
        &self.escaped
    }

    /// Remembers that such a field's text, spliced here, was escaped.
    pub fn mark_escaped(&mut self, fields: &[Field]) {
        for field in fields {
            if !self.escaped.contains(field) {
                self.escaped.push(*field);
            }
        }
    }

    /// Begins a member; its value follows.
    pub fn key(&mut self, name: &str) {
        self.out.reserve(name.len() + 4);
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Members that were written elsewhere.
    pub fn splice(&mut self, members: &[u8]) {
        if !members.is_empty() {
            self.comma();
            self.out.extend_from_slice(members);
        }
    }

    /// A comma, unless nothing stands before what follows.
    pub fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':' | b',')) {
            self.out.push(b',');
        }
    }

    /// JSON as it is.
    pub fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    /// JSON as it is, in bytes.
    pub fn raw_bytes(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// A member whose value is this JSON.
    pub fn member(&mut self, name: &str, json: &str) {
        self.key(name);
        self.raw(json);
    }

    /// A member that is a text.
    pub fn string_member(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    /// A member that is a number.
    pub fn number_member(&mut self, name: &str, number: u64) {
        self.key(name);
        self.number(number);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        self.json(&number);
    }

    /// A number of either sign.
    pub fn signed(&mut self, number: i64) {
        self.json(&number);
    }

    /// A number as a text.
    pub fn quoted_number(&mut self, number: u64) {
        self.out.push(b'"');
        self.number(number);
        self.out.push(b'"');
    }

    /// A text of ours.
    pub fn string(&mut self, text: &str) {
        self.json(self.cut(text));
    }

    /// A field's text.
    pub fn text(&mut self, field: Field, text: &[u8]) {
        match std::str::from_utf8(text) {
            Ok(text) => self.string(text),
            Err(_) => self.escape(field, text),
        }
    }

    /// A part of a field's text; escaped where the whole has to be.
    pub fn part(&mut self, field: Field, whole: &[u8], part: &[u8]) {
        match (std::str::from_utf8(whole), std::str::from_utf8(part)) {
            (Ok(_), Ok(part)) => self.string(part),
            _ => self.escape(field, part),
        }
    }

    /// A list of a field's texts; where one has to be escaped, all are.
    pub fn texts(&mut self, field: Field, texts: &[Bytes]) {
        self.each(field, texts, |to, text| to.string(text));
    }

    /// A list of objects, each with one of a field's texts as this attribute.
    pub fn objects(&mut self, field: Field, name: &str, texts: &[Bytes]) {
        self.each(field, texts, |to, text| {
            to.raw("{");
            to.string_member(name, text);
            to.raw("}");
        });
    }

    /// A list.
    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.out.push(b'[');
        for item in items.into_iter().take(self.limit.unwrap_or(usize::MAX)) {
            self.comma();
            each(self, item);
        }
        self.out.push(b']');
    }

    /// A time in ms since 1970.
    pub fn millis(&mut self, time: WallTime) {
        self.signed(time.unix_ns().div_euclid(1_000_000));
    }

    /// A time as RFC 3339 has it, with nine digits of a second.
    pub fn moment(&mut self, time: WallTime) {
        self.out.push(b'"');
        // Every time that can be told in ns lies within what a timestamp holds, and a vector takes all.
        if let Ok(time) = Timestamp::from_nanosecond(i128::from(time.unix_ns())) {
            let _ = NANOSECONDS.print_timestamp(&time, &mut self.out);
        }
        self.out.push(b'"');
    }

    /// A value as the search's JSON has it.
    pub fn plain(&mut self, field: Field, value: &Value) {
        match value {
            Value::Keyword(text) => self.text(field, text),
            Value::List(texts) => self.texts(field, texts),
            Value::Uint(mask) if field == Field::ProcessCapabilities => {
                self.list(capability_names(*mask), |to, name| to.string(&name));
            }
            Value::Uint(number) => self.number(*number),
            Value::Int(number) => self.signed(*number),
            Value::Bool(yes) => self.raw(if *yes { "true" } else { "false" }),
            Value::Ip(address) => {
                // Writing to a vector does not fail.
                let _ = write!(self.out, "\"{address}\"");
            }
            Value::Time(time) => self.moment(*time),
        }
    }

    fn each(&mut self, field: Field, texts: &[Bytes], write: impl Fn(&mut Self, &str)) {
        let is_utf8 = texts.iter().all(|text| std::str::from_utf8(text).is_ok());
        if !is_utf8 {
            self.mark_escaped(&[field]);
        }
        self.list(texts, |to, text| match std::str::from_utf8(text) {
            Ok(text) if is_utf8 => write(to, text),
            _ => write(to, &escape(text)),
        });
    }

    fn escape(&mut self, field: Field, text: &[u8]) {
        self.mark_escaped(&[field]);
        self.string(&escape(text));
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        match self.limit {
            Some(limit) if text.len() > limit => {
                text.get(..text.floor_char_boundary(limit)).unwrap_or_default()
            }
            _ => text,
        }
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) {
        // Neither a number nor a text fails, nor does a vector.
        let _ = serde_json::to_writer(&mut self.out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> (String, Vec<Field>) {
        let mut writer = Writer::default();
        write(&mut writer);
        let (json, escaped) = writer.finish();
        (String::from_utf8(json).expect("JSON is UTF-8"), escaped)
    }

    #[test]
    fn values_are_written_as_the_search_writes_them() {
        let time = Value::Time(WallTime::from_unix_ns(-1));
        let list = Value::List(vec![Bytes::from_static(b"\\"), Bytes::from_static(b"\x80\"")]);
        let (json, escaped) = written(|to| {
            to.raw("{");
            for (field, value) in [
                (Field::Timestamp, &time),
                (Field::ProcessArgs, &list),
                (Field::ProcessCapabilities, &Value::Uint(1 << 21)),
                (Field::ProcessExitCode, &Value::Int(-1)),
                (Field::DestinationIp, &Value::Ip([10, 0, 0, 1].into())),
            ] {
                to.key(field.name());
                to.plain(field, value);
            }
            to.raw("}");
        });
        assert_eq!(
            json,
            r#"{"@timestamp":"1969-12-31T23:59:59.999999999Z","process.args":["\\\\","\\x80\""],"process.capabilities":["CAP_SYS_ADMIN"],"process.exit_code":-1,"destination.ip":"10.0.0.1"}"#
        );
        assert_eq!(escaped, [Field::ProcessArgs]);
    }

    #[test]
    fn a_part_of_a_text_is_escaped_as_the_whole_is() {
        let part =
            |whole: &[u8]| written(|to| to.part(Field::FilePath, whole, wire::term::base_name(whole))).0;
        assert_eq!(part(b"/\xff/a\\b"), r#""a\\\\b""#);
        assert_eq!(part(b"/x/a\\b"), r#""a\\b""#);
    }

    #[test]
    fn a_limit_cuts_texts_at_characters_and_lists_at_items() {
        let mut writer = Writer::default().limited(Some(2));
        writer.texts(Field::ProcessArgs, &["aé", "bcd", "e"].map(|text| Bytes::from_static(text.as_bytes())));
        assert_eq!(writer.finish().0, br#"["a","bc"]"#);
    }

    #[test]
    fn every_time_can_be_written() {
        for ns in [i64::MIN, 0, i64::MAX] {
            let (json, _) = written(|to| to.moment(WallTime::from_unix_ns(ns)));
            assert_eq!(json.len(), "\"2262-04-11T23:47:16.854775807Z\"".len(), "{json}");
        }
    }
}
