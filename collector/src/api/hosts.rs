//! The hosts: what they say of themselves, and the ledger of what they sent.

use std::collections::HashMap;

use axum::extract::State as AxumState;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;
use wire::frame::sensor::Facts;
use wire::id::HostId;

use super::error::ErrorBody;
use super::extract::{Json as JsonBody, Path};
use super::{ApiError, State, restored};
use crate::account::Account;
use crate::search::Fleet;
use crate::store::accounts::{self, Totals};
use crate::store::hosts::{self, HostRecord};
use crate::store::streams::{self, Record};
use crate::store::{Stamp, StoreError, findings};

/// So many streams of one host are shown, the one last heard of first.
const MAX_STREAMS: u32 = 200;
/// So many findings.
const MAX_FINDINGS: u32 = 50;

/// A host that was heard of within this is connected: what it says is written down every ten seconds.
const HEARD_US: i64 = 60_000_000;

/// All hosts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HostsBody {
    /// By name, then id: `host`, `sensor`, `last_seen`, `connected`, `events_per_second`, `not_stored`, …
    #[schema(value_type = Vec<Object>)]
    hosts: Vec<Json>,
}

/// Lists the hosts, with how much each has sent and how much of it was not stored.
#[utoipa::path(get, path = "/api/v1/hosts", operation_id = "list_hosts", tag = "hosts", responses(
    (status = OK, body = HostsBody),
), security(("token" = [])))]
pub(super) async fn list(AxumState(state): AxumState<State>) -> Result<JsonBody<HostsBody>, ApiError> {
    let records = hosts::all(&state.pool).await?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let totals: HashMap<HostId, Totals> =
        accounts::of_hosts(&mut conn).await?.into_iter().map(|totals| (totals.host, totals)).collect();
    let host = |record: HostRecord| {
        let totals = totals.get(&record.id);
        let mut json = body(&record, is_connected(&state, &record));
        put(&mut json, "stored", totals.map(|t| t.account.stored));
        put(&mut json, "not_stored", totals.map(|t| t.account.not_stored()));
        json
    };
    Ok(JsonBody(HostsBody { hosts: records.into_iter().map(host).collect() }))
}

/// Shows a host: version, kernel, clock, the ledger of each of its streams, and its open findings.
///
/// In each stream, and in `ledger` of all of them, `generated = stored + merged + lost + dropped + rejected + residue` as of
/// the end of its last batch; the residue is 0 when everything is accounted for.
#[utoipa::path(get, path = "/api/v1/hosts/{id}", operation_id = "show_host", tag = "hosts",
    params(("id" = String, Path, description = "The host, by name or id.")), responses(
    (status = OK, body = Object),
    (status = NOT_FOUND, body = ErrorBody),
    (status = CONFLICT, body = ErrorBody, description = "Several hosts have that name."),
), security(("token" = [])))]
pub(super) async fn show(
    AxumState(state): AxumState<State>,
    Path(name): Path<String>,
) -> Result<JsonBody<Json>, ApiError> {
    // Not the fleet that searches go by, which is some seconds old: a host that has just come is shown.
    let all = hosts::all(&state.pool).await?;
    let fleet = Fleet::new(all.iter().map(|host| (host.id, host.name.clone(), host.tags.clone())));
    let id = fleet.resolve(&name)?;
    let record = all.into_iter().find(|record| record.id == id);
    let record = record.ok_or_else(|| ApiError::not_found(format!("host {id} not found")))?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let streams = streams::of_host(&mut conn, id, MAX_STREAMS).await?;
    let found = findings::of_host(&mut conn, id, MAX_FINDINGS).await?;
    let sessions = state.sessions.of(id);
    let mut json = body(&record, is_connected(&state, &record));
    let facts = facts(&record);
    put(&mut json, "troubles", facts.as_ref().map(|facts| facts.troubles.clone()));
    put(&mut json, "held_bytes", facts.as_ref().map(|facts| facts.held_bytes));
    put(&mut json, "processes_known", facts.as_ref().map(|facts| facts.n_processes));
    put(&mut json, "sessions", sessions.iter().map(|s| s.address.to_string()).collect::<Vec<_>>());
    put(&mut json, "certified_until", record.certified_until.to_string());
    let all = streams.iter().map(Record::account).fold(Account::default(), |sum, one| sum.plus(&one));
    put(&mut json, "ledger", ledger(&all));
    put(&mut json, "missing", Some(restored::of_host(&state, &record).await?).filter(|all| !all.is_empty()));
    put(&mut json, "streams", streams.iter().map(stream).collect::<Vec<_>>());
    let open = found.iter().filter(|finding| finding.state == "open");
    put(
        &mut json,
        "findings",
        open.map(|finding| super::findings::body(finding, &fleet)).collect::<Vec<_>>(),
    );
    Ok(JsonBody(json))
}

