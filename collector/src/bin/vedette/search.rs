//! `vedette search`.

use std::io::IsTerminal as _;

use futures::StreamExt as _;
use reqwest::Method;
use serde::Deserialize as _;
use serde_json::{Map, Value};
use vedette_collector::escape;

use crate::Found;
use crate::cli::{Connect, Output, SearchArgs};
use crate::client::{Client, ErrorText};
use crate::event_row;
use crate::output;
use crate::table::Table;

pub(crate) mod histogram;
mod lines;
pub(crate) mod top;

use lines::Lines;

/// The most events that the API gives in one answer.
const MAX_PAGE: u64 = 10_000;

pub(crate) async fn run(connect: &Connect, args: SearchArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let mut shown = Shown::new(args.output.output);
    let mut wanted = u64::from(args.limit);
    let mut body = body(args);
    loop {
        body.insert("limit".to_owned(), wanted.min(MAX_PAGE).into());
        let before = shown.n_found;
        // Dropping the answer closes the connection, and the collector then cancels the query.
        let cursor = tokio::select! {
            cursor = page(&client, &body, &mut shown) => cursor?,
            _ = tokio::signal::ctrl_c() => {
                shown.progress.clear();
                anyhow::bail!("interrupted")
            }
        };
        wanted = wanted.saturating_sub(shown.n_found - before);
        match cursor {
            Some(cursor) if wanted > 0 => body.insert("cursor".to_owned(), cursor.into()),
            cursor => return shown.finish(cursor),
        };
    }
}

fn body(args: SearchArgs) -> Map<String, Value> {
    let given = [
        ("query", Some(Value::from(args.query))),
        ("since", Some(Value::from(args.within.since))),
        ("until", args.within.until.map(Value::from)),
        ("host", args.within.host.map(Value::from)),
        ("cursor", args.cursor.map(Value::from)),
        ("top", args.top.map(Value::from)),
        ("histogram", args.histogram.then_some(Value::from(true))),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Shows one answer; returns where the next one goes on, if there is more.
async fn page(
    client: &Client,
    body: &Map<String, Value>,
    shown: &mut Shown,
) -> anyhow::Result<Option<String>> {
    let request = client.request(Method::POST, "/search").header("accept", "application/x-ndjson").json(body);
    let mut answer = Lines::new(client.send(request).await?.bytes_stream());
    loop {
        let Some(line) = answer.next().await else {
            anyhow::bail!("the answer broke off after {} events; try again", shown.n_found)
        };
        if let Some(end) = shown.take(line?)? {
            shown.note(&end);
            return Ok(Some(event_row::text(&end, "cursor")).filter(|cursor| !cursor.is_empty()));
        }
    }
}

/// What has come so far.
struct Shown {
    output: Output,
    events: Table,
    n_found: u64,
    notes: Vec<String>,
    progress: Progress,
}

impl Shown {
    fn new(output: Output) -> Self {
        Self {
            output,
            events: Table::new(&event_row::COLUMNS),
            n_found: 0,
            notes: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Shows a line of an answer; its last one is given back.
    fn take(&mut self, mut line: Value) -> anyhow::Result<Option<Value>> {
        if let Some(event) = line.get("event") {
            self.n_found += 1;
            match self.output {
                Output::Json => {
                    self.progress.clear();
                    output::json_line(event)?;
                }
                Output::Table => self.events.push(event_row::cells(event)),
            }
            return Ok(None);
        }
        if let Some(progress) = line.get("progress") {
            self.progress.show(progress);
            return Ok(None);
        }
        self.progress.clear();
        if let Some(buckets) = line.get("histogram").and_then(Value::as_array) {
            self.n_found += histogram::show(buckets, self.output)?;
        } else if let Some(values) = line.get("top").and_then(Value::as_array) {
            self.n_found += top::show(values, self.output)?;
        } else if let Some(error) = line.get("error") {
            anyhow::bail!("{}", ErrorText::deserialize(error)?.spoken());
        } else if let Some(end) = line.get_mut("end") {
            return Ok(Some(end.take()));
        }
        Ok(None)
    }

    /// Says what is odd about the query, or about the answer.
    fn note(&mut self, end: &Value) {
        let hints = end.get("hints").and_then(Value::as_array).into_iter().flatten();
        self.notes.extend(hints.filter_map(Value::as_str).map(escape::terminal));
        let stats = |name: &str| end.get("stats").and_then(|stats| stats.get(name));
        if let Some(n) = stats("unreadable").and_then(Value::as_u64).filter(|n| *n > 0) {
            self.notes.push(format!("{n} stored batches are damaged and were passed over"));
        }
        if stats("approximate").and_then(Value::as_bool) == Some(true) {
            self.notes.push("there are too many values to count each: the counts are approximate".to_owned());
        }
    }

    fn finish(mut self, cursor: Option<String>) -> anyhow::Result<Found> {
        self.progress.clear();
        if self.output == Output::Table && !self.events.is_empty() {
            output::line(&self.events.show())?;
        }
        self.notes.dedup();
        for note in &self.notes {
            eprintln!("vedette: {note}");
        }
        if let Some(cursor) = cursor.filter(|_| std::io::stderr().is_terminal()) {
            eprintln!("more: add --cursor {cursor}");
        }
        Ok(if self.n_found > 0 { Found::Something } else { Found::Nothing })
    }
}

/// A line on the terminal while a slow search works.
#[derive(Default)]
struct Progress {
    bar: Option<indicatif::ProgressBar>,
}

impl Progress {
    fn show(&mut self, progress: &Value) {
        let bar = self.bar.get_or_insert_with(indicatif::ProgressBar::new_spinner);
        let number = |name: &str| progress.get(name).and_then(Value::as_u64).unwrap_or(0);
        let mut message = format!("{} events searched", number("events"));
        let reached = event_row::text(progress, "reached");
        if !reached.is_empty() {
            message.push_str(&format!(", back to {reached}"));
        }
        bar.set_message(message);
        bar.tick();
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
