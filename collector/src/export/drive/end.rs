//! How a connection ends: with everything that arrived written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Driver, IDLE};
use crate::export::session::Ended;
use crate::kafka::{Failure, Meaning};

/// How long is waited at the end for what is on its way: while something arrives, and at most.
const LANDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(7));

impl Driver<'_> {
    /// Waits for what is on its way if that makes sense, writes down how far streams are, and closes the connection.
    pub(in crate::export) async fn end(mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Stopped) {
            self.land().await;
        }
        if let Ended::Failed { failure: Failure { meaning: Meaning::Refused, .. }, .. } = &ended {
            for (slot, record) in self.sink.flight.suspects() {
                if let Some(at) = self.slots.get(&slot) {
                    let of_batch = self.memory.suspects.entry((at.stream, at.seq)).or_default();
                    of_batch.insert(record);
                }
            }
        }
        // Gives up what is on its way, and is reported of it; so what is not reported then will never be.
        self.sink.stop.store(true, Ordering::Relaxed);
        let purging = Arc::clone(&self.sink);
        drop(tokio::task::spawn_blocking(move || purging.producer.close()).await);
        self.collect();
        self.memory.queue.rewind();
        self.memory.strays.rewind();
        if let Err(error) = self.commit().await {
            warn!(error = %wire::cause::chain(&error), "cannot write down how far events are exported: some will be sent twice");
        }
        ended
    }

    /// Waits for what is on its way, as long as something arrives.
    async fn land(&mut self) {
        let begun = Instant::now();
        let mut last = (Instant::now(), self.n_arrived);
        while self.sink.flight.waiting().0 > 0 && begun.elapsed() < LANDING.1 && last.0.elapsed() < LANDING.0
        {
            drop(tokio::time::timeout(IDLE, self.sink.flight.changed.notified()).await);
            self.collect();
            if last.1 != self.n_arrived {
                last = (Instant::now(), self.n_arrived);
            }
        }
        self.collect();
    }
}
