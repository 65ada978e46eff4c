//! `vedette tail`: events as they are stored.

use futures::StreamExt as _;
use reqwest::Method;
use serde::Deserialize as _;
use unicode_width::UnicodeWidthStr as _;
use vedette_collector::escape;

use crate::Found;
use crate::cli::{Connect, Output, TailArgs};
use crate::client::{Client, ErrorText};
use crate::event_row;
use crate::{output, table};

mod sse;

use sse::Messages;

pub(crate) async fn run(connect: &Connect, args: TailArgs) -> anyhow::Result<Found> {
    let client = Client::new(connect)?;
    let request = client.request(Method::GET, "/tail").query(&[("query", &args.query)]);
    let mut messages = Messages::new(client.send(request).await?.bytes_stream());
    let mut n_shown = 0;
    while args.limit.is_none_or(|limit| n_shown < limit) {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some(message) = message else {
            anyhow::bail!("the collector ended the tail; start it again to go on")
        };
        let message = message?;
        match message.event.as_str() {
            "event" => {
                show(&message.data, args.output.output)?;
                n_shown += 1;
            }
            "lagged" if message.data.get("missed").is_none_or(serde_json::Value::is_null) => {
                eprintln!(
                    "vedette: the database was away, what other collectors stored meanwhile is not shown"
                );
            }
            "lagged" => eprintln!(
                "vedette: too slow, {} batches of events were passed over",
                event_row::text(&message.data, "missed")
            ),
            "ended" => anyhow::bail!("{}", event_row::text(&message.data, "reason")),
            "error" => anyhow::bail!("{}", ErrorText::deserialize(&message.data)?.spoken()),
            _ => {}
        }
    }
    Ok(if n_shown > 0 { Found::Something } else { Found::Nothing })
}

fn show(event: &serde_json::Value, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => output::json_line(event),
        Output::Table => {
            let cells = event_row::cells(event).map(|cell| escape::terminal(&cell));
            let [time, host, action, pid, user, process, _] = cells.each_ref().map(|cell| cell.width());
            // What comes later is not known: columns are so wide that lines mostly stand below each other.
            let wanted =
                [time, host.max(4), action.max(7), pid.max(7), user.max(4), process.max(10), usize::MAX];
            let widths = table::layout(&event_row::COLUMNS, &wanted, table::width());
            output::line(&table::line(&cells, &widths))
        }
    }
}
