//! The hosts whose certificates no longer count, kept at hand so that no connection waits for the store; and the tokens
//! that are being answered, so that what they may no longer have ends.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wire::frame::Code;
use wire::id::HostId;
use wire::time::WallTime;

use crate::listener::Sessions;
use crate::store::{self, Pool, Stamp, StoreError};

mod tokens;

pub use tokens::{Answering, LiveTokens};

/// How often the store is asked: a host or a token revoked through another collector is cut off here within that, and a
/// token that expires.
const EVERY: Duration = Duration::from_secs(2);

/// The revoked hosts, as far as this collector knows, and the sessions that are cut when it learns more.
#[derive(Debug)]
pub struct Revocations {
    hosts: RwLock<HashSet<HostId>>,
    sessions: Arc<Sessions>,
    tokens: Arc<LiveTokens>,
}

impl Revocations {
    /// Knows of none yet; cuts these sessions when it learns of some.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self { hosts: RwLock::default(), sessions, tokens: Arc::default() }
    }

    /// The tokens that are being answered.
    pub fn tokens(&self) -> &Arc<LiveTokens> {
        &self.tokens
    }

    /// Whether this host was revoked.
    pub fn contains(&self, host: HostId) -> bool {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).contains(&host)
    }

    /// Learns of a revoked host, and cuts its sessions.
    pub fn add(&self, host: HostId) {
        let new = self.hosts.write().unwrap_or_else(PoisonError::into_inner).insert(host);
        // Also when it was known: a session may have been let in just before it was.
        let n_cut = self.sessions.cut(host, Code::REVOKED);
        if new {
            tracing::info!(host.id = %host, n_cut, "host {host} was revoked, cut {n_cut} sessions");
        }
    }

    /// Learns what the store knows at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh(&self, pool: &Pool, now: Stamp) -> Result<(), StoreError> {
        for host in store::hosts::revoked(pool).await? {
            self.add(host);
        }
        self.tokens.refresh(pool, now).await
    }

    /// Learns what the store knows, again and again.
    pub async fn follow(&self, pool: &Pool, clock: fn() -> WallTime, shutdown: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        while shutdown.run_until_cancelled(every.tick()).await.is_some() {
            let result = self.refresh(pool, Stamp::floor(clock())).await;
            if let (Err(error), false) = (&result, failing) {
                tracing::warn!(error = %wire::cause::chain(error), "cannot ask the store who was revoked: {error}");
            }
            failing = result.is_err();
        }
    }
}
