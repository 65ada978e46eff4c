//! Search: a page of events as JSON, or everything as lines while it is found.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as AxumState;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use wire::time::WallTime;

use super::error::ErrorBody;
use super::extract;
use super::lines::LINES;
use super::{ApiError, State};
use crate::access::Caller;
use crate::search::{Answer, Bucket, Fleet, Outcome, Progress, Request, Search, Stats, Top};

mod lines;
mod refused;

/// How long a search may take whose answer comes at once; one that streams may take longer.
pub(super) const MAX_TIME: Duration = Duration::from_secs(50);
/// Stretches of a histogram where the caller does not say how many.
const DEFAULT_BUCKETS: u32 = 60;

/// What to search for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchBody {
    /// The query, such as `process.name:curl and host.name:web-*`; empty for everything.
    #[serde(default)]
    query: String,
    /// Not before: `15m`, `24h` (the default), or a time such as `2026-01-31T12:00:00Z`.
    since: Option<String>,
    /// Not after; now if absent.
    until: Option<String>,
    /// Only this host, by name or id.
    host: Option<String>,
    /// How many events, or values of `top`, at most: 1 to 10,000, 100 if absent.
    limit: Option<u32>,
    /// Goes on where an earlier answer ended.
    cursor: Option<String>,
    /// `true`, or a number of stretches: counts over time instead of listing.
    #[serde(default, deserialize_with = "buckets")]
    #[schema(value_type = Option<Object>)]
    #[param(value_type = Option<String>)]
    histogram: Option<u32>,
    /// A field: counts its most frequent values instead of listing.
    top: Option<String>,
}

/// What was found.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Page {
    /// Events, newest first, nested as in ECS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    events: Option<Vec<Json>>,
    /// Stretches of time, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Vec<BucketBody>>,
    /// Values, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Vec<ValueBody>>,
    /// Where to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// What is odd about the query though it is valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    /// What it took.
    stats: StatsBody,
}

/// How many events a stretch of time has; it ends where the next starts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BucketBody {
    /// Where it starts.
    start: String,
    /// How many.
    count: u64,
}

/// How many events have a value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValueBody {
    /// The value, as events show it.
    #[schema(value_type = Object)]
    value: Json,
    /// How many.
    count: u64,
}

/// What a search took.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct StatsBody {
    /// Batches looked through.
    batches: u64,
    /// Events in them.
    events: u64,
    /// Bytes read out of the database.
    bytes: u64,
    /// Stored batches that are damaged.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: u64,
    /// From start to end.
    elapsed_ms: u64,
    /// For `top`: how many distinct values there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<usize>,
    /// For `top`: there were too many values to count each.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
}

/// Searches what every host reported.
///
/// With `accept: application/x-ndjson` the answer is lines, each an object with one key: `event` (newest first, each as soon
/// as nothing newer can come), `histogram`, `top`, `progress` (on slow searches, every half second), `error`, and last
/// `end` with `cursor`, `hints` and `stats`.
#[utoipa::path(get, path = "/api/v1/search", tag = "search", params(SearchBody), responses(
    (status = OK, body = Page),
    (status = BAD_REQUEST, body = ErrorBody, description = "The query is wrong: `column` says where."),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name."),
), security(("token" = [])))]
pub(super) async fn get(
    AxumState(state): AxumState<State>,
    caller: Caller,
    headers: HeaderMap,
    extract::Query(body): extract::Query<SearchBody>,
) -> Result<Response, ApiError> {
    answer(state, &caller, &headers, body).await
}

/// Searches what every host reported; as GET, for queries that are long or not to be logged on the way.
#[utoipa::path(post, path = "/api/v1/search", tag = "search", request_body = SearchBody, responses(
    (status = OK, body = Page),
    (status = BAD_REQUEST, body = ErrorBody, description = "The query is wrong: `column` says where."),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name."),
), security(("token" = [])))]
pub(super) async fn post(
    AxumState(state): AxumState<State>,
    caller: Caller,
    headers: HeaderMap,
    extract::Json(body): extract::Json<SearchBody>,
) -> Result<Response, ApiError> {
    answer(state, &caller, &headers, body).await
}

