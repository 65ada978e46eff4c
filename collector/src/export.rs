//! Sends what is stored on to a sink: each stream in order and to its end, by one collector at a time.
//!
//! The truth is a watermark for each stream in the store ([`crate::store::exports`]): the number of the first event that the
//! sink has not taken. It is moved on only when the sink has reported every record of a batch, in a transaction that sees to
//! it that this collector has the lease of the stream's share of the hosts. So nothing is skipped, whoever dies; what was
//! sent and not yet written down is sent again, under the same ids. Ingest never waits for any of it: it tells which segments
//! it has stored, and what is not heard, or cannot be held, is found again by comparing the watermarks.
//!
//! | file | holds |
//! |---|---|
//! | `queue` | what is known to come next of each stream, what is on its way, how far it is; pure |
//! | `line` | one stream of it; pure |
//! | `flight` | the records on their way, and what was reported of them |
//! | `shares` | which shares of the hosts a collector should have; pure |
//! | `ownership` | keeps the leases |
//! | `feed` | what was stored just now |
//! | `locate` | where the next batches are |
//! | `round` | reads batches, turns them into records and hands these to the sink |
//! | `late` | batches that were stored after their stream had passed them; findings |
//! | `commit` | writes down how far streams are |
//! | `hosts` | what records say of hosts |
//! | `backoff` | how long it is waited after a failure; pure |
//! | `session` | one connection to the sink, from its making to its end |
//! | `drive` | what goes on while there is one |
//! | [`history`] | replays what is stored, for `vedette export` |
//! | [`resend`] | hands what is replayed to the sink |
//! | `report` | what is told of it: metrics, status |

mod backoff;
mod commit;
mod drive;
mod feed;
mod flight;
pub mod history;
mod hosts;
mod late;
mod line;
mod locate;
mod ownership;
mod queue;
mod report;
pub mod resend;
mod round;
mod session;
mod shares;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;
use wire::predicate::{Options, Predicate};
use wire::time::WallTime;

use crate::kafka::{Meaning, Settings};
use crate::presence::Tails;
use crate::store::{Group, Pool, exports};
use backoff::Backoff;

use report::Report;
use session::Ended;

pub(crate) use commit::unexported;
pub use feed::Feed;
pub use locate::Loss;

/// What the exporter needs.
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// The hosts whose batches are there.
    pub group: Group,
    /// This run of this collector.
    pub run: Uuid,
    /// Where events go.
    pub settings: Settings,
    /// What is stored from now on.
    pub feed: Feed,
    /// Asks the other collectors to tell what they store.
    pub tails: Tails,
    /// What time it is.
    pub clock: fn() -> WallTime,
}

/// The name of the sink in the store.
const SINK: &str = "kafka";

/// Exports until `shutdown`; then what is on its way is waited for, as long as that is worth it.
pub async fn run(config: Config, shutdown: CancellationToken) {
    let report = Arc::new(Report::new(config.run));
    // Others tell what they store only to whoever listens.
    let _serving = config.tails.serve();
    let options = Options { now: (config.clock)(), store_fields: false };
    let predicate = match Predicate::parse(&config.settings.filter, &options) {
        Ok(predicate) => Arc::new(predicate),
        // It was read when the settings were.
        Err(wrong) => {
            return error!(error = %wire::cause::chain(&wrong), "the filter cannot be read, nothing is exported");
        }
    };
    let mut backoff = Backoff::default();
    while !shutdown.is_cancelled() {
        match begin(&config).await {
            Ok(()) => break,
            Err(e) => warn!(error = %wire::cause::chain(&e), "cannot begin to export, trying again"),
        }
        shutdown.run_until_cancelled(tokio::time::sleep(backoff.failed(Meaning::Passing))).await;
    }
    let owner = ownership::Owner::start(config.pool.clone(), config.run, Arc::clone(&report));
    let mut memory = session::Memory::new(config.feed.listen());
    let mut backoff = Backoff::default();
    while !shutdown.is_cancelled() {
        let session = session::Session::new(&config, &predicate, &owner, &report, &mut memory);
        let pause = match session.run(&shutdown).await {
            Ended::Stopped => break,
            Ended::Failed { failure, worked } => {
                if worked {
                    backoff = Backoff::default();
                }
                report.failed(&failure, (config.clock)());
                if report.is_news(&failure) {
                    match failure.meaning {
                        Meaning::Setup => error!("events do not get to Kafka until somebody acts: {failure}"),
                        _ => warn!("events do not get to Kafka, trying again: {failure}"),
                    }
                }
                backoff.failed(failure.meaning)
            }
        };
        shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    owner.stop().await;
}

async fn begin(config: &Config) -> Result<(), crate::store::StoreError> {
    let mut conn = config.pool.acquire().await?;
    if exports::begin(&mut conn, SINK, config.settings.from_now).await? {
        let from = if config.settings.from_now {
            "with what is stored from now on"
        } else {
            "with the oldest event stored"
        };
        info!("the export to Kafka begins {from}");
    }
    Ok(())
}
