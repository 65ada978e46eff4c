//! Rules: what is wrong with one, and what it would have hit.

use std::sync::Arc;

use axum::extract::State as AxumState;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;
use wire::rule::Decider;

use super::error::ErrorBody;
use super::extract::Json as JsonBody;
use super::{ApiError, State, search};
use crate::rules::{Coverage, Problem, Written, file};
use crate::search::{Answer, Outcome, Request, Search, Survey};
use crate::store::{StoreError, size};

/// Stretches of its histogram.
const BUCKETS: u32 = 60;
/// Events that are shown of what it would have hit, where the caller does not say.
const SAMPLE: u32 = 10;
/// The most rules of one dry-run: each is a search.
const MAX_DRY: usize = 50;

/// A file of rules.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckBody {
    /// YAML, one rule a document: `name`, `when`, `action`, and what docs/rules.md lists.
    rules: String,
}

/// What rules come to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckedBody {
    /// The rules, in their order; none where something is wrong with the file.
    rules: Vec<RuleBody>,
    /// All that is wrong with it.
    problems: Vec<ProblemBody>,
}

/// A rule whose texts make sense.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleBody {
    /// Its name.
    name: String,
    /// The line of its name in the file, from 1.
    line: u64,
    /// The most it may do: `ship`, `alert`, `deny` or `kill`.
    action: &'static str,
    /// `observe` or `enforce`.
    mode: &'static str,
    /// Which hosts it is for; empty for all.
    hosts: String,
    /// Until when it lasts if it were applied now; absent: until it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// `kernel` or `user space`: where it can be decided.
    decided: &'static str,
    /// How many rows of the kernel's tables it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    /// Why no kernel can decide it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What is odd about it though it is valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

/// What is wrong with a file of rules.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// The rule, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The line in the file, from 1; 0 where that is not known.
    line: u64,
    /// What was found, what was expected, and what to do.
    message: String,
}

/// Rules, and the history to try them on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRunBody {
    /// YAML, one rule a document.
    rules: String,
    /// Not before: `7d`, `24h` (the default), or a time such as `2026-01-31T12:00:00Z`.
    since: Option<String>,
    /// Not after; now if absent.
    until: Option<String>,
    /// Only this host, by name or id.
    host: Option<String>,
    /// How many of the events that it would have hit are given, the newest first: 1 to 10,000, 10 if absent.
    sample: Option<u32>,
}

/// What rules would have hit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryRunAnswer {
    /// Of each rule, in their order.
    #[schema(value_type = Vec<Object>)]
    rules: Vec<Json>,
}

/// Checks rules as a file has them: what is wrong with each, and who can decide it.
#[utoipa::path(post, path = "/api/v1/rules/check", operation_id = "check_rules", tag = "rules", request_body = CheckBody, responses(
    (status = OK, body = CheckedBody),
), security(("token" = [])))]
pub(super) async fn check(JsonBody(body): JsonBody<CheckBody>) -> Result<JsonBody<CheckedBody>, ApiError> {
    let now = super::now().wall();
    let read = read(body.rules).await?;
    let (rules, problems) = match read {
        Ok(rules) => (rules, Vec::new()),
        Err(problems) => (Vec::new(), problems),
    };
    let rule = |written: &Written| RuleBody {
        name: written.rule.name.clone(),
        line: written.line,
        action: written.rule.action.name(),
        mode: written.rule.mode.name(),
        hosts: written.rule.hosts.clone(),
        expires: written.expires.map(|expiry| expiry.at(now).to_string()),
        decided: if matches!(written.checked.decider, Decider::Kernel { .. }) {
            "kernel"
        } else {
            "user space"
        },
        rows: match written.checked.decider {
            Decider::Kernel { n_rows } => Some(n_rows),
            Decider::UserSpace(_) => None,
        },
        reason: match &written.checked.decider {
            Decider::Kernel { .. } => None,
            Decider::UserSpace(error) => Some(error.to_string()),
        },
        hints: written.checked.hints.iter().map(ToString::to_string).collect(),
    };
    let problem = |Problem { rule, line, said }| ProblemBody { rule, line, message: said };
    Ok(JsonBody(CheckedBody {
        rules: rules.iter().map(rule).collect(),
        problems: problems.into_iter().map(problem).collect(),
    }))
}

