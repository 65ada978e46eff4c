//! `vedette export`: replays what is stored, into a file or into Kafka.
//!
//! | module | holds |
//! |---|---|
//! | `resume` | how far it has come |
//! | `target` | where records go |
//! | `kept` | a file that grows by what is kept of it |
//! | `staged` | events on their way into a Parquet file |
//! | `table` | a Parquet file |
//! | `column` | a column of it |

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use bytes::{Buf as _, BytesMut};
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize as _;
use serde_json::{Value, json};
use vedette_collector::record::Format;
use vedette_collector::search::moment;
use wire::time::WallTime;

use crate::Found;
use crate::cli::{Connect, ExportArgs, ExportTo, Within};
use crate::client::{Client, ErrorText, fault};

mod column;
mod kept;
mod resume;
mod staged;
mod table;
mod target;

use resume::{Asked, Resume};
use target::Target;

/// How often it is tried again when the answer breaks off without having come further.
const ATTEMPTS: u32 = 5;

pub(crate) async fn run(connect: &Connect, args: ExportArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let asked = asked(&args)?;
    let mut resume = Resume::open(args.file.as_deref(), args.to, asked)?;
    let mut target = Target::open(&args, &resume)?;
    let bar = bar(&resume)?;
    let mut failures = 0;
    loop {
        let before = resume.upto.clone();
        let came = tokio::select! {
            came = stretch(&client, args.to, &mut resume, &mut target, &bar) => came,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        let error = match came {
            Ok(Came::Ended) => break,
            Ok(Came::BrokenOff(error)) if resume.upto != before => {
                failures = 0;
                error
            }
            Ok(Came::BrokenOff(error)) => error,
            Err(error) => {
                bar.finish_and_clear();
                return Err(error.context(resume.how_to_go_on()));
            }
        };
        failures += 1;
        if failures >= ATTEMPTS {
            bar.finish_and_clear();
            return Err(error.context(resume.how_to_go_on()));
        }
        target.back_to(&resume)?;
    }
    target.finish(&resume)?;
    resume.done()?;
    bar.finish_and_clear();
    if args.file.is_some() || args.to == ExportTo::Kafka {
        eprintln!("vedette: {} events are exported", resume.n_events);
    }
    if resume.n_refused > 0 {
        eprintln!("vedette: {} of them are too large for their topic, and are not there", resume.n_refused);
    }
    Ok(if resume.n_events > 0 { Found::Something } else { Found::Nothing })
}

/// What is asked for, with times that stay the same however often it is interrupted.
fn asked(args: &ExportArgs) -> anyhow::Result<Asked> {
    let ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let now = WallTime::from_unix_ns(ns);
    let time = |name: &str, text: &str| {
        moment(text, now).map(|time| time.to_string()).with_context(|| {
            format!("invalid --{name} {text:?}, expected 15m, 24h, 7d or 2026-01-31T12:00:00Z")
        })
    };
    let format = match (args.to, args.format) {
        (ExportTo::Parquet, None | Some(Format::Native)) => Some(Format::Native),
        (ExportTo::Parquet, Some(format)) => {
            bail!(
                "--format {format} is not for Parquet, whose columns are our fields: leave it out, or use --to ndjson"
            )
        }
        (_, format) => format,
    };
    let format = format.map(|format| format.to_string());
    let Within { since, until, host } = &args.within;
    let typed = json!([args.query, since, until, host, format, args.to == ExportTo::Parquet]);
    Ok(Asked {
        typed,
        query: args.query.clone(),
        since: time("since", since)?,
        until: time("until", until.as_deref().unwrap_or("now"))?,
        host: host.clone(),
        format,
    })
}

/// How an answer ended.
enum Came {
    Ended,
    BrokenOff(anyhow::Error),
}

/// Takes one answer, as far as it comes.
async fn stretch(
    client: &Client,
    to: ExportTo,
    resume: &mut Resume,
    target: &mut Target,
    bar: &ProgressBar,
) -> anyhow::Result<Came> {
    let path = if to == ExportTo::Kafka { "/export/kafka" } else { "/export" };
    let Some(body) = resume.body()? else { return Ok(Came::Ended) };
    let answer = client.send(client.request(Method::POST, path).json(&body)).await?;
    let mut body = answer.bytes_stream();
    let mut rest = BytesMut::new();
    let begun = resume.n_events;
    loop {
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(end);
            rest.advance(1);
            if let Some(record) = record(&line) {
                target.record(record)?;
                continue;
            }
            let mut said: Value =
                serde_json::from_slice(&line).context("the collector sent a line that is not JSON")?;
            if let Some(error) = said.get("error") {
                bail!("{}", ErrorText::deserialize(error)?.spoken());
            }
            if let Some(progress) = said.get_mut("progress") {
                let n_bytes = target.keep()?;
                resume.came(begun, &progress.take(), n_bytes)?;
                show(bar, resume);
            }
            if said.get("end").is_some() {
                return Ok(Came::Ended);
            }
        }
        match body.next().await {
            Some(Ok(bytes)) => rest.extend_from_slice(&bytes),
            Some(Err(error)) => {
                return Ok(Came::BrokenOff(anyhow::anyhow!("the answer broke off: {}", fault::root(&error))));
            }
            None => return Ok(Came::BrokenOff(anyhow::anyhow!("the answer broke off"))),
        }
    }
}

/// The record that a line is about, as it stands there.
fn record(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"{\"record\":")?.strip_suffix(b"}")
}

/// Time is what is known beforehand: how much of it is done.
fn bar(resume: &Resume) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let bar = ProgressBar::new(1_000);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {percent} %  {msg}  {eta}")?);
    show(&bar, resume);
    Ok(bar)
}

fn show(bar: &ProgressBar, resume: &Resume) {
    bar.set_position((resume.part() * 1_000.0) as u64);
    bar.set_message(format!("{} events, up to {}", resume.n_events, resume.upto.as_deref().unwrap_or("–")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_out_of_its_line_as_it_stands() {
        assert_eq!(record(br#"{"record":{"a":{"b":1}}}"#), Some(&br#"{"a":{"b":1}}"#[..]));
        assert_eq!(record(br#"{"progress":{}}"#), None);
    }
}
