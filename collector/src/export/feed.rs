//! What was stored just now, here or by another collector.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::store::candidates::SegmentKey;

/// How many commits wait at most. What does not fit is found by comparing watermarks.
const CAPACITY: usize = 1024;

/// Where commits are told to the exporter. Without one, nobody listens and nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Feed(Option<broadcast::Sender<Told>>);

#[derive(Clone, Debug)]
enum Told {
    /// These segments were stored.
    Stored(Arc<[SegmentKey]>),
    /// Something may have been stored that was not told.
    Missed,
}

impl Feed {
    /// One that exporters listen to.
    pub fn new() -> Self {
        Self(Some(broadcast::channel(CAPACITY).0))
    }

    /// Tells that these were stored. Never waits.
    pub fn stored(&self, keys: &[SegmentKey]) {
        if let Some(tell) = &self.0
            && !keys.is_empty()
        {
            // Nobody listens: what it misses it looks for when it begins.
            drop(tell.send(Told::Stored(keys.into())));
        }
    }

    /// Tells that something may have been stored that was not told.
    pub fn missed(&self) {
        self.0.iter().for_each(|tell| drop(tell.send(Told::Missed)));
    }

    /// Listens from now on.
    pub(super) fn listen(&self) -> Ear {
        Ear { hear: self.0.as_ref().map(broadcast::Sender::subscribe), missed: false }
    }
}

/// One who listens.
#[derive(Debug, Default)]
pub(super) struct Ear {
    hear: Option<broadcast::Receiver<Told>>,
    missed: bool,
}

impl Ear {
    /// Whether something was missed since this was asked last.
    pub(super) fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// What it was told could not be made use of.
    pub(super) fn forgot(&mut self) {
        self.missed = true;
    }

    /// What was told, at most `n` segments and one commit's; empty if nothing was.
    pub(super) fn now(&mut self, n: usize) -> Vec<SegmentKey> {
        let mut keys = Vec::new();
        while keys.len() < n
            && let Some(hear) = &mut self.hear
        {
            match hear.try_recv() {
                Ok(Told::Stored(more)) => keys.extend_from_slice(&more),
                Ok(Told::Missed) | Err(TryRecvError::Lagged(_)) => self.missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        keys
    }

    /// Waits until something is told, and gives it back.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Vec<SegmentKey> {
        let Some(hear) = &mut self.hear else { return std::future::pending().await };
        match hear.recv().await {
            Ok(Told::Stored(keys)) => keys.to_vec(),
            Ok(Told::Missed) | Err(RecvError::Lagged(_)) => {
                self.missed = true;
                Vec::new()
            }
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::Stamp;
    use crate::store::candidates::Place;

    #[test]
    fn what_does_not_fit_is_known_to_be_missing() {
        let feed = Feed::new();
        let mut ear = feed.listen();
        let stamp = Stamp::from_unix_us(0);
        let key =
            SegmentKey { place: Place::Fresh, bucket: 0, id: Uuid::nil(), received: stamp, latest: stamp };
        (0..CAPACITY + 5).for_each(|_| feed.stored(&[key]));
        assert_eq!(ear.now(usize::MAX).len(), CAPACITY);
        assert!(ear.take_missed() && !ear.take_missed());
        feed.missed();
        assert!(ear.now(usize::MAX).is_empty() && ear.take_missed());
        // Without an exporter nothing is told, and nothing waits for it.
        Feed::default().stored(&[key]);
    }
}
