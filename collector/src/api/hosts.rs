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
use super::{ApiError, State};
use crate::store::StoreError;
use crate::store::hosts::{self, HostRecord};
use crate::store::streams::{self, Record, Totals};

/// So many streams of one host are shown, the one last heard of first.
const MAX_STREAMS: u32 = 200;

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
        streams::totals(&mut conn).await?.into_iter().map(|totals| (totals.host, totals)).collect();
    let host = |record: HostRecord| {
        let totals = totals.get(&record.id);
        let mut json = body(&record, !state.sessions.of(record.id).is_empty());
        put(&mut json, "stored", totals.map(|t| t.n_stored));
        put(&mut json, "not_stored", totals.map(not_stored));
        json
    };
    Ok(JsonBody(HostsBody { hosts: records.into_iter().map(host).collect() }))
}

/// Shows a host: version, kernel, clock, and the ledger of each of its streams.
///
/// In each stream `generated = stored + merged + lost + dropped + rejected + residue`; the residue is 0 when
/// everything is accounted for.
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
    let id = state.search.fleet().await?.resolve(&name)?;
    let record = hosts::all(&state.pool).await?.into_iter().find(|record| record.id == id);
    let record = record.ok_or_else(|| ApiError::not_found(format!("host {id} not found")))?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let streams = streams::of_host(&mut conn, id, MAX_STREAMS).await?;
    let sessions = state.sessions.of(id);
    let mut json = body(&record, !sessions.is_empty());
    let facts = facts(&record);
    put(&mut json, "troubles", facts.as_ref().map(|facts| facts.troubles.clone()));
    put(&mut json, "held_bytes", facts.as_ref().map(|facts| facts.held_bytes));
    put(&mut json, "processes_known", facts.as_ref().map(|facts| facts.n_processes));
    put(&mut json, "sessions", sessions.iter().map(|s| s.address.to_string()).collect::<Vec<_>>());
    put(&mut json, "certified_until", record.certified_until.to_string());
    put(&mut json, "streams", streams.iter().map(stream).collect::<Vec<_>>());
    Ok(JsonBody(json))
}

/// What was generated but not stored, of all of a host's streams.
pub(super) fn not_stored(totals: &Totals) -> u64 {
    let Totals { n_shed, n_rejected, ledger, .. } = totals;
    [*n_shed, *n_rejected, ledger.lost, ledger.dropped].into_iter().fold(0, u64::saturating_add)
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
    let ledger = &record.ledger;
    // A sensor that sheds a sealed batch says so by a tombstone; its counters before and after do not.
    let dropped = ledger.dropped.saturating_add(record.n_shed);
    let residue = ledger.residue(record.n_stored, record.n_rejected) - i128::from(record.n_shed);
    json!({
        "epoch": record.stream.epoch.to_string(),
        "lane": record.stream.lane.to_string(),
        "generated": ledger.generated,
        "stored": record.n_stored,
        "merged": ledger.merged,
        "lost": ledger.lost,
        "dropped": dropped,
        "rejected": record.n_rejected,
        "residue": i64::try_from(residue).unwrap_or(if residue < 0 { i64::MIN } else { i64::MAX }),
        "next_sequence": record.position.next_seq,
        "first_received": record.first_received.to_string(),
        "last_received": record.last_received.to_string(),
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
