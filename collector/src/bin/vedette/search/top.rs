//! `vedette search --top FIELD`: a field's most frequent values.

use serde_json::Value;

use crate::cli::Output;
use crate::event_row::text;
use crate::{output, table};

/// Prints the values (`value`, `count`) and returns how many events they count.
pub(super) fn show(values: &[Value], output: Output) -> anyhow::Result<u64> {
    let count = |value: &Value| value.get("count").and_then(Value::as_u64).unwrap_or(0);
    if output == Output::Json {
        for value in values {
            output::json_line(value)?;
        }
    } else if !values.is_empty() {
        let mut lines = table::new(&["events", "value"]);
        for value in values {
            table::push(&mut lines, [count(value).to_string(), text(value, "value")]);
        }
        output::line(&table::show(&lines))?;
    }
    Ok(values.iter().map(count).sum())
}
