//! Says in the store that this collector lives, and hears from there who else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::listener::Sessions;
use crate::store::announce;
use crate::store::collectors::{self, Presence};
use crate::store::{Pool, StoreError};

/// How often: a collector that is silent for [`collectors::ALIVE`] counts as gone.
const EVERY: Duration = Duration::from_secs(3);
/// How long the store has for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who this collector is.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// Made at this start.
    pub run: Uuid,
    /// Kept in its home.
    pub id: Uuid,
    /// Where it listens.
    pub listen: String,
    /// Who is connected to it.
    pub sessions: Arc<Sessions>,
}

/// What collectors know of each other's tails: one that serves none is told of nothing, and one that is alone tells nobody.
#[derive(Clone, Debug, Default)]
pub struct Tails {
    here: Arc<AtomicU64>,
    elsewhere: Arc<AtomicBool>,
    changed: Arc<Notify>,
}

/// A tail that is served here, until this is dropped.
#[derive(Debug)]
pub struct Serving(Tails);

impl Tails {
    /// Serves one tail more; the other collectors soon know it.
    pub fn serve(&self) -> Serving {
        self.here.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        Serving(self.clone())
    }

    /// Whether others have to be told what is stored here.
    pub fn are_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// How many are served here.
    pub fn n_here(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }

    /// Another collector has begun to serve one: looks at once who does.
    pub fn look(&self) {
        // Until it is known who, telling one time too often does no harm.
        self.elsewhere.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.here.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// Says it again and again until `shutdown`, then that this collector goes.
pub async fn run(config: Config, tails: Tails, shutdown: CancellationToken) {
    let name = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let (mut failing, mut serves) = (false, false);
    loop {
        let presence = Presence {
            run: config.run,
            id: config.id,
            name: name.clone(),
            listen: config.listen.clone(),
            n_sessions: config.sessions.n_live(),
            n_tails: usize::try_from(tails.n_here()).unwrap_or(usize::MAX),
        };
        match in_time(collectors::seen(&config.pool, &presence)).await {
            Ok(n) => {
                tails.elsewhere.store(n > 0, Ordering::Relaxed);
                failing = false;
                // Now that they find it written down: others need not wait until they look again.
                if !std::mem::replace(&mut serves, presence.n_tails > 0)
                    && serves
                    && let Err(error) = in_time(announce::tails(&config.pool, config.run)).await
                {
                    debug!(error = %wire::cause::chain(&error), "cannot tell others of a tail, they look soon");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(error = %wire::cause::chain(&error), "cannot tell the store that this collector lives");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = tails.changed.notified() => {}
            () = shutdown.cancelled() => break,
        }
    }
    if let Err(error) = in_time(collectors::gone(&config.pool, config.run)).await {
        debug!(error = %wire::cause::chain(&error), "cannot tell the store that this collector goes");
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(StoreError::timed_out()))
}
