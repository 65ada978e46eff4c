//! Keeps the leases of this collector's shares of the hosts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::report::Report;
use super::shares::{Seen, plan};
use crate::lease::{GIVE_UP, LENGTH, RENEW};
use crate::store::exports::exporters::{self, ALIVE};
use crate::store::leases::{self, Share};
use crate::store::{Pool, StoreError};

/// How long what is on its way is waited for before a share goes to another collector.
const LEAVING: Duration = Duration::from_secs(15);

/// The shares that this collector exports.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Owned {
    /// Those it has.
    pub(super) held: BTreeSet<Share>,
    /// Of these, those that another is to have: nothing new is taken of them.
    pub(super) leaving: BTreeSet<Share>,
}

/// The task that keeps them.
pub(super) struct Owner {
    owned: watch::Receiver<Owned>,
    landed: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Owner {
    pub(super) fn start(pool: Pool, run: Uuid, report: Arc<Report>) -> Self {
        let (tell, owned) = watch::channel(Owned::default());
        let (landed, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let keeper =
            Keeper { pool, run, report, tell, landed: Arc::clone(&landed), since: None, leaving: None };
        let task = tokio::spawn(keeper.keep(stop.clone()));
        Self { owned, landed, stop, task }
    }

    pub(super) fn owned(&self) -> watch::Receiver<Owned> {
        self.owned.clone()
    }

    /// Nothing of the shares that are leaving is on its way any more.
    pub(super) fn landed(&self) {
        self.landed.notify_one();
    }

    /// Gives everything back.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        drop((&mut self.task).await);
    }
}

impl Drop for Owner {
    /// Whoever does not export keeps no leases.
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    pool: Pool,
    run: Uuid,
    report: Arc<Report>,
    tell: watch::Sender<Owned>,
    landed: Arc<Notify>,
    /// When the leases were had last.
    since: Option<Instant>,
    /// Since when some are to leave.
    leaving: Option<Instant>,
}

impl Keeper {
    async fn keep(mut self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let asked = Instant::now();
            let turn = tokio::time::timeout(RENEW, self.turn());
            let Some(turned) = stop.run_until_cancelled(turn).await else { break };
            match turned.unwrap_or_else(|_| Err(StoreError::timed_out())) {
                Ok(owned) => {
                    (self.since, failing) = (Some(asked), false);
                    self.publish(owned);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(error = %wire::cause::chain(&error), "cannot ask for the leases of the export, trying again");
                    }
                    if self.since.is_none_or(|since| since.elapsed() > GIVE_UP) {
                        self.publish(Owned::default());
                    }
                }
            }
            let is_leaving = !self.tell.borrow().leaving.is_empty();
            tokio::select! {
                () = tokio::time::sleep(if failing { RENEW / 5 } else { RENEW }) => {}
                () = self.landed.notified(), if is_leaving => self.release().await,
                () = stop.cancelled() => break,
            }
        }
        let held = self.tell.borrow().held.clone();
        let given = async {
            leases::release_shares(&self.pool, &held, self.run).await?;
            exporters::gone(&self.pool, self.run).await
        };
        let given = tokio::time::timeout(RENEW, given).await.unwrap_or_else(|_| Err(StoreError::timed_out()));
        if let Err(error) = given {
            debug!(error = %wire::cause::chain(&error), "cannot give the leases of the export back, they run out");
        }
    }

    /// Says how it goes, sees who else exports, and takes what should be this collector's.
    async fn turn(&mut self) -> Result<Owned, StoreError> {
        exporters::say(&self.pool, &self.report.exporter()).await?;
        let others = exporters::all(&self.pool).await?;
        let can = |seen: &&exporters::Seen| {
            seen.exporter.run != self.run && seen.exporter.works && seen.silent < ALIVE
        };
        let n_others = others.iter().filter(can).count();
        let leases = leases::all(&self.pool).await?;
        let of_others = leases.iter().filter(|held| held.holder != self.run && held.left.is_some());
        let of_others: BTreeSet<Share> = of_others.filter_map(leases::Held::share).collect();
        let held = self.tell.borrow().held.clone();
        let works = self.report.exporter().works;
        let plan = plan(&Seen { held: &held, others: &of_others, n_others, works, run: self.run });
        if !plan.give_up.is_empty() && self.leaving.is_some_and(|since| since.elapsed() > LEAVING) {
            // What is on its way arrives twice then, at worst.
            self.release().await;
        }
        let wanted: BTreeSet<Share> = plan.keep.union(&plan.give_up).copied().collect();
        let wanted = if self.leaving.is_none() && held.is_empty() { plan.keep.clone() } else { wanted };
        let held = leases::take_shares(&self.pool, &wanted, self.run, LENGTH).await?;
        let leaving: BTreeSet<Share> = plan.give_up.intersection(&held).copied().collect();
        self.leaving = match leaving.is_empty() {
            true => None,
            false => self.leaving.or_else(|| Some(Instant::now())),
        };
        Ok(Owned { held, leaving })
    }

    /// Gives up what is leaving.
    async fn release(&mut self) {
        let Owned { mut held, leaving } = self.tell.borrow().clone();
        held.retain(|share| !leaving.contains(share));
        // First nothing more is exported of them here.
        self.publish(Owned { held, leaving: BTreeSet::new() });
        self.leaving = None;
        if let Err(error) = leases::release_shares(&self.pool, &leaving, self.run).await {
            debug!(error = %wire::cause::chain(&error), "cannot give leases back, they run out");
        }
    }

    fn publish(&self, owned: Owned) {
        let (before, now) = (self.tell.borrow().held.len(), owned.held.len());
        if before != now {
            info!("this collector exports {now} of {} shares of the hosts", Share::N);
        }
        self.tell.send_if_modified(|known| {
            let is_new = *known != owned;
            *known = owned;
            is_new
        });
    }
}