async fn answer(
    state: State,
    caller: &Caller,
    headers: &HeaderMap,
    body: SearchBody,
) -> Result<Response, ApiError> {
    let fleet = state.search.fleet().await?;
    let search = Search::new(&request(body), &fleet, super::now().wall())?;
    let search = Arc::new(state.search.narrowed(search).await?);
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepted.split(',').any(|kind| kind.trim().starts_with(LINES)) {
        let answering = state.revocations.tokens().answering(caller.token);
        return Ok(lines::stream(state, search, fleet, answering));
    }
    let hints = hints(&search);
    let outcome = run(&state, search, fleet, Arc::default(), MAX_TIME).await?;
    Ok(extract::Json(page(outcome, hints)).into_response())
}

pub(super) async fn run(
    state: &State,
    search: Arc<Search>,
    fleet: Arc<Fleet>,
    progress: Arc<Progress>,
    most: Duration,
) -> Result<Outcome, ApiError> {
    let running = state.search.run(search, fleet, Arc::clone(&progress));
    let outcome = tokio::time::timeout(most, running).await;
    metrics::histogram!("collector_search_duration_seconds").record(progress.stats().elapsed.as_secs_f64());
    match outcome {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(too_slow(most, progress.reached())),
    }
}

fn too_slow(most: Duration, reached: Option<WallTime>) -> ApiError {
    let reached = reached.map_or(String::new(), |time| format!("; it had come back to {time}"));
    let message = format!("the search took longer than {} s{reached}", most.as_secs());
    ApiError::new(axum::http::StatusCode::GATEWAY_TIMEOUT, "too_slow", message)
        .hint("search less time (since), one host, or for an exact value")
}

fn request(body: SearchBody) -> Request {
    let SearchBody { query, since, until, host, limit, cursor, histogram, top } = body;
    Request { query, since, until, host, limit, cursor, histogram, top, survey: None }
}

fn hints(search: &Search) -> Vec<String> {
    search.predicate().hints().iter().map(ToString::to_string).collect()
}

fn page(outcome: Outcome, hints: Vec<String>) -> Page {
    let mut page = Page { cursor: outcome.cursor, hints, stats: outcome.stats.into(), ..Page::default() };
    match outcome.answer {
        Answer::Events(events) => page.events = Some(events.iter().map(|event| event.to_json()).collect()),
        Answer::Histogram(buckets) => {
            page.histogram = Some(counts_over_time(buckets));
        }
        Answer::Top(top) => {
            page.stats.distinct = Some(top.n_distinct);
            page.stats.approximate = top.is_approximate;
            page.top = Some(counts_of_values(top));
        }
        // Only a dry-run asks for one.
        Answer::Survey(_) => {}
    }
    page
}

/// How many events over time, as it is told.
pub(super) fn counts_over_time(buckets: Vec<Bucket>) -> Vec<BucketBody> {
    let body = |bucket: Bucket| BucketBody { start: bucket.start.to_string(), count: bucket.count };
    buckets.into_iter().map(body).collect()
}

/// The most frequent values, as they are told.
pub(super) fn counts_of_values(top: Top) -> Vec<ValueBody> {
    top.values.into_iter().map(|(value, count)| ValueBody { value, count }).collect()
}

/// What a search took, as it is told.
pub(super) fn stats(stats: Stats) -> StatsBody {
    stats.into()
}

impl From<Stats> for StatsBody {
    fn from(stats: Stats) -> Self {
        Self {
            batches: stats.n_batches,
            events: stats.n_events,
            bytes: stats.n_bytes,
            unreadable: stats.n_unreadable,
            elapsed_ms: u64::try_from(stats.elapsed.as_millis()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }
}

/// `true`, `false` or a number, as JSON or in the query of a URL.
fn buckets<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let wrong = || serde::de::Error::custom("histogram: expected true, false or a number of stretches");
    let found = Json::deserialize(from)?;
    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    match text.as_str() {
        "true" => Ok(Some(DEFAULT_BUCKETS)),
        "false" | "null" => Ok(None),
        number => number.parse().map(Some).map_err(|_| wrong()),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The line for what a search has found.
fn found_lines(outcome: Outcome, hints: Vec<String>) -> Vec<Json> {
    let page = page(outcome, hints);
    let mut lines: Vec<Json> =
        page.events.into_iter().flatten().map(|event| json!({ "event": event })).collect();
    lines.extend(page.histogram.map(|buckets| json!({ "histogram": buckets })));
    lines.extend(page.top.map(|values| json!({ "top": values })));
    lines.push(json!({ "end": { "cursor": page.cursor, "hints": page.hints, "stats": page.stats } }));
    lines
}
