//! Follows the authorities of a collector that runs: its files, what the other collectors hold, and what hosts trust.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wire::authority::Authorities as Told;
use wire::time::WallTime;

use crate::ca::{Authority, Keyring, progress};
use crate::listener::Sessions;
use crate::store::authorities::{self, Holder};
use crate::store::{Pool, Stamp, StoreError, audit, hosts};

/// How often the files and the store are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// What following needs.
pub(super) struct Following {
    pub(super) keyring: Arc<Keyring>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) pool: Pool,
    pub(super) collector: Uuid,
    pub(super) clock: fn() -> WallTime,
}

impl Following {
    /// Again and again, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut unreadable, mut failing, mut has_changed) = (false, false, false);
        while shutdown.run_until_cancelled(every.tick()).await.is_some() {
            let reloaded = self.keyring.reload();
            match &reloaded {
                Ok(true) => {
                    has_changed = true;
                    self.note_change().await;
                }
                // By now the collector shows a certificate of the one that serves.
                Ok(false) if std::mem::take(&mut has_changed) => self.keyring.settle(),
                Err(error) if !unreadable => {
                    let error = wire::cause::chain(error);
                    tracing::error!(
                        error,
                        "cannot read the authorities again, going on with those read before: {error}"
                    );
                }
                _ => {}
            }
            unreadable = reloaded.is_err();
            let result = self.look().await;
            if let (Err(error), false) = (&result, failing) {
                let error = wire::cause::chain(error);
                tracing::warn!(error, "cannot ask the store who holds which authority: {error}");
            }
            failing = result.is_err();
        }
    }

    /// Tells the store what this collector holds, and decides by what all do.
    async fn look(&self) -> Result<(), StoreError> {
        let now = Stamp::floor((self.clock)());
        let current = self.keyring.current();
        let holder = Holder {
            collector: self.collector,
            name: host_name(),
            serving: current.serving().id(),
            held: current.ids(),
            seen: now,
        };
        authorities::note(&self.pool, &holder).await?;
        let holders = authorities::since(&self.pool, now.plus_us(-progress::GONE_US)).await?;
        let is_everywhere = |next: &Authority| progress::lacking(next.id(), &holders).is_empty();
        let issues_next = current.next().is_some_and(is_everywhere);
        self.keyring.set_issues_next(issues_next);
        let (n_hosts, trusted) = hosts::trusted(&self.pool).await?;
        let retired = progress::retired(&trusted, &holders);
        let is_moving = current.next().is_some() || !retired.is_empty();
        self.sessions.announce(is_moving.then(|| Told {
            authorities: current.endorsed().to_vec(),
            issuing: self.keyring.issuing(),
            renew_within_s: if issues_next { progress::renew_within_s(n_hosts) } else { 0 },
            retired,
        }));
        Ok(())
    }

    async fn note_change(&self) {
        let current = self.keyring.current();
        let serving = current.serving().fingerprint();
        let next = current.next().map(Authority::fingerprint);
        let (action, detail) = match next {
            Some(next) => ("ca.rotate", format!("from {serving} to {next}")),
            None => ("ca.rotated", format!("to {serving}")),
        };
        tracing::info!(%serving, ?next, "took up other authorities: {detail}");
        let entry = audit::Entry {
            at: Stamp::floor((self.clock)()),
            actor: "collector",
            action,
            about: &format!("collector:{}", self.collector),
            address: None,
            outcome: audit::Outcome::Done,
            detail: Some(&detail),
        };
        if let Err(error) = audit::append(&self.pool, entry).await {
            tracing::warn!(error = %wire::cause::chain(&error), "cannot write an audit entry: {error}");
        }
    }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "?".to_owned())
}
