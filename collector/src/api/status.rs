//! How the collector is, and what is wrong now.

use axum::extract::State as AxumState;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::extract::Json as JsonBody;
use super::hosts::{facts, not_stored};
use super::{ApiError, State};
use crate::store::hosts::HostRecord;
use crate::store::partitions::{self, MINUTE_US, Parent};
use crate::store::streams::Totals;
use crate::store::{Group, Stamp, StoreError, hosts, progress, size, streams};

/// A host not heard of for so long is silent.
const SILENT_US: i64 = 10 * MINUTE_US;
/// A host not heard of for so long is gone, and no longer news.
const GONE_US: i64 = 7 * 86_400_000_000;
/// Merging this far behind is wrong: searches get slow.
const LATE_US: i64 = 5 * MINUTE_US;
/// A clock this far off, corrected or not, is worth a word.
const CLOCK_NS: u64 = 60_000_000_000;
/// At most so many hosts are named for one thing.
const MAX_NAMED: usize = 5;

/// How the collector is. Members are sections of names and values for people.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// This collector.
    #[schema(value_type = Object)]
    collector: Json,
    /// What is stored.
    #[schema(value_type = Object)]
    store: Json,
    /// The fleet.
    #[schema(value_type = Object)]
    hosts: Json,
    /// All streams together.
    #[schema(value_type = Object)]
    streams: Json,
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
    let totals = streams::totals(&mut conn).await?;
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
    let lag_us = now.unix_us().saturating_sub(merged_upto.unix_us());
    let sum = |of: fn(&Totals) -> u64| totals.iter().map(of).fold(0, u64::saturating_add);
    let certificate_us = i64::try_from(state.ca.host_life().whole_microseconds()).unwrap_or(i64::MAX);
    let facts = Seen { now, merge_lag_us: lag_us, certificate_us, records: &records, totals: &totals };
    Ok(JsonBody(StatusBody {
        collector: json!({
            "version": env!("CARGO_PKG_VERSION"),
            "time": now.to_string(),
            "sessions": state.sessions.n_live(),
        }),
        store: json!({
            "bytes": size.n_bytes,
            "day_partitions": n_days,
            "minute_partitions": n_minutes,
            "oldest_event": size.oldest.map(|at| at.to_string()),
            "merge_lag_seconds": lag_us / 1_000_000,
        }),
        hosts: json!({
            "enrolled": records.iter().filter(|record| record.revoked.is_none()).count(),
            "revoked": records.iter().filter(|record| record.revoked.is_some()).count(),
        }),
        streams: json!({
            "known": sum(|t| t.n_streams),
            "stored": sum(|t| t.n_stored),
            "lost": sum(|t| t.ledger.lost),
            "dropped": sum(|t| t.ledger.dropped.saturating_add(t.n_shed)),
            "rejected": sum(|t| t.n_rejected),
        }),
        wrong: wrong(&facts),
    }))
}

/// What is known when it is asked what is wrong.
struct Seen<'a> {
    now: Stamp,
    merge_lag_us: i64,
    /// How long a host's certificate is valid.
    certificate_us: i64,
    records: &'a [HostRecord],
    totals: &'a [Totals],
}

/// What is wrong, one line each. Pure.
fn wrong(seen: &Seen<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if seen.merge_lag_us > LATE_US {
        let minutes = seen.merge_lag_us / MINUTE_US;
        wrong.push(format!(
            "merging is {minutes} minutes behind, searches get slower: see the collector's log"
        ));
    }
    let age = |at: Stamp| seen.now.unix_us().saturating_sub(at.unix_us());
    let standing = || seen.records.iter().filter(|record| record.revoked.is_none());
    let silent = standing()
        .filter(|record| record.last_seen.is_some_and(|at| (SILENT_US..GONE_US).contains(&age(at))));
    wrong.extend(named("not heard of for over 10 minutes", silent));
    let never = standing().filter(|record| record.last_seen.is_none() && age(record.enrolled) > SILENT_US);
    wrong.extend(named("enrolled, but its sensor has never connected", never));
    let expiring = standing().filter(|record| {
        let is_live = record.last_seen.is_some_and(|at| age(at) < SILENT_US);
        // It is renewed at half of its life.
        is_live && age(record.certified_until) > -seen.certificate_us / 4
    });
    wrong.extend(named("its certificate ends soon and was not renewed", expiring));
    let clock =
        standing().filter(|record| record.clock_offset_ns.is_some_and(|ns| ns.unsigned_abs() > CLOCK_NS));
    wrong.extend(named("its clock is over a minute off (times are corrected)", clock));
    for record in standing() {
        let live = record.last_seen.is_some_and(|at| age(at) < SILENT_US);
        for trouble in facts(record).filter(|_| live).iter().flat_map(|facts| &facts.troubles) {
            wrong.push(format!("{}: {trouble}", record.name));
        }
    }
    let by_id = |totals: &&Totals| seen.records.iter().find(|record| record.id == totals.host);
    let lossy = seen.totals.iter().filter(|totals| not_stored(totals) > 0).collect::<Vec<_>>();
    let rejected = lossy.iter().copied().filter(|totals| totals.n_rejected > 0);
    wrong.extend(named(
        "sent batches that were refused (see `vedette hosts show`)",
        rejected.filter_map(|t| by_id(&t)),
    ));
    let lost = lossy
        .iter()
        .copied()
        .filter(|totals| totals.ledger.lost > 0 || totals.ledger.dropped > 0 || totals.n_shed > 0);
    wrong.extend(named(
        "events were lost or dropped (see `vedette hosts show`)",
        lost.filter_map(|t| by_id(&t)),
    ));
    let residue = seen.totals.iter().filter(|totals| {
        totals.ledger.residue(totals.n_stored, totals.n_rejected) != i128::from(totals.n_shed)
    });
    wrong.extend(named(
        "its ledger does not add up: events vanished or were made up",
        residue.filter_map(|t| by_id(&t)),
    ));
    wrong
}

