//! Live tail, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as AxumState;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use wire::predicate::{Options, Predicate};

use super::error::ErrorBody;
use super::extract::Query;
use super::{ApiError, State, TOKEN_ENDED};
use crate::access::Caller;
use crate::search::RequestError;
use crate::tail::{Message, Tail};

/// A comment is sent so often when nothing else is, so that nobody between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TailParams {
    /// The query; everything if empty.
    #[serde(default)]
    query: String,
    /// Only this host, by name or id.
    host: Option<String>,
}

/// Follows events as they are stored.
///
/// Messages: `event` (an event, nested as in ECS), `lagged` (`missed`: so many batches went by unseen, as the caller was too
/// slow; null: nobody knows how many, as the database was away while other collectors stored), `ended` (`reason`; the last: the token was revoked or has expired), and comments as heartbeats.
#[utoipa::path(get, path = "/api/v1/tail", tag = "search", params(TailParams), responses(
    (status = OK, content_type = "text/event-stream", body = String),
    (status = BAD_REQUEST, body = ErrorBody),
    (status = TOO_MANY_REQUESTS, body = ErrorBody),
), security(("token" = [])))]
pub(super) async fn follow(
    AxumState(state): AxumState<State>,
    caller: Caller,
    Query(params): Query<TailParams>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let permit = Arc::clone(&state.tails).try_acquire_owned().map_err(|_| {
        ApiError::too_many("too many tails are open").hint("close one, or search with `since` instead")
    })?;
    let options = Options { now: super::now().wall(), store_fields: false };
    let predicate = Predicate::parse(&params.query, &options)
        .map_err(|error| RequestError::Query { error, query: params.query.clone() })?;
    let fleet = state.search.fleet().await?;
    let host = params.host.as_deref().map(|name| fleet.resolve(name)).transpose()?;
    let tail = Tail::new(predicate, host, Arc::clone(&state.search), state.committed.subscribe())
        .told_of(state.missed.subscribe());
    let permit = (permit, state.serving.serve());
    let messages = stream::unfold((tail, permit), |(mut tail, permit)| async move {
        let events = match tail.next().await? {
            Message::Events(events) => {
                events.iter().map(|event| message("event", event.to_json())).collect::<Vec<_>>()
            }
            Message::Lagged { n_batches } => vec![message("lagged", json!({ "missed": n_batches }))],
            Message::Missed => vec![message("lagged", json!({ "missed": null }))],
        };
        Some((stream::iter(events), (tail, permit)))
    });
    let answering = Arc::new(state.revocations.tokens().answering(caller.token));
    let until = Arc::clone(&answering);
    let ended = stream::once(async move {
        answering.has_ended().then(|| message("ended", json!({ "reason": TOKEN_ENDED })))
    });
    let messages = messages
        .flatten()
        .take_until(async move { until.ended().await })
        .chain(ended.filter_map(std::future::ready));
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive")))
}

fn message(kind: &'static str, data: serde_json::Value) -> Result<Event, Infallible> {
    // JSON on one line: nothing in it can end the message early.
    Ok(Event::default().event(kind).data(data.to_string()))
}
