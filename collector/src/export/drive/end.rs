//! How a connection ends: with everything that arrived written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Driver, IDLE};
use crate::export::session::Ended;
use crate::kafka::Meaning;

/// How long is waited at the end for what is on its way: while something arrives, and at most.
const LANDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(7));

impl Driver<'_> {
    /// Waits for what is on its way if that makes sense, writes down how far streams are, and closes the connection.
    pub(in crate::export) async fn end(mut self, mut ended: Ended) -> Ended {
        if matches!(ended, Ended::Stopped) {
            self.land().await;
        }
        // Gives up what is on its way, and is reported of it; so what is not reported then will never be.
        self.sink.stop.store(true, Ordering::Relaxed);
        let purging = Arc::clone(&self.sink);
        drop(tokio::task::spawn_blocking(move || purging.producer.close()).await);
        // Only now: that a record is refused ends the connection (enable.gapless.guarantee), which is told before the record is.
        for (slot, record, doubt) in self.sink.flight.doubts() {
            // One more is known: that is a step forward.
            if let Ended::Failed { worked, .. } = &mut ended {
                *worked = true;
            }
            if let Some(subject) = self.slots.get(&slot) {
                self.memory.doubts.entry(*subject).or_default().insert(record, doubt);
            }
        }
        if let (Ended::Failed { failure, .. }, Some(cause)) = (&mut ended, self.sink.flight.failure())
            && failure.meaning == Meaning::Broken
        {
            *failure = cause;
        }
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