/// `web-1, web-2 and 3 more: what`.
fn named<'a>(what: &str, hosts: impl Iterator<Item = &'a HostRecord>) -> Option<String> {
    let names: Vec<&str> = hosts.map(|record| record.name.as_str()).collect();
    let (shown, rest) = names.split_at(names.len().min(MAX_NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!shown.is_empty()).then(|| format!("{}{more}: {what}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::id::HostId;
    use wire::ledger::Ledger;

    use super::*;
    use crate::store::partitions::DAY_US;

    const NOW: Stamp = Stamp::from_unix_us(1_700_000_000_000_000);

    fn record(n: u128) -> HostRecord {
        HostRecord {
            id: HostId::new(Uuid::from_u128(n)),
            name: format!("web-{n}"),
            tags: vec![],
            enrolled: NOW.plus_us(-GONE_US),
            certified_until: NOW.plus_us(DAY_US / 2),
            revoked: None,
            last_seen: Some(NOW),
            address: None,
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            sensor_version: "0.1.0".into(),
            capabilities: None,
            boot: None,
            clock_offset_ns: Some(0),
            clock_uncertainty_ns: Some(0),
            facts: None,
        }
    }

    fn totals(n: u128, stored: u64, ledger: Ledger) -> Totals {
        let host = HostId::new(Uuid::from_u128(n));
        Totals { host, n_streams: 1, n_stored: stored, n_shed: 0, n_rejected: 0, ledger, last_received: NOW }
    }

    #[test]
    fn nothing_is_wrong_with_a_healthy_fleet() {
        let totals = [totals(1, 9, Ledger { generated: 10, merged: 1, ..Ledger::default() })];
        let seen = Seen {
            now: NOW,
            merge_lag_us: MINUTE_US,
            certificate_us: DAY_US,
            records: &[record(1)],
            totals: &totals,
        };
        assert_eq!(wrong(&seen), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_each() {
        let mut records: Vec<HostRecord> = (1..=8).map(record).collect();
        records.iter_mut().for_each(|record| record.last_seen = Some(NOW.plus_us(-SILENT_US)));
        records.push(HostRecord { certified_until: NOW.plus_us(DAY_US / 5), ..record(9) });
        let totals = [totals(2, 8, Ledger { generated: 10, lost: 1, ..Ledger::default() })];
        let seen = Seen {
            now: NOW,
            merge_lag_us: 7 * MINUTE_US,
            certificate_us: DAY_US,
            records: &records,
            totals: &totals,
        };
        assert_eq!(
            wrong(&seen),
            [
                "merging is 7 minutes behind, searches get slower: see the collector's log",
                "web-1, web-2, web-3, web-4, web-5 and 3 more: not heard of for over 10 minutes",
                "web-9: its certificate ends soon and was not renewed",
                "web-2: events were lost or dropped (see `vedette hosts show`)",
                "web-2: its ledger does not add up: events vanished or were made up",
            ]
        );
    }

    #[test]
    fn revoked_hosts_are_no_news() {
        let mut revoked = record(1);
        (revoked.revoked, revoked.last_seen) = (Some(NOW), None);
        let seen =
            Seen { now: NOW, merge_lag_us: 0, certificate_us: DAY_US, records: &[revoked], totals: &[] };
        assert_eq!(wrong(&seen), Vec::<String>::new());
    }
}
