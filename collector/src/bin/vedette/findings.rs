//! `vedette findings`: what should not be.

use reqwest::Method;
use serde_json::Value;

use crate::Found;
use crate::cli::{Connect, FindingsArgs, Output};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;
use crate::table::{Column, Table, cut, whole};

const COLUMNS: [Column; 6] = [
    whole("last found", 3),
    whole("severity", 2),
    whole("kind", 1),
    cut("host", 8, 0),
    whole("n", 4),
    cut("what", 20, 0),
];

pub(crate) async fn run(connect: &Connect, args: FindingsArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let query: Vec<_> = args.host.map(|host| ("host", host)).into_iter().collect();
    let answer: Value = client.json(client.request(Method::GET, "/findings").query(&query)).await?;
    let empty = Vec::new();
    let findings = answer.get("findings").and_then(Value::as_array).unwrap_or(&empty);
    if args.output.output == Output::Json {
        for finding in findings {
            output::json_line(finding)?;
        }
    } else if !findings.is_empty() {
        output::line(&table(findings).show())?;
    }
    Ok(if findings.is_empty() { Found::Nothing } else { Found::Something })
}

/// Findings as the API tells them, one a line.
pub(crate) fn table(findings: &[Value]) -> Table {
    let mut lines = Table::new(&COLUMNS);
    for finding in findings {
        let last_found = to_the_second(finding, "last_found");
        let rest = ["severity", "kind", "host.name", "n", "summary"].map(|field| text(finding, field));
        lines.push(std::iter::once(last_found).chain(rest));
    }
    lines
}
