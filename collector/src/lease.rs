//! Periodic work that one of several collectors does at a time.
//!
//! Whoever has the lease of a task in the store does it, and keeps it alive while it works. One that dies is followed by
//! another when its lease has run out; one that stops gives it back. One that was paused for longer than its lease finds
//! that out before it goes on ([`GIVE_UP`]); should it still write something late, every task's own transaction refuses
//! what another has done meanwhile (merging by `merged_upto`; dropping twice is dropping once).

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::store::leases::{self, Task};
use crate::store::{Pool, StoreError};

/// For how long a lease is taken: then another collector may have it.
pub const LENGTH: Duration = Duration::from_secs(20);
/// How often it is renewed, or asked for.
pub(crate) const RENEW: Duration = Duration::from_secs(5);
/// Without a renewal for so long, work stops: before another may begin.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(15);

/// A task, and who would do it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The store.
    pub pool: Pool,
    /// The task.
    pub task: Task,
    /// This run of this collector.
    pub holder: Uuid,
}

/// Does `work` as soon as the lease is had, and again `every` so often while it is held, until `shutdown`; then gives
/// the lease back. Work is dropped where it stands when the lease is lost, and at the end.
pub async fn while_held<F, W>(lease: Lease, every: Duration, shutdown: CancellationToken, mut work: F)
where
    F: FnMut() -> W,
    W: Future<Output = ()>,
{
    let mut tick = tokio::time::interval(RENEW.min(every));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut state, mut done) = (State::default(), None::<Instant>);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let asked = Instant::now();
        let Some(taken) = shutdown.run_until_cancelled(lease.take()).await else { break };
        if !state.note(&lease, taken) {
            done = None;
            continue;
        }
        if done.is_some_and(|at| at.elapsed() < every) {
            continue;
        }
        tokio::select! {
            () = work() => done = Some(Instant::now()),
            () = lease.keep(asked) => state.lost(&lease),
            () = shutdown.cancelled() => break,
        }
    }
    if state.held
        && let Err(error) = lease.release().await
    {
        debug!(task = lease.task.name(), error = %wire::cause::chain(&error), "cannot give a lease back, it runs out");
    }
}

impl Lease {
    async fn take(&self) -> Result<bool, StoreError> {
        // A server that does not answer at all must not hold this up for longer than the lease.
        let taking = leases::take(&self.pool, self.task, self.holder, LENGTH);
        tokio::time::timeout(RENEW, taking).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
    }

    async fn release(&self) -> Result<(), StoreError> {
        let releasing = leases::release(&self.pool, self.task, self.holder);
        tokio::time::timeout(RENEW, releasing).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
    }

    /// Renews the lease, last had at `since`, until it is lost or cannot be renewed in time.
    async fn keep(&self, mut since: Instant) {
        loop {
            tokio::time::sleep(RENEW).await;
            let asked = Instant::now();
            if asked.duration_since(since) >= GIVE_UP {
                return;
            }
            match self.take().await {
                Ok(true) => since = asked,
                Ok(false) => return,
                Err(_) => {}
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    held: bool,
    failing: bool,
}

impl State {
    /// Whether the lease is held now. Says what changed.
    fn note(&mut self, lease: &Lease, taken: Result<bool, StoreError>) -> bool {
        let (task, was_held) = (lease.task.name(), self.held);
        if let (Err(error), false) = (&taken, self.failing) {
            warn!(task, error = %wire::cause::chain(error), "cannot ask for the lease of {task}, trying again");
        }
        self.failing = taken.is_err();
        self.held = taken.unwrap_or(false);
        if self.held && !was_held {
            info!(task, "this collector does {task} now");
        }
        self.held
    }

    fn lost(&mut self, lease: &Lease) {
        let task = lease.task.name();
        self.held = false;
        warn!(task, "the lease of {task} was lost, its work is left to others");
    }
}
