//! One event as one line of a table.

use serde_json::Value;

use details::details;

use crate::table::{self, Column, cut, whole};

mod details;

/// The columns.
pub(crate) const COLUMNS: [Column; 7] = [
    whole("time", 0),
    cut("host", 8, 4),
    whole("action", 1),
    whole("pid", 3),
    cut("user", 4, 6),
    cut("process", 8, 2),
    cut("details", 10, 5),
];

/// Narrower than this, a terminal has better use for the columns of the year and the milliseconds.
const ROOMY: usize = 100;

/// The event's cells, not yet escaped.
pub(crate) fn cells(event: &Value) -> [String; 7] {
    let action = text(event, "event.action");
    let is_brief = table::width().is_some_and(|columns| columns < ROOMY);
    let time = text(event, "@timestamp");
    [
        if is_brief { brief_time(&time) } else { short_time(&time) },
        text(event, "host.name"),
        action,
        text(event, "process.pid"),
        either(event, &["process.user.name", "process.user.id"]),
        text(event, "process.name"),
        details(event),
    ]
}

/// A field by its dotted name, as plain text; empty when absent.
pub(crate) fn text(event: &Value, field: &str) -> String {
    let found = field.split('.').try_fold(event, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn either(event: &Value, fields: &[&str]) -> String {
    fields.iter().map(|field| text(event, field)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// A field that holds a time, to the second.
pub(crate) fn to_the_second(event: &Value, field: &str) -> String {
    let found = text(event, field);
    match found.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => found,
    }
}

/// `2026-01-31T12:00:00.123456789Z` to the millisecond, without the letters.
fn short_time(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

/// The same without the year, to the second.
fn brief_time(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%m-%d %H:%M:%S").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connection_reads_from_source_to_destination() {
        let event = json!({
            "@timestamp": "2026-01-31T12:00:00.123456789Z",
            "event": {"category": "network", "action": "connect"},
            "host": {"name": "web-1"},
            "process": {"name": "curl", "pid": 7, "user": {"id": 0}},
            "source": {"ip": "10.0.0.1", "port": 4000},
            "destination": {"ip": "2001:db8::1", "port": 443}
        });
        assert_eq!(
            cells(&event).join("|"),
            "2026-01-31 12:00:00.123|web-1|connect|7|0|curl|10.0.0.1:4000 → [2001:db8::1]:443"
        );
    }
}
