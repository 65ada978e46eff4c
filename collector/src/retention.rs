//! Makes partitions ahead of time and drops what is too old or too much.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;
use wire::id::{EventId, HostId};

use crate::export::{self, Loss};
use crate::lease::{self, Lease};
use crate::store::findings::Found;
use crate::store::leases::{self, Task};
use crate::store::partitions::{self, DAY_US, Parent, Partition};
use crate::store::streams::Record;
use crate::store::{Conn, Pool, Stamp, StoreError, collectors, exports, findings, gaps, quarantine, streams};

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whole days that ended longer ago are dropped.
    pub age: Duration,
    /// When all days together take more bytes, the oldest are dropped; never the current one.
    pub max_bytes: Option<u64>,
}

/// What the task needs.
#[derive(Clone)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// How much is kept.
    pub limits: Limits,
}

/// So many streams whose counters contradict each other are told of in one round.
const MAX_UNBALANCED: u32 = 100;

/// So many streams that were not exported to their end are told of in one round.
const MAX_FORGOTTEN: u32 = 100;

/// How often it is looked. Partitions of `fresh` are made ten minutes ahead.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps house whenever this collector has the lease, until `shutdown`.
pub async fn run(config: Config, holder: Uuid, shutdown: CancellationToken) {
    let lease = Lease { pool: config.pool.clone(), task: Task::Retention, holder };
    let round = || async {
        // The database's clock: a collector whose own jumps ahead would find everything too old.
        let tidied = async { tidy(&config, leases::now(&config.pool).await?).await };
        if let Err(e) = tidied.await {
            warn!(error = %wire::cause::chain(&e), "keeping the tables in order failed, trying again");
        }
    };
    lease::while_held(lease, EVERY, shutdown, round).await;
}

/// One round: partitions ahead, statistics, and what is too old or too much.
///
/// # Errors
/// When the database fails; what was done stays.
pub async fn tidy(config: &Config, now: Stamp) -> Result<(), StoreError> {
    let mut conn = config.pool.acquire().await?;
    partitions::ensure_ahead(&mut conn, now).await?;
    for partition in partitions::outdated_statistics(&mut conn).await? {
        partitions::analyze(&mut conn, partition).await?;
    }
    for record in streams::unbalanced(&mut conn, MAX_UNBALANCED).await? {
        findings::add(&mut conn, &unbalanced(&record, now)).await?;
    }
    expire(&mut conn, config.limits, now).await
}

/// A stream whose counters in the store contradict each other, which no collector does.
fn unbalanced(record: &Record, at: Stamp) -> Found {
    let Record { stream, position, n_stored, n_shed, n_rejected, .. } = record;
    Found {
        host: stream.host,
        kind: findings::Kind::Residue,
        about: format!("{}.{} 0-{}", stream.epoch, stream.lane, position.next_seq),
        at,
        evidence: serde_json::json!({
            "passed": position.next_seq,
            "stored": n_stored,
            "shed": n_shed,
            "rejected": n_rejected,
        }),
    }
}

async fn expire(conn: &mut Conn, limits: Limits, now: Stamp) -> Result<(), StoreError> {
    let mut there = Vec::new();
    for parent in Parent::DAILY {
        there.extend(partitions::list(conn, parent).await?);
    }
    for partition in expired(&there, limits, now) {
        if partitions::drop(conn, partition).await? {
            info!(partition = partition.name(), "dropped by retention");
        } else {
            debug!(partition = partition.name(), "in use, dropped later");
        }
    }
    let before = oldest(limits, now);
    let buckets: Vec<i16> = (0..HostId::N_BUCKETS.cast_signed()).collect();
    for behind in exports::forgotten(conn, &buckets, before, MAX_FORGOTTEN).await? {
        let at = EventId { stream: behind.stream, seq: behind.next_seq };
        let loss = Loss { at, n_events: behind.stored.saturating_sub(behind.next_seq) };
        findings::add(conn, &export::unexported(&loss, now)).await?;
    }
    gaps::expire(conn, &buckets, before).await?;
    quarantine::expire(conn, &buckets, before).await?;
    streams::expire(conn, &buckets, before).await?;
    findings::expire(conn, &buckets, before).await?;
    exports::expire(conn, &buckets, before).await?;
    collectors::expire(conn).await?;
    Ok(())
}

/// The days to drop, oldest first.
fn expired(there: &[(Partition, u64)], limits: Limits, now: Stamp) -> Vec<Partition> {
    let mut days: BTreeMap<Stamp, Vec<(Partition, u64)>> = BTreeMap::new();
    for (partition, n_bytes) in there {
        days.entry(partition.from).or_default().push((*partition, *n_bytes));
    }
    let mut total: u64 = there.iter().map(|(_, n_bytes)| n_bytes).sum();
    let mut drop = Vec::new();
    for (_, partitions) in days {
        let n_bytes: u64 = partitions.iter().map(|(_, n_bytes)| n_bytes).sum();
        let is_over = |(p, _): &(Partition, u64)| p.upto() <= now;
        let is_old = |(p, _): &(Partition, u64)| p.upto() <= oldest(limits, now);
        let is_much = limits.max_bytes.is_some_and(|max| total > max);
        if partitions.iter().all(is_over) && (is_much || partitions.iter().all(is_old)) {
            total -= n_bytes;
            drop.extend(partitions.into_iter().map(|(partition, _)| partition));
        }
    }
    drop
}

fn oldest(limits: Limits, now: Stamp) -> Stamp {
    let age_us = i64::try_from(limits.age.as_micros()).unwrap_or(i64::MAX);
    // A day is kept until its last moment is old enough; at least one.
    now.plus_us(-age_us.max(DAY_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp::from_unix_us(100 * DAY_US + 5);

    fn days(sizes: &[(i64, u64)]) -> Vec<(Partition, u64)> {
        let of = |parent, day: i64| Partition::of(parent, Stamp::from_unix_us(day * DAY_US));
        let both = [Parent::Segment, Parent::Process];
        sizes.iter().flat_map(|(day, n)| both.map(|parent| (of(parent, *day), *n))).collect()
    }

    fn dropped(there: &[(Partition, u64)], days: u64, max_bytes: Option<u64>) -> Vec<String> {
        let limits = Limits { age: Duration::from_secs(days * 86_400), max_bytes };
        expired(there, limits, NOW).iter().map(|p| p.name()).collect()
    }

    #[test]
    fn days_go_when_their_last_moment_is_too_old() {
        let there = days(&[(96, 1), (97, 1), (98, 1), (99, 1), (100, 1), (101, 0)]);
        assert_eq!(
            dropped(&there, 2, None),
            ["segment_19700407", "process_19700407", "segment_19700408", "process_19700408"]
        );
    }

    #[test]
    fn the_oldest_days_go_when_there_is_too_much_but_never_the_current_one() {
        let there = days(&[(98, 10), (99, 10), (100, 10), (101, 0)]);
        assert_eq!(dropped(&there, 30, Some(45)), ["segment_19700409", "process_19700409"]);
        assert_eq!(dropped(&there, 30, Some(1)).len(), 4);
        assert!(dropped(&there, 30, Some(60)).is_empty());
    }
}
