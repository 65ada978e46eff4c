//! `vedette search --top FIELD`: a field's most frequent values.

use serde_json::Value;

use crate::cli::Output;
use crate::event_row::text;
use crate::output;
use crate::table::{Table, cut, whole};

/// Prints the values (`value`, `count`) and returns how many events they count.
pub(crate) fn show(values: &[Value], output: Output) -> anyhow::Result<u64> {
    let count = |value: &Value| value.get("count").and_then(Value::as_u64).unwrap_or(0);
    if output == Output::Json {
        for value in values {
            output::json_line(value)?;
        }
    } else if !values.is_empty() {
        let mut lines = Table::new(&[whole("events", 0), cut("value", 8, 1)]);
        for value in values {
            lines.push([count(value).to_string(), text(value, "value")]);
        }
        output::line(&lines.show())?;
    }
    Ok(values.iter().map(count).sum())
}
