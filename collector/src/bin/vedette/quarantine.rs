//! `vedette quarantine`: batches that could not be stored.

use reqwest::Method;
use serde_json::Value;

use crate::Found;
use crate::cli::{Connect, Output, QuarantineArgs, QuarantineCommand, QuarantineListArgs};
use crate::client::Client;
use crate::event_row::{text, to_the_second};
use crate::hosts::path_segment;
use crate::output;
use crate::table::{Column, Table, cut, whole};

pub(crate) async fn run(connect: &Connect, args: QuarantineArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    match args.command {
        None => list(&client, args.list).await,
        Some(QuarantineCommand::List(args)) => list(&client, args).await,
        Some(QuarantineCommand::Records { output }) => records(&client, output.output).await,
        Some(QuarantineCommand::Show { id, output }) => show(&client, &id, output.output).await,
        Some(QuarantineCommand::Replay { ids, all, host, output }) => {
            let ids = if all { listed(&client, host).await? } else { ids };
            replay(&client, &ids, output.output).await
        }
    }
}

const COLUMNS: [Column; 6] = [
    whole("received", 3),
    cut("host", 8, 2),
    whole("events", 4),
    whole("tries", 5),
    cut("reason", 20, 1),
    whole("id", 0),
];

async fn batches(client: &Client, host: Option<String>) -> anyhow::Result<Vec<Value>> {
    let query: Vec<_> =
        host.map(|host| ("host", host)).into_iter().chain([("limit", "10000".to_owned())]).collect();
    let answer: Value = client.json(client.request(Method::GET, "/quarantine").query(&query)).await?;
    Ok(answer.get("batches").and_then(Value::as_array).cloned().unwrap_or_default())
}

async fn list(client: &Client, args: QuarantineListArgs) -> anyhow::Result<Found> {
    let found = batches(client, args.host).await?;
    let mut lines = Table::new(&COLUMNS);
    for batch in &found {
        match args.output.output {
            Output::Json => output::json_line(batch)?,
            Output::Table => {
                let kept = if batch.get("bytes").is_some() { "" } else { " (its bytes were not kept)" };
                let reason = text(batch, "reason") + kept;
                lines.push([
                    to_the_second(batch, "received"),
                    text(batch, "host.name"),
                    text(batch, "events"),
                    text(batch, "tries"),
                    reason,
                    text(batch, "id"),
                ]);
            }
        }
    }
    if !lines.is_empty() {
        output::line(&lines.show())?;
    }
    Ok(if found.is_empty() { Found::Nothing } else { Found::Something })
}

const RECORD_COLUMNS: [Column; 6] = [
    whole("refused", 3),
    cut("host", 8, 2),
    cut("topic", 10, 4),
    whole("bytes", 5),
    cut("reason", 20, 1),
    whole("event", 0),
];

/// Events that Kafka refused.
async fn records(client: &Client, output: Output) -> anyhow::Result<Found> {
    let answer: Value = client.json(client.request(Method::GET, "/export/refused")).await?;
    let found = answer.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Table::new(&RECORD_COLUMNS);
    for record in &found {
        match output {
            Output::Json => output::json_line(record)?,
            Output::Table => lines.push([
                to_the_second(record, "refused"),
                text(record, "host.name"),
                text(record, "topic"),
                text(record, "bytes"),
                text(record, "reason"),
                text(record, "id"),
            ]),
        }
    }
    if !lines.is_empty() {
        output::line(&lines.show())?;
    }
    Ok(if found.is_empty() { Found::Nothing } else { Found::Something })
}

async fn show(client: &Client, id: &str, output: Output) -> anyhow::Result<Found> {
    let path = format!("/quarantine/{}", path_segment(id));
    let batch: Value = client.json(client.request(Method::GET, &path)).await?;
    if output == Output::Json {
        output::json_line(&batch)?;
        return Ok(Found::Something);
    }
    let mut facts = Table::new(&[whole("", 0), cut("", 8, 1)]);
    for (name, field) in [
        ("id", "id"),
        ("host", "host.name"),
        ("lane", "lane"),
        ("events", "events"),
        ("received", "received"),
        ("bytes", "bytes"),
        ("replayed in vain", "tries"),
        ("reason", "reason"),
        ("header: sealed", "header.sealed"),
        ("header: boot", "header.boot"),
        ("header: events", "header.events"),
        ("header: generated", "header.generated"),
        ("header", "header.unreadable"),
    ] {
        let value = to_the_second(&batch, field);
        if !value.is_empty() {
            facts.push([name, &value]);
        }
    }
    output::line(&facts.show())?;
    Ok(Found::Something)
}

/// The ids of all that may be replayed.
async fn listed(client: &Client, host: Option<String>) -> anyhow::Result<Vec<String>> {
    let mut found = batches(client, host).await?;
    found.retain(|batch| batch.get("bytes").is_some());
    // In the order they came.
    Ok(found.iter().rev().map(|batch| text(batch, "id")).collect())
}

/// Finds something if anything was stored.
async fn replay(client: &Client, ids: &[String], output: Output) -> anyhow::Result<Found> {
    let mut found = Found::Nothing;
    for id in ids {
        let path = format!("/quarantine/{}/replay", path_segment(id));
        let came: Value = client.json(client.request(Method::POST, &path)).await?;
        let is_stored = text(&came, "outcome") == "stored";
        match output {
            Output::Json => output::json_line(&came)?,
            Output::Table if is_stored => {
                output::line(&format!("stored {} events of {id}", text(&came, "events")))?;
            }
            Output::Table => {
                let reason = vedette_collector::escape::terminal(&text(&came, "reason"));
                output::line(&format!("refused again: {id}: {reason}"))?;
            }
        }
        if is_stored {
            found = Found::Something;
        }
    }
    Ok(found)
}
