//! What other collectors have stored, for the tails that are served here.
//!
//! Each collector announces what it stores while another serves a tail ([`crate::store::announce`]); here it is read back
//! and handed to the tails as if it had been stored here. While none is served, nothing is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use wire::batch::Sealed;

use crate::export::Feed;
use crate::ingest::Committed;
use crate::presence::Tails;
use crate::search::Engine;
use crate::store::announce::{Listener, Told};
use crate::store::candidates::SegmentKey;
use crate::store::{Pool, StoreError, slices};

/// How long it is waited before listening again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// What the relay needs.
#[derive(Clone)]
pub struct Config {
    /// The store.
    pub pool: Pool,
    /// This run of this collector.
    pub run: Uuid,
    /// The hosts' names.
    pub engine: Arc<Engine>,
    /// Takes what others have stored.
    pub committed: broadcast::Sender<Arc<Committed>>,
    /// How often something may have been missed.
    pub missed: Arc<watch::Sender<u64>>,
    /// Who serves tails.
    pub tails: Tails,
    /// Is told which segments others have stored, for the export.
    pub feed: Feed,
}

/// Listens until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) {
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let listening = async {
            let mut listener = Listener::open(&config.pool, config.run).await?;
            if std::mem::take(&mut failing) {
                config.note_missed();
            }
            listen(&config, &mut listener).await
        };
        let Some(Err(error)) = shutdown.run_until_cancelled(listening).await else { return };
        if !failing {
            warn!(error = %wire::cause::chain(&error), "cannot hear what other collectors store, trying again");
        }
        failing = true;
        shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}

async fn listen(config: &Config, listener: &mut Listener) -> Result<(), StoreError> {
    loop {
        match listener.next().await? {
            Told::Tails => config.tails.look(),
            Told::Missed => config.note_missed(),
            Told::Stored(keys) => hear(config, &keys).await,
        }
    }
}

async fn hear(config: &Config, keys: &[SegmentKey]) {
    config.feed.stored(keys);
    if config.committed.receiver_count() == 0 {
        return;
    }
    match read(config, keys).await {
        Ok(batches) => batches.into_iter().for_each(|batch| drop(config.committed.send(batch))),
        Err(error) => {
            debug!(error = %wire::cause::chain(&error), "cannot read what another collector has stored");
            config.note_missed();
        }
    }
}

/// The batches of these segments.
async fn read(config: &Config, keys: &[SegmentKey]) -> Result<Vec<Arc<Committed>>, StoreError> {
    let fleet = config.engine.fleet().await?;
    let mut conn = config.pool.acquire().await?;
    let directories = slices::directories(&mut conn, keys).await?;
    let entries =
        || keys.iter().zip(&directories).flat_map(|(key, found)| found.iter().flatten().map(|e| (*key, e)));
    let ranges: Vec<_> = entries().map(|(key, entry)| (key, entry.range())).collect();
    let payloads = slices::slices(&mut conn, &ranges).await?;
    let batches = entries().zip(payloads).filter_map(|((_, entry), payload)| {
        let header = entry.head.bytes();
        let payload = payload?;
        // With its sum again, where it was packed.
        let payload = wire::batch::restored(&header, &payload).unwrap_or(payload);
        Some(Arc::new(Committed {
            stream: entry.stream,
            host_name: Arc::from(fleet.name(entry.stream.host).as_str()),
            received: entry.received.wall(),
            sealed: Sealed { header, payload },
        }))
    });
    Ok(batches.collect())
}

impl Config {
    fn note_missed(&self) {
        // Tails that are open may lack something; how much cannot be known.
        self.missed.send_modify(|n| *n += 1);
        self.feed.missed();
    }
}
