//! `vedette search --histogram`: how many events matched, over time.

use serde_json::Value;

use crate::cli::Output;
use crate::event_row::text;
use crate::output;
use crate::table::{Table, cut, whole};

const BAR_COLUMNS: u64 = 50;

/// Prints the buckets (`start`, `count`) and returns how many events they count.
pub(crate) fn show(buckets: &[Value], output: Output) -> anyhow::Result<u64> {
    let count = |bucket: &Value| bucket.get("count").and_then(Value::as_u64).unwrap_or(0);
    let total = buckets.iter().map(count).sum();
    if output == Output::Json {
        for bucket in buckets {
            output::json_line(bucket)?;
        }
        return Ok(total);
    }
    if total == 0 {
        return Ok(0);
    }
    let most = buckets.iter().map(count).max().unwrap_or(0);
    let mut lines = Table::new(&[whole("from", 0), whole("events", 1), cut("", 4, 2)]);
    for bucket in buckets {
        let n = count(bucket);
        lines.push([text(bucket, "start"), n.to_string(), bar(n, most)]);
    }
    output::line(&lines.show())?;
    Ok(total)
}

/// A bar as long as `n` is of `most`; whatever is there is seen.
fn bar(n: u64, most: u64) -> String {
    let long = if n == 0 || most == 0 { 0 } else { (n * BAR_COLUMNS / most).max(1) };
    "▇".repeat(usize::try_from(long).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bar_is_full_and_the_smallest_is_seen() {
        assert_eq!(bar(10, 10).chars().count(), 50);
        assert_eq!(bar(1, 1_000_000).chars().count(), 1);
        assert_eq!(bar(0, 10), "");
    }
}
