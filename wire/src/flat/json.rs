//! A flat event as JSON, nested as the Elastic Common Schema nests it.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value as Json};

use super::capability;
use crate::event::FlatEvent;
use crate::field::Field;
use crate::time::WallTime;
use crate::value::Value;

impl FlatEvent {
    /// The event as one JSON object, nested by the dots of the field names, in the order of the fields' numbers.
    ///
    /// - Times are RFC 3339 in UTC with nine digits of a second; numbers are numbers; addresses are strings;
    ///   `process.capabilities` is a list of names such as `CAP_SYS_ADMIN`.
    /// - A text that is not UTF-8 is shown with `\xNN` for each byte that does not fit and with its backslashes doubled, and its field
    ///   is named in the list `event.escaped`; in a list value all items are written that way. So the bytes can be had
    ///   back, and the text can be pasted into a quoted value of a query as it is but for its quotes.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        let mut escaped = Vec::new();
        for (field, value) in self.row.iter() {
            let (json, was_escaped) = value_to_json(field, value);
            if was_escaped {
                escaped.push(Json::from(field.name()));
            }
            put(&mut object, field.name(), json);
        }
        if !escaped.is_empty() {
            put(&mut object, "event.escaped", Json::Array(escaped));
        }
        Json::Object(object)
    }
}

/// One value as [`FlatEvent::to_json`] writes it, and whether it had to be escaped.
pub(crate) fn value_to_json(field: Field, value: &Value) -> (Json, bool) {
    let plain = |json| (json, false);
    match value {
        Value::Keyword(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => plain(Json::from(text)),
            Err(_) => (Json::from(escape(bytes)), true),
        },
        Value::List(items) => {
            let texts: Result<Vec<Json>, _> =
                items.iter().map(|item| std::str::from_utf8(item).map(Json::from)).collect();
            match texts {
                Ok(texts) => plain(Json::Array(texts)),
                Err(_) => (items.iter().map(|item| Json::from(escape(item))).collect(), true),
            }
        }
        Value::Uint(mask) if field == Field::ProcessCapabilities => {
            plain(capability::names(*mask).map(Json::from).collect())
        }
        Value::Uint(n) => plain(Json::from(*n)),
        Value::Int(n) => plain(Json::from(*n)),
        Value::Bool(b) => plain(Json::from(*b)),
        Value::Ip(address) => plain(Json::from(address.to_string())),
        Value::Time(time) => plain(Json::from(rfc3339(*time))),
    }
}

/// RFC 3339 in UTC, always with nine digits of a second, so that texts sort as times do.
fn rfc3339(time: WallTime) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.unix_ns())) {
        Ok(t) => format!("{t:.9}"),
        Err(_) => time.to_string(),
    }
}

/// A text as [`FlatEvent::to_json`] writes it: as it is where it is UTF-8, else escaped (then the answer is owned).
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(escape(bytes)),
    }
}

/// A text with `\xNN` for each byte that is not UTF-8, and with its backslashes doubled.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Puts a value at the end of a path of names joined by dots.
fn put(object: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Json::Object(Map::new()));
            // No field's name is the beginning of another's; a test holds that.
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use bytes::Bytes;
    use expect_test::expect;

    use super::*;

    fn flat(values: Vec<(Field, Value)>) -> FlatEvent {
        let mut event = FlatEvent::default();
        for (field, value) in values {
            event.row.set(field, value);
        }
        event
    }

    #[test]
    fn no_field_hides_another() {
        for a in Field::ALL.iter().map(|field| field.name()).chain(["event.escaped"]) {
            for b in Field::ALL {
                assert!(!b.name().starts_with(&format!("{a}.")), "{a} and {b}");
            }
        }
    }

    #[test]
    fn json_is_nested_and_typed() {
        let event = flat(vec![
            (Field::Timestamp, Value::Time(WallTime::from_unix_ns(1_700_000_000_120_000_000))),
            (Field::EventAction, "exec".into()),
            (Field::ProcessPid, Value::Uint(7)),
            (Field::ProcessExitCode, Value::Int(-1)),
            (Field::ProcessCapabilities, Value::Uint(1 << 21 | 1 << 50)),
            (Field::ProcessInteractive, Value::Bool(false)),
            (Field::DestinationIp, Value::Ip("2001:db8::1".parse().unwrap())),
            (Field::ProcessArgs, Value::List(vec![Bytes::from_static(b"a\\b"), Bytes::from_static(b"\n")])),
        ]);
        expect![[r#"{"@timestamp":"2023-11-14T22:13:20.120000000Z","event":{"action":"exec"},"process":{"pid":7,"args":["a\\b","\n"],"interactive":false,"capabilities":["CAP_SYS_ADMIN","CAP_50"],"exit_code":-1},"destination":{"ip":"2001:db8::1"}}"#]]
        .assert_eq(&event.to_json().to_string());
    }

    #[test]
    fn bytes_that_are_not_utf8_can_be_had_back() {
        let path = Bytes::from_static(b"/tmp/\xff\\x\xc3\xa9\xc3");
        let event = flat(vec![
            (Field::FilePath, Value::Keyword(path.clone())),
            (Field::ProcessArgs, Value::List(vec![Bytes::from_static(b"\\"), Bytes::from_static(b"\x80")])),
        ]);
        let json = event.to_json();
        assert_eq!(json["event"]["escaped"], serde_json::json!(["process.args", "file.path"]));
        assert_eq!(json["process"]["args"], serde_json::json!(["\\\\", "\\x80"]));
        let shown = json["file"]["path"].as_str().unwrap();
        assert_eq!(shown, "/tmp/\\xff\\\\xé\\xc3");
        let query = crate::query::Query::parse(&format!("\"{shown}\"")).unwrap();
        let Some(crate::query::Tree::Leaf(crate::query::Term::Bare(word))) = query.root.map(|root| root.tree)
        else {
            panic!("a word")
        };
        assert_eq!(word.literal(), Some(&path[..]));
    }
}
