//! What the API says of a store that came out of a backup.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::{ApiError, State};
use crate::plural;
use crate::store::hosts::HostRecord;
use crate::store::restores::{self, Missing, Restore};
use crate::store::{Stamp, StoreError};

/// A restore is no news any more after so long.
const OLD_US: i64 = 30 * 86_400_000_000;

/// The section of the status, if the store was restored, and what is wrong, one line each.
pub(super) async fn section(
    state: &State,
    hosts: &[HostRecord],
    now: Stamp,
) -> Result<(Option<Json>, Vec<String>), ApiError> {
    let Some(restore) = restores::last(&state.pool).await? else { return Ok((None, Vec::new())) };
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let missing = restores::missing(&mut conn, &restore).await?;
    let unheard = unheard(&restore, hosts);
    let n_missing: u64 = missing.iter().filter_map(|missing| missing.n_events).sum();
    let section = json!({
        "backup_of": restore.taken.to_string(),
        "restored": restore.restored.to_string(),
        "events_missing": n_missing,
        "streams_of_unknown_end": missing.iter().filter(|missing| missing.n_events.is_none()).count(),
        "hosts_not_heard_since": unheard.len(),
    });
    let is_news = now.unix_us() - restore.restored.unix_us() < OLD_US;
    let wrong = if is_news { said(&restore, &missing, &unheard) } else { Vec::new() };
    Ok((Some(section), wrong))
}

/// What one host misses, stream by stream.
pub(super) async fn of_host(state: &State, host: &HostRecord) -> Result<Vec<Json>, ApiError> {
    let Some(restore) = restores::last(&state.pool).await? else { return Ok(Vec::new()) };
    let mut conn = state.pool.acquire().await.map_err(StoreError::from)?;
    let missing = restores::missing(&mut conn, &restore).await?;
    let line = |missing: &Missing| {
        json!({
            "epoch": missing.epoch.to_string(),
            "lane": missing.lane.to_string(),
            "first_sequence": missing.first_seq,
            "next_sequence": missing.n_events.map(|n| missing.first_seq.saturating_add(n)),
            "events": missing.n_events,
            "since": missing.since.map(|at| at.to_string()),
            "until": missing.until.to_string(),
        })
    };
    Ok(missing.iter().filter(|missing| missing.host == host.id).map(line).collect())
}

/// Hosts that may know of more that is missing. Pure.
fn unheard<'a>(restore: &Restore, hosts: &'a [HostRecord]) -> Vec<&'a HostRecord> {
    let is_unheard = |host: &&HostRecord| host.last_seen.is_none_or(|at| at < restore.restored);
    hosts.iter().filter(|host| host.revoked.is_none()).filter(is_unheard).collect()
}

/// What is wrong, one line each. Pure.
fn said(restore: &Restore, missing: &[Missing], unheard: &[&HostRecord]) -> Vec<String> {
    let (taken, restored) = (restore.taken, restore.restored);
    let mut lines = Vec::new();
    let counted = || missing.iter().filter(|missing| missing.n_events.is_some_and(|n| n > 0));
    let n_events: u64 = counted().filter_map(|missing| missing.n_events).sum();
    let n_hosts = counted().map(|missing| missing.host).collect::<HashSet<_>>().len();
    if n_events > 0 {
        lines.push(format!(
            "restored at {restored} from a backup of {taken}: {n_events} events of {} that were stored since are missing (see `vedette hosts show`)",
            plural::hosts(n_hosts)
        ));
    }
    let unknown = missing.iter().filter(|missing| missing.n_events.is_none());
    let n_unknown = unknown.map(|missing| missing.host).collect::<HashSet<_>>().len();
    if n_unknown > 0 {
        lines.push(format!(
            "restored from a backup of {taken}: sensors of {} began anew meanwhile, so what they had sent until then is missing in unknown number",
            plural::hosts(n_unknown)
        ));
    }
    if !unheard.is_empty() {
        lines.push(format!(
            "restored from a backup of {taken}: {} not been heard of since, and may miss more",
            plural::hosts_have(unheard.len())
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::id::{Epoch, HostId, Lane};

    use super::*;

    const TAKEN: Stamp = Stamp::from_unix_us(1_700_000_000_000_000);

    fn missing(host: u128, n_events: Option<u64>) -> Missing {
        Missing {
            host: HostId::new(Uuid::from_u128(host)),
            epoch: Epoch::new(Uuid::from_u128(1)),
            lane: Lane::Bulk,
            first_seq: 10,
            n_events,
            since: None,
            until: TAKEN,
        }
    }

    #[test]
    fn what_is_missing_is_summed_up() {
        let restored = TAKEN.plus_us(1_000_000);
        let restore = Restore { taken: TAKEN, restored, version: "0.1.0".to_owned() };
        assert_eq!(said(&restore, &[], &[]), Vec::<String>::new());
        let host = |last_seen| HostRecord {
            last_seen,
            ..HostRecord::named(HostId::new(Uuid::from_u128(9)), "web-9", TAKEN)
        };
        let hosts = [host(Some(TAKEN)), host(None), host(Some(restored))];
        let unheard = unheard(&restore, &hosts);
        let all = [missing(1, Some(5)), missing(1, Some(7)), missing(2, Some(1)), missing(3, None)];
        let lines = said(&restore, &all, &unheard);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("13 events of 2 hosts")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("of 1 host began anew")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("2 hosts have not been heard")), "{lines:?}");
    }
}
