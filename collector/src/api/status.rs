//! How the collector is, and what is wrong now.

use axum::extract::State as AxumState;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::extract::Json as JsonBody;
use super::{ApiError, State, authority, restored};
use crate::account::Account;
use crate::store::accounts::{self, LaneTotals};
use crate::store::collectors::{self, Record};
use crate::store::leases::{self, Held, Share};
use crate::store::partitions::{self, Parent};
use crate::store::{Group, StoreError, exports, findings, hosts, progress, quarantine, size};

mod kafka;
mod wrong;

use wrong::{Seen, wrong};

/// How the collector is. Members are sections of names and values for people.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// The collector that answers.
    #[schema(value_type = Object)]
    collector: Json,
    /// All collectors of this store, each with `name`, `listen`, `version`, `alive`, `last_seen`, `sessions` and the periodic
    /// work that it `does`.
    #[schema(value_type = Vec<Object>)]
    collectors: Vec<Json>,
    /// What is stored.
    #[schema(value_type = Object)]
    store: Json,
    /// The certificate authorities.
    #[schema(value_type = Object)]
    authority: Json,
    /// The backup that the store came out of, if it did.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Json>,
    /// The export to Kafka, if there is one.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<Json>,
    /// The fleet.
    #[schema(value_type = Object)]
    hosts: Json,
    /// All streams together.
    #[schema(value_type = Object)]
    streams: Json,
    /// The equation of each lane, of all epochs and of the live ones, as of each stream's last batch.
    #[schema(value_type = Object)]
    ledger: Json,
    /// What is wrong now, one line each; empty when all is well.
    wrong: Vec<String>,
}

/// Tells how collector, store and streams are, and what is wrong now.
#[utoipa::path(get, path = "/api/v1/status", operation_id = "show_status", tag = "collector", responses(
    (status = OK, body = StatusBody),
), security(("token" = [])))]
pub(super) async fn show(AxumState(state): AxumState<State>) -> Result<JsonBody<StatusBody>, ApiError> {
    let now = super::now();
    let records = hosts::all(&state.pool).await?;
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let size = size::size(&mut conn).await?;
    let merged_upto = progress::merged_upto(&mut conn, Group::WHOLE).await?;
    let totals = accounts::of_hosts(&mut conn).await?;
    let lanes = accounts::of_lanes(&mut conn).await?;
    let runs = collectors::all(&mut *conn).await?;
    let held = leases::all(&mut *conn).await?;
    let n_findings = findings::n_open(&mut conn).await?;
    let found = findings::open(&mut conn, wrong::MAX_FINDINGS).await?;
    let n_quarantined = quarantine::n(&mut conn).await?;
    let exporters = exports::exporters::all(&mut *conn).await?;
    let is_begun = exports::is_begun(&mut conn).await?;
    let (behind, n_refused) = match is_begun {
        false => (exports::Totals::default(), 0),
        true => (exports::totals(&mut conn).await?, exports::refused::n(&mut conn).await?),
    };
    let (mut n_days, mut n_minutes) = (0, 0);
    for parent in Parent::ALL {
        let n = partitions::list(&mut conn, parent).await?.len();
        if parent == Parent::Segment {
            n_days = n
        }
        if parent == Parent::Fresh {
            n_minutes = n
        }
    }
    drop(conn);
    let (authority, of_authority) = authority::section(&state, &records, now).await?;
    let (restored, of_restore) = restored::section(&state, &records, now).await?;
    let lag_us = now.unix_us().saturating_sub(merged_upto.unix_us());
    let all = totals.iter().fold(Account::default(), |sum, one| sum.plus(&one.account));
    let certificate_us =
        i64::try_from(state.ca.current().serving().host_life().whole_microseconds()).unwrap_or(i64::MAX);
    let seen = Seen {
        now,
        merge_lag_us: lag_us,
        certificate_us,
        records: &records,
        totals: &totals,
        collectors: &runs,
        findings: &found,
        n_findings,
        n_quarantined,
    };
    let export = kafka::Export {
        now,
        is_begun,
        totals: behind,
        exporters: &exporters,
        held: &held,
        collectors: &runs,
        n_refused,
    };
    Ok(JsonBody(StatusBody {
        collector: json!({
            "version": env!("CARGO_PKG_VERSION"),
            "time": now.to_string(),
            "sessions": state.sessions.n_live(),
        }),
        collectors: runs.iter().map(|run| collector(run, &held)).collect(),
        store: json!({
            "bytes": size.n_bytes,
            "day_partitions": n_days,
            "minute_partitions": n_minutes,
            "oldest_event": size.oldest.map(|at| at.to_string()),
            "merge_lag_seconds": lag_us / 1_000_000,
        }),
        authority,
        restored,
        kafka: export.section(),
        hosts: json!({
            "enrolled": records.iter().filter(|record| record.revoked.is_none()).count(),
            "revoked": records.iter().filter(|record| record.revoked.is_some()).count(),
        }),
        streams: json!({
            "known": totals.iter().map(|t| t.n_streams).fold(0, u64::saturating_add),
            "stored": all.stored,
            "lost": all.lost,
            "dropped": all.dropped,
            "rejected": all.rejected,
            "quarantined_batches": n_quarantined,
            "open_findings": n_findings,
        }),
        ledger: lanes
            .iter()
            .map(|lane| (ledger_name(lane), equation(lane).into()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        wrong: wrong(&seen).into_iter().chain(export.wrong()).chain(of_authority).chain(of_restore).collect(),
    }))
}

fn collector(record: &Record, held: &[Held]) -> Json {
    let its = || held.iter().filter(|held| held.holder == record.run && held.left.is_some());
    let n_shares = its().filter(|held| held.share().is_some()).count();
    let export = (n_shares > 0).then(|| format!("export ({n_shares} of {} shares)", Share::N));
    let tasks = its().filter(|held| held.share().is_none()).map(|held| held.task.clone());
    let does: Vec<String> = export.into_iter().chain(tasks).collect();
    json!({
        "name": record.name,
        "listen": record.listen,
        "id": record.id.to_string(),
        "version": record.version,
        "alive": record.is_alive(),
        "started": record.started.to_string(),
        "last_seen": record.last_seen.to_string(),
        "sessions": record.n_sessions,
        "does": does,
    })
}

fn ledger_name(lane: &LaneTotals) -> String {
    format!("{}_{}", lane.lane, if lane.is_live { "live" } else { "all" })
}

/// Both sides, as people write them.
fn equation(lane: &LaneTotals) -> String {
    let Account { generated, stored, merged, lost, dropped, rejected } = lane.account;
    let sides = format!(
        "{generated} generated = {stored} stored + {merged} merged + {lost} lost + {dropped} dropped + {rejected} rejected"
    );
    match lane.account.residue() {
        0 => sides,
        residue => format!("{sides} + {residue} residue"),
    }
}
