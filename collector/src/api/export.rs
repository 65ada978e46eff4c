//! Replaying what is stored: as lines, or into Kafka.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as AxumState;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::extract;
use super::lines::{Lines, answer, line};
use super::{ApiError, State};
use crate::access::Caller;
use crate::export::history::{History, Step};
use crate::export::resend::Resend;
use crate::kafka::Failure;
use crate::record::{ExportRecord, Format, Group};
use crate::search::{Request, Search};

/// So many pieces wait for a slow caller.
const MAX_WAITING: usize = 4;

/// What is replayed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportBody {
    /// The query; empty for everything.
    #[serde(default)]
    query: String,
    /// Not before: `15m`, `24h` (the default), or a time such as `2026-01-31T12:00:00Z`.
    since: Option<String>,
    /// Not after; now if absent.
    until: Option<String>,
    /// Only this host, by name or id.
    host: Option<String>,
    /// `ocsf` (the default), `ecs` or `native`. Into Kafka each topic has its own.
    #[schema(value_type = Option<String>)]
    format: Option<Format>,
}

/// Replays what is stored, the oldest first, as lines.
///
/// Each line is an object with one key: `record`, in the schema that was asked for; `progress`, whose `upto` says that all
/// events up to that time (inclusive) have come, so that a later call may go on behind it; `error`; and last `end`.
#[utoipa::path(post, path = "/api/v1/export", operation_id = "export_lines", tag = "search", request_body = ExportBody, responses(
    (status = OK, content_type = "application/x-ndjson", body = String),
    (status = BAD_REQUEST, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn lines(
    AxumState(state): AxumState<State>,
    caller: Caller,
    extract::Json(body): extract::Json<ExportBody>,
) -> Result<Response, ApiError> {
    let format = body.format.unwrap_or_default();
    let history = history(&state, body, Arc::new(move |_| format)).await?;
    Ok(stream(&state, &caller, history, None))
}

/// Replays what is stored, the oldest first, into Kafka: with the settings of the collector's own export, under the same ids.
///
/// Lines as of the other, without records: what `progress` says has arrived.
#[utoipa::path(post, path = "/api/v1/export/kafka", operation_id = "export_kafka", tag = "search", request_body = ExportBody, responses(
    (status = OK, content_type = "application/x-ndjson", body = String),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "This collector has no Kafka, or it does not take records."),
), security(("token" = [])))]
pub(super) async fn kafka(
    AxumState(state): AxumState<State>,
    caller: Caller,
    extract::Json(body): extract::Json<ExportBody>,
) -> Result<Response, ApiError> {
    let Some(settings) = state.kafka.clone() else {
        let said = "this collector has no Kafka";
        return Err(ApiError::conflict("no_kafka", said).hint("set bootstrap in [kafka] (docs/kafka.md)"));
    };
    let topics = settings.topics.clone();
    let format = move |group: Group| topics.get(&group).map(|topic| topic.format).unwrap_or_default();
    let history = history(&state, body, Arc::new(format)).await?;
    let connecting = tokio::task::spawn_blocking(move || Resend::connect((*settings).clone()));
    let resend = match connecting.await {
        Ok(Ok(resend)) => resend,
        Ok(Err(failure)) => return Err(ApiError::conflict("kafka", failure.to_string())),
        Err(_) => return Err(ApiError::conflict("kafka", "the thread that connects failed")),
    };
    Ok(stream(&state, &caller, history, Some(resend)))
}

async fn history(
    state: &State,
    body: ExportBody,
    format: Arc<dyn Fn(Group) -> Format + Send + Sync>,
) -> Result<History, ApiError> {
    let ExportBody { query, since, until, host, .. } = body;
    let request = Request { query, since, until, host, ..Request::default() };
    let fleet = state.search.fleet().await?;
    let search = Search::new(&request, &fleet, super::now().wall())?;
    let search = state.search.narrowed(search).await?;
    Ok(History { pool: state.pool.clone(), engine: Arc::clone(&state.search), search, format })
}

fn stream(state: &State, caller: &Caller, history: History, resend: Option<Resend>) -> Response {
    let answering = state.revocations.tokens().answering(caller.token);
    answer(MAX_WAITING, answering, |lines| write(history, resend, lines))
}

async fn write(history: History, mut resend: Option<Resend>, lines: Lines) {
    let (out, mut steps) = mpsc::channel(2);
    let replaying = tokio::spawn(history.replay(out));
    let mut n_events = 0_u64;
    while let Some(step) = steps.recv().await {
        let text = match (step, resend.take()) {
            (Step::Records(records), None) => {
                n_events += records.len() as u64;
                record_lines(&records)
            }
            (Step::Records(records), Some(connection)) => {
                n_events += records.len() as u64;
                match blocking(connection, move |connection| connection.send(&records)).await {
                    Ok((connection, ())) => resend = Some(connection),
                    Err(said) => return drop(lines.send(Ok(line(&failed(&said)))).await),
                }
                continue;
            }
            (Step::Upto(upto), None) => {
                line(&json!({ "progress": { "upto": upto.to_string(), "events": n_events } }))
            }
            (Step::Upto(upto), Some(connection)) => match blocking(connection, Resend::arrived).await {
                Ok((connection, n_refused)) => {
                    resend = Some(connection);
                    line(
                        &json!({ "progress": { "upto": upto.to_string(), "events": n_events, "refused": n_refused } }),
                    )
                }
                Err(said) => return drop(lines.send(Ok(line(&failed(&said)))).await),
            },
        };
        if lines.send(Ok(text)).await.is_err() {
            replaying.abort();
            return;
        }
    }
    let last = match replaying.await {
        Ok(Ok(())) => json!({ "end": { "events": n_events } }),
        Ok(Err(error)) => {
            let error = ApiError::from(error);
            error.log();
            json!({ "error": error.shown() })
        }
        Err(_) => failed("a thread of the export failed"),
    };
    drop(lines.send(Ok(line(&last))).await);
}

/// Does something with the connection that may wait.
async fn blocking<T: Send + 'static>(
    mut connection: Resend,
    act: impl FnOnce(&mut Resend) -> Result<T, Failure> + Send + 'static,
) -> Result<(Resend, T), String> {
    let done = tokio::task::spawn_blocking(move || {
        let done = act(&mut connection)?;
        Ok((connection, done))
    });
    match done.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failure)) => Err(Failure::to_string(&failure)),
        Err(_) => Err("a thread of the export failed".to_owned()),
    }
}

fn failed(said: &str) -> Json {
    json!({ "error": ApiError::conflict("kafka", said).shown() })
}

fn record_lines(records: &[ExportRecord]) -> Bytes {
    let mut text = Vec::with_capacity(records.iter().map(|record| record.value.len() + 13).sum());
    for record in records {
        text.extend_from_slice(b"{\"record\":");
        text.extend_from_slice(&record.value);
        text.extend_from_slice(b"}\n");
    }
    text.into()
}
