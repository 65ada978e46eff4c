//! `vedette search`.

use std::io::IsTerminal as _;

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::Found;
use crate::cli::{Connect, Output, SearchArgs};
use crate::client::Client;
use crate::event_row;
use crate::output;
use crate::table;

mod histogram;
mod lines;
mod top;

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
        let cursor = page(&client, &body, &mut shown).await?;
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
        ("since", Some(Value::from(args.since))),
        ("until", args.until.map(Value::from)),
        ("host", args.host.map(Value::from)),
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
    // Dropping the answer on Ctrl-C closes the connection, and the collector then cancels the query.
    loop {
        let line = tokio::select! {
            line = answer.next() => line,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        };
        let Some(line) = line else {
            anyhow::bail!("the answer broke off after {} events; try again", shown.n_found)
        };
        if let Some(end) = shown.take(line?)? {
            return Ok(Some(event_row::text(&end, "cursor")).filter(|cursor| !cursor.is_empty()));
        }
    }
}

/// What has come so far.
struct Shown {
    output: Output,
    events: comfy_table::Table,
    n_found: u64,
    progress: Progress,
}

impl Shown {
    fn new(output: Output) -> Self {
        Self { output, events: table::new(event_row::HEADING), n_found: 0, progress: Progress::default() }
    }

    /// Shows a line of an answer; its last one is given back.
    fn take(&mut self, mut line: Value) -> anyhow::Result<Option<Value>> {
        if let Some(event) = line.get("event") {
            self.n_found += 1;
            match self.output {
                Output::Json => output::json_line(event)?,
                Output::Table => event_row::push(&mut self.events, event),
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
            anyhow::bail!("{}", event_row::text(error, "message"));
        } else if let Some(end) = line.get_mut("end") {
            return Ok(Some(end.take()));
        }
        Ok(None)
    }

    fn finish(mut self, cursor: Option<String>) -> anyhow::Result<Found> {
        self.progress.clear();
        if self.output == Output::Table && !self.events.is_empty() {
            output::line(&table::show(&self.events))?;
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
        let reached = event_row::text(progress, "reached");
        bar.set_message(format!("{} events searched, back to {reached}", number("events")));
        bar.tick();
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