/// Tries rules on what is stored: what they would have hit, by the same code as a search.
#[utoipa::path(post, path = "/api/v1/rules/dry-run", operation_id = "dry_run_rules", tag = "rules", request_body = DryRunBody, responses(
    (status = OK, body = DryRunAnswer),
    (status = BAD_REQUEST, body = ErrorBody, description = "Something is wrong with the rules, or with the times."),
), security(("token" = [])))]
pub(super) async fn dry_run(
    AxumState(state): AxumState<State>,
    JsonBody(body): JsonBody<DryRunBody>,
) -> Result<JsonBody<DryRunAnswer>, ApiError> {
    let DryRunBody { rules, since, until, host, sample } = body;
    let rules = read(rules).await?.map_err(|problems| {
        let said = |problem: &Problem| match problem.line {
            0 => problem.said.clone(),
            line => format!("line {line}: {}", problem.said),
        };
        let all: Vec<String> = problems.iter().map(said).collect();
        ApiError::bad_request("invalid_rules", all.join("\n"))
    })?;
    if rules.len() > MAX_DRY {
        let found = rules.len();
        return Err(ApiError::bad_request(
            "too_many_rules",
            format!("found {found} rules, expected at most {MAX_DRY} in one dry-run"),
        ));
    }
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let oldest = size::size(&mut conn).await?.oldest.map(|at| at.wall());
    drop(conn);
    let mut answers = Vec::new();
    for written in &rules {
        let request = Request {
            query: written.rule.matching(),
            since: since.clone(),
            until: until.clone(),
            host: host.clone(),
            limit: Some(sample.unwrap_or(SAMPLE)),
            survey: Some(BUCKETS),
            ..Request::default()
        };
        answers.push(one(&state, written, &request, oldest).await?);
    }
    Ok(JsonBody(DryRunAnswer { rules: answers }))
}

async fn one(
    state: &State,
    written: &Written,
    request: &Request,
    oldest: Option<wire::time::WallTime>,
) -> Result<Json, ApiError> {
    let fleet = state.search.fleet().await?;
    let wanted = Search::new(request, &fleet, super::now().wall())?;
    let (since, until) = wanted.range();
    let wanted = Arc::new(state.search.narrowed(wanted).await?);
    let outcome = search::run(state, wanted, Arc::clone(&fleet), Arc::default(), search::MAX_TIME).await?;
    let Outcome { answer, stats, .. } = outcome;
    let Answer::Survey(survey) = answer else {
        return Err(ApiError::internal("a survey came to something else"));
    };
    let coverage = Coverage::of(&written.checked, since, oldest);
    let in_scope = fleet.admitted(&written.checked.hosts).map_or(fleet.n_hosts(), |hosts| hosts.len());
    let Survey { n_events, range, events, histogram, hosts, executables, actions } = *survey;
    let host = |(id, n): (Json, u64)| {
        let name = id.as_str().and_then(|id| id.parse().ok()).map(|id| fleet.name(id));
        json!({ "id": id, "name": name, "count": n })
    };
    let n_hosts = hosts.n_distinct;
    Ok(json!({
        "name": written.rule.name,
        "action": written.rule.action.name(),
        "mode": written.rule.mode.name(),
        "since": since.to_string(),
        "until": until.to_string(),
        // Where nothing was found, and not all could have been seen, nobody knows.
        "verdict": verdict(n_events, &coverage),
        "events": n_events,
        "first": range.map(|(first, _)| first.to_string()),
        "last": range.map(|(_, last)| last.to_string()),
        "coverage": { "whole": coverage.is_whole(), "gaps": coverage.gaps },
        "hosts": { "count": n_hosts, "in_scope": in_scope, "most": hosts.values.into_iter().map(host).collect::<Vec<_>>() },
        "executables": { "count": executables.n_distinct, "most": search::counts_of_values(executables) },
        "actions": search::counts_of_values(actions),
        "histogram": search::counts_over_time(histogram),
        "sample": events.iter().map(|event| event.to_json()).collect::<Vec<_>>(),
        "stats": search::stats(stats),
    }))
}

/// In a word: `hits`, `none` or `unknown`.
fn verdict(n_events: u64, coverage: &Coverage) -> &'static str {
    match n_events {
        0 if coverage.is_whole() => "none",
        0 => "unknown",
        _ => "hits",
    }
}

/// Reads a file of rules, off the threads that serve.
async fn read(text: String) -> Result<Result<Vec<Written>, Vec<Problem>>, ApiError> {
    let now = super::now().wall();
    tokio::task::spawn_blocking(move || file::read(&text, now)).await.map_err(ApiError::internal)
}
