//! The way from the sessions to ingest: what happens now, and what comes after an outage, apart.
//!
//! A fleet that comes back brings half an hour of batches at once. In one queue whatever happens now would wait behind
//! them; so ingest takes of the first queue before it looks at the second.

use tokio::sync::mpsc;

use super::Delivery;

/// Where sessions put deliveries. Bounded: when a queue is full, sessions wait, and with them their credit.
#[derive(Clone)]
pub struct Intake {
    live: mpsc::Sender<Delivery>,
    behind: mpsc::Sender<Delivery>,
}

/// Where ingest takes them.
pub struct Arrivals {
    live: mpsc::Receiver<Delivery>,
    behind: mpsc::Receiver<Delivery>,
}

/// Both ends; each queue holds so many.
pub fn intake(capacity: usize) -> (Intake, Arrivals) {
    let (to_live, live) = mpsc::channel(capacity);
    let (to_behind, behind) = mpsc::channel(capacity);
    (Intake { live: to_live, behind: to_behind }, Arrivals { live, behind })
}

impl Intake {
    /// The queue of what happens now, or that of what is [behind](Delivery::is_behind).
    pub(super) fn of(&self, is_behind: bool) -> &mpsc::Sender<Delivery> {
        if is_behind { &self.behind } else { &self.live }
    }

    /// Puts a delivery into its queue.
    ///
    /// # Errors
    /// When nobody takes them any more: gives it back.
    pub async fn send(&self, delivery: Delivery) -> Result<(), mpsc::error::SendError<Delivery>> {
        self.of(delivery.is_behind).send(delivery).await
    }
}

impl Arrivals {
    /// The next; `None` when there will be no more. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Delivery> {
        tokio::select! {
            biased;
            Some(delivery) = self.live.recv() => Some(delivery),
            Some(delivery) = self.behind.recv() => Some(delivery),
            else => None,
        }
    }

    /// One that waits, of what happens now.
    pub(crate) fn try_live(&mut self) -> Option<Delivery> {
        self.live.try_recv().ok()
    }

    /// One that waits, of what is behind.
    pub(crate) fn try_behind(&mut self) -> Option<Delivery> {
        self.behind.try_recv().ok()
    }
}
