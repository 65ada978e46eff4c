//! An answer as lines of JSON, with a word from time to time while a slow search works.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{LINES, found_lines, hints, run};
use crate::api::State;
use crate::search::{Fleet, Progress, Search};

/// How long such a search may take.
const MAX_TIME: Duration = Duration::from_secs(600);
/// How often it says how far it is.
const WORD: Duration = Duration::from_millis(500);
/// So many lines wait for a slow caller.
const MAX_WAITING: usize = 64;

/// Starts the search; it stops when the caller goes away.
pub(super) fn stream(state: State, search: Arc<Search>, fleet: Arc<Fleet>) -> Response {
    let (lines, waiting) = mpsc::channel(MAX_WAITING);
    tokio::spawn(async move {
        let gone = lines.clone();
        tokio::select! {
            // Dropping the other branch stops the search, in the database too.
            () = gone.closed() => {}
            () = write(&state, search, fleet, lines) => {}
        }
    });
    let body = Body::from_stream(ReceiverStream::new(waiting));
    ([(header::CONTENT_TYPE, LINES)], body).into_response()
}

type Lines = mpsc::Sender<Result<Bytes, std::convert::Infallible>>;

async fn write(state: &State, search: Arc<Search>, fleet: Arc<Fleet>, lines: Lines) {
    let progress = Arc::<Progress>::default();
    let hints = hints(&search);
    let mut running = std::pin::pin!(run(state, search, fleet, Arc::clone(&progress), MAX_TIME));
    let mut words = tokio::time::interval_at(tokio::time::Instant::now() + WORD, WORD);
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
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
    };
    let found = match outcome {
        Ok(outcome) => found_lines(outcome, hints),
        Err(error) => {
            error.log();
            vec![json!({ "error": error.shown() })]
        }
    };
    for found in found {
        if lines.send(Ok(line(&found))).await.is_err() {
            return;
        }
    }
}

fn line(json: &Json) -> Bytes {
    let mut text = json.to_string();
    text.push('\n');
    text.into()
}
