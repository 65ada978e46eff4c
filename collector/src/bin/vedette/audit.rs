//! `vedette audit`: who did what to tokens, enrolments and hosts.

use std::io::IsTerminal as _;

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;

use crate::Found;
use crate::cli::{AuditArgs, AuditCommand, Connect, Output};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::output;
use crate::table::{Column, Table, cut, whole};

const FIELDS: [&str; 7] = ["at", "action", "outcome", "about", "actor", "address", "detail"];
const COLUMNS: [Column; 7] = [
    whole("time", 0),
    whole("action", 1),
    whole("outcome", 2),
    cut("about", 12, 4),
    cut("actor", 12, 3),
    whole("address", 6),
    cut("detail", 8, 5),
];

pub(crate) async fn run(connect: &Connect, args: AuditArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    if let Some(AuditCommand::Verify { noted, output }) = args.command {
        return verify(&client, noted, output.output).await;
    }
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.cursor.map(|cursor| ("cursor", cursor)));
    query.extend(args.since.map(|since| ("since", since)));
    let answer: Value = client.json(client.request(Method::GET, "/audit").query(&query)).await?;
    let empty = Vec::new();
    let entries = answer.get("entries").and_then(Value::as_array).unwrap_or(&empty);
    let mut lines = Table::new(&COLUMNS);
    for entry in entries {
        match args.output.output {
            Output::Json => output::json_line(entry)?,
            Output::Table => lines.push(FIELDS.map(|field| to_the_second(entry, field))),
        }
    }
    if !lines.is_empty() {
        output::line(&lines.show())?;
    }
    let cursor = text(&answer, "cursor");
    if !cursor.is_empty() && std::io::stderr().is_terminal() {
        eprintln!("more: add --cursor {cursor}");
    }
    Ok(if entries.is_empty() { Found::Nothing } else { Found::Something })
}

/// Says whether the chain is whole, and where it ends.
async fn verify(client: &Client, noted: Option<String>, output: Output) -> anyhow::Result<Found> {
    let query: Vec<_> = noted.map(|noted| ("noted", noted)).into_iter().collect();
    let answer: Value = client.json(client.request(Method::GET, "/audit/verify").query(&query)).await?;
    let breaks = answer.get("breaks").and_then(Value::as_array).cloned().unwrap_or_default();
    match output {
        Output::Json => output::json_line(&answer)?,
        Output::Table => {
            for found in &breaks {
                output::line(&format!("BROKEN: {}", text(found, "message")))?;
            }
            let whole = if breaks.is_empty() { "whole" } else { "broken" };
            output::line(&format!("the audit log is {whole}: {} entries", text(&answer, "entries")))?;
            output::line(&format!("note elsewhere, to verify against later: {}", text(&answer, "head")))?;
        }
    }
    ensure!(breaks.is_empty(), "the audit log is not as it was written");
    Ok(Found::Something)
}
