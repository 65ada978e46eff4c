//! From what sensors sent to what is stored: durable, once, and answered after the commit.
//!
//! Deliveries are gathered into groups, read and checked off the asynchronous threads ([`admit`]), and a
//! group is stored in one transaction together with its streams' new watermarks ([`commit`]). What becomes
//! of each delivery is decided by a pure function ([`plan`]) from where its stream stands.
//!
//! - An answer leaves after the commit: stored means durable. When the database is away, the answer is to
//!   try again later; nothing is kept here, as the sensors keep it.
//! - One bad batch fails nobody else: it is quarantined, answered as rejected, and its watermark passes it.
//! - The collector has no disk queue, because then an acknowledged batch would be on one machine only.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;
use wire::batch::Sealed;
use wire::id::StreamId;
use wire::time::WallTime;

use crate::export::Feed;
use crate::listener::Arrivals;
use crate::presence::Tails;
use crate::store::{Group, Pool};

mod admit;
mod answer;
mod commit;
mod gather;
mod parcel;
mod plan;
pub mod replay;
mod rows;
mod segments;
mod watermarks;
mod work;

pub use watermarks::Watermarks;

use gather::gather;
use parcel::Parcel;

/// What ingest needs.
#[derive(Clone)]
pub struct Config {
    /// The store. Ingest makes a connection of its own, like those of the pool.
    pub pool: Pool,
    /// The hosts it stores for.
    pub group: Group,
    /// What time it is.
    pub clock: fn() -> WallTime,
    /// Takes what was stored, after its commit; see [`broadcast`] about who is too slow.
    pub committed: broadcast::Sender<Arc<Committed>>,
    /// This run of this collector.
    pub run: Uuid,
    /// Whether other collectors have to be told.
    pub tails: Tails,
    /// Is told which segments were stored, for the export.
    pub feed: Feed,
}

/// A batch that is stored.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its stream, and with it the host.
    pub stream: StreamId,
    /// The host's name when it connected.
    pub host_name: Arc<str>,
    /// When it was received (`event.ingested`), to the microsecond.
    pub received: WallTime,
    /// The batch.
    pub sealed: Sealed,
}

/// How many stored batches wait for the slowest live reader; it is told when it misses some.
pub const COMMITTED_CAPACITY: usize = 256;

/// Stores deliveries until `arrivals` ends and everything taken from it is answered.
pub async fn run(config: Config, arrivals: Arrivals) {
    let (to_commit, groups) = mpsc::channel(2);
    let gathered = futures::stream::unfold((arrivals, Instant::now()), |(mut arrivals, last)| async move {
        let group = gather(&mut arrivals, last).await?;
        Some((group, (arrivals, Instant::now())))
    });
    let admission = async move {
        let admitted = gathered
            .map(|group| tokio::task::spawn_blocking(move || group.into_iter().map(Parcel::new).collect()))
            // As many at a time as there are cores to spare, in the order they came.
            .buffered(ADMISSIONS);
        let mut admitted = std::pin::pin!(admitted);
        while let Some(group) = admitted.next().await {
            match group {
                Ok(group) => drop(to_commit.send(group).await),
                // Dropping a delivery is answered as "try again later".
                Err(e) => tracing::error!(error = %e, "reading a group of batches panicked"),
            }
        }
    };
    tokio::join!(admission, commit::Committer::new(config).run(groups));
}

/// How many groups are read at once.
const ADMISSIONS: usize = 2;
