//! Moves the fresh batches of finished minutes into segments of one host each.
//!
//! One collector at a time does it ([`crate::lease`]); should two, the second one's transaction finds that the minute is
//! merged, and is taken back. A minute is moved in one transaction, which also says how far merging has come; readers that
//! see one see the other. The minute's partition is dropped some minutes later, so that a search that began before still
//! finds what it was promised. (`truncate` would be quicker, but empties the table for readers with an older snapshot too.)

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use wire::id::HostId;

use crate::lease::{self, Lease};
use crate::store::Begin as _;
use crate::store::leases::{self, Task};
use crate::store::partitions::{self, MINUTE_US, Parent, Partition};
use crate::store::{Conn, Group, Pool, Stamp, StoreError, fresh, progress, segment};

mod rows;

/// What the merger needs.
#[derive(Clone)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// The hosts it merges for.
    pub group: Group,
}

/// How long after its end a minute is merged: what is still being committed belongs to it.
const GRACE_US: i64 = 5_000_000;
/// How long a merged minute is kept for searches that have begun.
const KEEP_US: i64 = 5 * MINUTE_US;
/// How often it is looked whether a minute has ended.
const EVERY: Duration = Duration::from_secs(5);

/// Merges whenever this collector has the lease, until `shutdown`.
pub async fn run(config: Config, holder: Uuid, shutdown: CancellationToken) {
    let lease = Lease { pool: config.pool.clone(), task: Task::Merge, holder };
    let round = || async {
        // The database's clock: a collector whose own is ahead would merge what is still others' present.
        let merged = async { catch_up(&config, leases::now(&config.pool).await?).await };
        match merged.await {
            Err(e) => warn!(error = %wire::cause::chain(&e), "merging failed, trying again"),
            Ok(0) => {}
            Ok(n) => debug!(n_minutes = n, "merged"),
        }
    };
    lease::while_held(lease, EVERY, shutdown, round).await;
}

/// Merges every minute that has ended before `now`; returns how many, and drops those merged long enough ago.
///
/// # Errors
/// When the database fails; what was committed stays.
pub async fn catch_up(config: &Config, now: Stamp) -> Result<u32, StoreError> {
    let mut conn = config.pool.acquire().await?;
    let mut n_merged = 0;
    loop {
        let from = progress::merged_upto(&mut conn, config.group).await?;
        let upto = from.plus_us(MINUTE_US);
        if upto.plus_us(GRACE_US) > now {
            break;
        }
        // Minutes without a partition are passed in one step: the collector was off.
        let there = partitions::list(&mut conn, Parent::Fresh).await?;
        let next = there.iter().map(|(p, _)| p.from).find(|at| *at >= from);
        let last = now.plus_us(-GRACE_US).start_of(MINUTE_US);
        match next {
            Some(at) if at == from => {
                let n = minute(&mut conn, config, Partition { parent: Parent::Fresh, from }).await?;
                n_merged += u32::from(n);
            }
            other => {
                let to = other.unwrap_or(last).min(last);
                progress::advance(&mut conn, config.group, from, to).await?;
            }
        }
    }
    drop_old(&mut conn, config, now).await?;
    Ok(n_merged)
}

/// Merges one minute; false when the lease was lost meanwhile.
async fn minute(conn: &mut Conn, config: &Config, partition: Partition) -> Result<bool, StoreError> {
    let mut tx = conn.begin().await?;
    // Waits for commits into this minute that are under way. Later ones wait for this transaction, and then
    // see that the minute is gone.
    partitions::lock(&mut tx, partition).await?;
    let sources = fresh::directories(&mut tx, config.group, partition.from, partition.upto()).await?;
    let mut by_host: BTreeMap<HostId, Vec<rows::Piece<'_>>> = BTreeMap::new();
    for source in &sources {
        for entry in &source.entries {
            by_host.entry(entry.stream.host).or_default().push(rows::Piece { source, entry });
        }
    }
    let planned: Vec<rows::Planned<'_>> =
        by_host.into_iter().flat_map(|(host, pieces)| rows::plan(host, pieces)).collect();
    // As many rows at a time as fit into a bounded memory, however much a minute holds.
    let mut rest = &planned[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rows::fitting(rest));
        rest = later;
        let bytes = fresh::payloads(&mut tx, config.group, &rows::wanted(now)).await?;
        let mut built = Vec::with_capacity(now.len());
        for planned in now {
            // About a millisecond each; others have this thread in between.
            built.push(planned.build(&bytes)?);
            tokio::task::yield_now().await;
        }
        let segments = built.iter().map(|b| (b.host, b.row()));
        segment::add(&mut tx, true, segments).await?;
    }
    if !progress::advance(&mut tx, config.group, partition.from, partition.upto()).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    tx.commit().await?;
    let n_events: u32 = sources.iter().flat_map(|s| &s.entries).map(|e| e.n_events).sum();
    metrics::counter!("collector_event_merged_total").increment(u64::from(n_events));
    Ok(true)
}

/// Drops the partitions merged long enough ago.
async fn drop_old(conn: &mut Conn, config: &Config, now: Stamp) -> Result<(), StoreError> {
    let merged_upto = progress::merged_upto(conn, config.group).await?;
    for (partition, _) in partitions::list(conn, Parent::Fresh).await? {
        let is_old = partition.upto() <= merged_upto && partition.upto().plus_us(KEEP_US) <= now;
        if is_old && !partitions::drop(conn, partition).await? {
            debug!(partition = partition.name(), "in use, dropped later");
        }
    }
    Ok(())
}