/// Whether it is connected to this collector or another.
fn is_connected(state: &State, record: &HostRecord) -> bool {
    // What is known here is written down within a moment.
    record.connected.is_some() || !state.sessions.of(record.id).is_empty()
}

/// A host's last heartbeat, if one has come that this version reads.
pub(super) fn facts(record: &HostRecord) -> Option<Facts> {
    serde_json::from_str(record.facts.as_deref()?).ok()
}

fn body(record: &HostRecord, is_connected: bool) -> Json {
    let per_second = facts(record).map(|facts| facts.events_per_second_milli as f64 / 1000.0);
    let mut json = json!({
        "host": {
            "id": record.id.to_string(),
            "name": record.name,
            "tags": record.tags,
            "os": { "kernel": record.kernel },
            "architecture": record.arch,
        },
        "sensor": { "version": record.sensor_version },
        "connected": is_connected,
        "enrolled": record.enrolled.to_string(),
    });
    if let (Some(boot), Some(host)) = (record.boot, json.get_mut("host")) {
        put(host, "boot", json!({ "id": boot.to_string() }));
    }
    if let Some(to) = &record.connected {
        put(&mut json, "collector", json!({ "name": to.name, "listen": to.listen }));
    }
    put(&mut json, "state", state(record, is_connected, super::now()));
    put(&mut json, "address", record.address.clone());
    put(&mut json, "last_seen", record.last_seen.map(|at| at.to_string()));
    put(&mut json, "events_per_second", per_second.filter(|_| is_connected));
    if let Some(offset_ns) = record.clock_offset_ns {
        let uncertainty_ns = record.clock_uncertainty_ns;
        put(&mut json, "clock", json!({ "offset_ns": offset_ns, "uncertainty_ns": uncertainty_ns }));
    }
    put(&mut json, "sees", record.capabilities.as_deref().map(sees));
    put(&mut json, "revoked", record.revoked.map(|at| at.to_string()));
    json
}

/// Whether a host is there now, with whichever collector, or may no longer be. Pure.
fn state(record: &HostRecord, is_connected: bool, now: Stamp) -> &'static str {
    let is_heard = record.last_seen.is_some_and(|at| now.unix_us() - at.unix_us() < HEARD_US);
    match record.revoked {
        Some(_) => "revoked",
        None if is_connected || is_heard => "connected",
        None => "away",
    }
}

/// What can be seen on a host: its sensor's lines, taken apart.
fn sees(lines: &str) -> Json {
    let sight = |line: &str| {
        let (name, rest) = line.split_once('=').unwrap_or((line, ""));
        let (way, blind) = rest.split_once("; ").unwrap_or((rest, ""));
        let mut sight = json!({ "name": name });
        put(&mut sight, "way", Some(way).filter(|way| !way.is_empty()));
        put(&mut sight, "blind", Some(blind).filter(|blind| !blind.is_empty()));
        sight
    };
    lines.lines().map(sight).collect()
}

fn stream(record: &Record) -> Json {
    let mut json = ledger(&record.account());
    put(&mut json, "epoch", record.stream.epoch.to_string());
    put(&mut json, "lane", record.stream.lane.to_string());
    put(&mut json, "boundary_sequence", record.boundary_seq);
    put(&mut json, "next_sequence", record.position.next_seq);
    put(&mut json, "first_received", record.first_received.to_string());
    put(&mut json, "last_received", record.last_received.to_string());
    json
}

fn ledger(account: &Account) -> Json {
    let residue = account.residue();
    json!({
        "generated": account.generated,
        "stored": account.stored,
        "merged": account.merged,
        "lost": account.lost,
        "dropped": account.dropped,
        "rejected": account.rejected,
        "residue": i64::try_from(residue).unwrap_or(if residue < 0 { i64::MIN } else { i64::MAX }),
    })
}

/// Sets a member, unless there is nothing to set.
fn put(object: &mut Json, name: &str, value: impl Serialize) {
    if let (Some(object), Ok(value)) = (object.as_object_mut(), serde_json::to_value(value))
        && !value.is_null()
    {
        object.insert(name.to_owned(), value);
    }
}
