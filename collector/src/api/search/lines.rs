//! An answer as lines of JSON: events as they are found, and a word from time to time while a slow search works.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::response::Response;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use wire::event::FlatEvent;

use super::{found_lines, hints, run};
use crate::api::State;
use crate::api::lines::{Lines, answer, line};
use crate::revocation::Answering;
use crate::search::{Fleet, Progress, Search};

/// How long such a search may take.
const MAX_TIME: Duration = Duration::from_secs(600);
/// How often it says how far it is.
const WORD: Duration = Duration::from_millis(500);
/// So many lines wait for a slow caller.
const MAX_WAITING: usize = 64;

/// Starts the search; it stops when the caller goes away, or the caller's token ends.
pub(super) fn stream(state: State, search: Arc<Search>, fleet: Arc<Fleet>, answering: Answering) -> Response {
    // Dropping what writes stops the search, in the database too.
    answer(MAX_WAITING, answering, |lines| async move { write(&state, search, fleet, lines).await })
}

async fn write(state: &State, search: Arc<Search>, fleet: Arc<Fleet>, lines: Lines) {
    let (progress, found) = Progress::handing_out();
    let hints = hints(&search);
    let running = run(state, search, fleet, Arc::clone(&progress), MAX_TIME);
    // Side by side: a caller that reads slowly does not hold up the search, nor what others wait for.
    let (outcome, written) = tokio::join!(running, write_found(&progress, found, &lines));
    let last = match outcome {
        Ok(outcome) => found_lines(outcome, hints),
        Err(error) => {
            error.log();
            vec![json!({ "error": error.shown() })]
        }
    };
    for json in last {
        if written.is_err() || lines.send(Ok(line(&json))).await.is_err() {
            return;
        }
    }
}

/// Writes events as they are found, and from time to time a word, until the search has ended.
async fn write_found(
    progress: &Progress,
    mut found: mpsc::UnboundedReceiver<Vec<FlatEvent>>,
    lines: &Lines,
) -> Result<(), SendError<Result<Bytes, Infallible>>> {
    let mut words = tokio::time::interval_at(tokio::time::Instant::now() + WORD, WORD);
    loop {
        tokio::select! {
            events = found.recv() => {
                let Some(events) = events else { return Ok(()) };
                for event in events {
                    lines.send(Ok(line(&json!({ "event": event.to_json() })))).await?;
                }
            }
            _ = words.tick() => {
                let stats = progress.stats();
                let reached = progress.reached().map(|time| time.to_string());
                let word = json!({ "progress": { "batches": stats.n_batches, "events": stats.n_events, "reached": reached } });
                // A caller that does not read needs no more words.
                if let Ok(permit) = lines.try_reserve() {
                    permit.send(Ok(line(&word)));
                }
            }
        }
    }
}
