//! The driver: connections, threads, deadlines.
//!
//! A search begins on one connection; if the first segments do not settle it, as many more workers as the
//! machine has processors take segments from the same frontier, each a task with a connection of its own. Reading
//! and decoding alternate within a worker, so the database works for one while another decodes. Everything stops
//! when the future of [`Engine::run`] is dropped: the statements are cancelled in the database
//! ([`crate::store::reader`]), and the threads end after the batch they are at.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wire::event::FlatEvent;
use wire::id::EntityId;
use wire::time::WallTime;

use super::histogram::Bucket;
use super::top::Top;
use super::{Fleet, Search, Survey};
use crate::store::reader::Readers;
use crate::store::{Pool, StoreError, hosts, process};

mod progress;
mod read;
mod run;

pub use progress::Progress;
use progress::StopOnDrop;

/// How long one statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a search may wait for others to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long the hosts' names are taken from memory.
const FLEET_AGE: Duration = Duration::from_secs(2);
/// Searches that run at once; each has a few connections and some 50 MB at most.
const MAX_SEARCHES: usize = 4;
/// Connections for what is not a search: the fleet, trees.
const OTHERS: usize = 2;

/// Queries that name so many processes are not narrowed.
const MAX_ENTITIES: usize = 64;
/// So many rows of them are looked at.
const MAX_ROWS: u32 = 10_000;
const HOUR_US: i64 = 3_600_000_000;

/// Runs searches, a few at once. Shared by all requests.
#[derive(Debug)]
pub struct Engine {
    readers: Arc<Readers>,
    fleet: tokio::sync::Mutex<Option<(Instant, Arc<Fleet>)>>,
    permits: Semaphore,
    n_workers: usize,
}

/// What a search comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub answer: Answer,
    /// Where to go on; `None` when there is nothing more.
    pub cursor: Option<String>,
    /// What it took.
    pub stats: Stats,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Events, newest first; without those that were handed out while it ran.
    Events(Vec<FlatEvent>),
    /// How many events over time.
    Histogram(Vec<Bucket>),
    /// A field's most frequent values.
    Top(Top),
    /// All of that at once.
    Survey(Box<Survey>),
}

/// What a search took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches looked through.
    pub n_batches: u64,
    /// Events in them.
    pub n_events: u64,
    /// Bytes read out of the database.
    pub n_bytes: u64,
    /// Batches that could not be read: damaged.
    pub n_unreadable: u64,
    /// Time from start to end.
    pub elapsed: Duration,
}

/// Why a search came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many searches run already.
    #[error("{MAX_SEARCHES} searches run already, and none ended within {} s", PATIENCE.as_secs())]
    Busy,
    /// A thread of it failed: a bug.
    #[error("a thread of the search failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl Engine {
    /// Searches what `pool` leads to, over connections of its own.
    pub fn new(pool: &Pool) -> Self {
        // One more than cores: while one waits for the database, the others evaluate.
        let n_workers = 1 + std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4));
        // As many as searches can hold at once, so that none waits for a connection with another in its hand.
        let readers = Readers::new(pool, MAX_SEARCHES * n_workers + OTHERS, STATEMENT_TIMEOUT);
        Self {
            readers,
            fleet: tokio::sync::Mutex::default(),
            permits: Semaphore::new(MAX_SEARCHES),
            n_workers,
        }
    }

    /// The connections that searches use.
    pub fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    /// The hosts, as they were at most [`FLEET_AGE`] ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fleet(&self) -> Result<Arc<Fleet>, StoreError> {
        let mut known = self.fleet.lock().await;
        if let Some((_, fleet)) = known.as_ref().filter(|(at, _)| at.elapsed() < FLEET_AGE) {
            return Ok(Arc::clone(fleet));
        }
        let mut reader = self.readers.open().await?;
        let records = hosts::all(reader.conn()?).await?;
        reader.close();
        let fleet = Arc::new(Fleet::new(records.into_iter().map(|host| (host.id, host.name, host.tags))));
        *known = Some((Instant::now(), Arc::clone(&fleet)));
        Ok(fleet)
    }

    /// The same search over less, where it is bound to processes: only the hosts that have them, from their start on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn narrowed(&self, search: Search) -> Result<Search, StoreError> {
        let entities: Vec<EntityId> = search.predicate.entities().into_iter().flatten().collect();
        if entities.is_empty() || entities.len() > MAX_ENTITIES {
            return Ok(search);
        }
        let mut reader = self.readers.open().await?;
        let rows = process::anywhere(reader.conn()?, &entities, MAX_ROWS).await?;
        reader.close();
        let known: HashSet<EntityId> = rows.iter().map(|row| row.entity).collect();
        // Rows may have gone before events. What is not known may be anywhere.
        if known.len() < entities.len() || rows.len() >= MAX_ROWS as usize {
            return Ok(search);
        }
        // A host whose clock is far off is indexed at receipt. Clocks are corrected a little from batch to batch.
        let begun = rows.iter().map(|row| row.started.min(row.received)).min();
        let since = begun.map_or(WallTime::from_unix_ns(i64::MIN), |begun| begun.plus_us(-HOUR_US).wall());
        Ok(search.narrowed(rows.iter().map(|row| row.host).collect(), since))
    }

    /// Runs a search to its end. `progress` tells meanwhile how far it has come, and hands out events if it was made for that.
    ///
    /// # Errors
    /// See [`Failure`].
    ///
    /// # Cancel safety
    /// Dropped, it stops: in the database at once, in its threads after the batch they are at.
    pub async fn run(
        &self,
        search: Arc<Search>,
        fleet: Arc<Fleet>,
        progress: Arc<Progress>,
    ) -> Result<Outcome, Failure> {
        let _stop = StopOnDrop(Arc::clone(&progress));
        let permit = tokio::time::timeout(PATIENCE, self.permits.acquire()).await;
        let _permit = permit.ok().and_then(Result::ok).ok_or(Failure::Busy)?;
        run::Run::new(self, search, fleet, progress).finish().await
    }
}
