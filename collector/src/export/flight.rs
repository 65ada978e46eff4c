//! The records on their way, and what was reported of them. Told from the connection's own thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::kafka::{Failure, Meaning};

/// The batches of which records are on their way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    inner: Mutex<Inner>,
    /// Something was reported.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Vec<Slot>,
    free: Vec<u32>,
    finished: Vec<Finished>,
    failure: Option<Failure>,
    /// Records that were refused, by slot and their number in it. Which of several is to blame is found by sending each alone.
    doubts: Vec<(u32, u32, Doubt)>,
    n_records: usize,
    n_bytes: usize,
    n_arrived: u64,
}

#[derive(Debug, Default)]
struct Slot {
    n_left: u32,
    n_bytes: usize,
    /// Records that are sent alone.
    alone: Vec<u32>,
    refused: Vec<(u32, String)>,
}

/// What speaks against a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It was refused together with others, and which of them is to blame is not known.
    Suspect,
    /// It was refused alone, for this reason.
    Refused(String),
}

/// A batch of which every record is reported.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) slot: u32,
    /// Records that were refused, by their number in the batch, and why.
    pub(super) refused: Vec<(u32, String)>,
}

impl Flight {
    /// A place for a batch of so many records, at least one.
    pub(super) fn begin(&self, n_records: u32) -> u32 {
        let mut inner = self.lock();
        let slot = inner.free.pop().unwrap_or_else(|| {
            inner.slots.push(Slot::default());
            (inner.slots.len() - 1) as u32
        });
        if let Some(place) = inner.slots.get_mut(slot as usize) {
            *place = Slot { n_left: n_records, ..Slot::default() };
        }
        inner.n_records += n_records as usize;
        slot
    }

    /// One of its records is sent alone: if it is refused, it is to blame.
    pub(super) fn alone(&self, slot: u32, record: u32) {
        let mut inner = self.lock();
        inner.slots.get_mut(slot as usize).into_iter().for_each(|place| place.alone.push(record));
    }

    /// So many bytes of it are on their way.
    pub(super) fn weighs(&self, slot: u32, n_bytes: usize) {
        let mut inner = self.lock();
        inner.n_bytes += n_bytes;
        if let Some(place) = inner.slots.get_mut(slot as usize) {
            place.n_bytes += n_bytes;
        }
    }

    /// What became of a record. Refused ones are as good as delivered; any other failure is everybody's.
    pub(super) fn reported(&self, number: u64, outcome: Result<(), Failure>) {
        let (slot, record) = parts(number);
        let is_over = {
            let mut inner = self.lock();
            inner.n_records = inner.n_records.saturating_sub(1);
            let failed = match outcome {
                Ok(()) => {
                    inner.n_arrived += 1;
                    None
                }
                Err(failure) if failure.meaning == Meaning::Refused && inner.is_alone(slot, record) => {
                    Some(failure)
                }
                Err(failure) => {
                    if failure.meaning == Meaning::Refused {
                        inner.doubts.push((slot, record, Doubt::Suspect));
                    }
                    // The first says why; what follows is its consequence.
                    let known = inner.failure.get_or_insert_with(|| failure.clone());
                    if known.meaning == Meaning::Broken && failure.meaning != Meaning::Broken {
                        *known = failure;
                    }
                    self.changed.notify_one();
                    return;
                }
            };
            if let Some(failure) = &failed {
                inner.doubts.push((slot, record, Doubt::Refused(failure.said.clone())));
            }
            let Some(place) = inner.slots.get_mut(slot as usize) else { return };
            place.refused.extend(failed.map(|failure| (record, failure.said)));
            place.n_left = place.n_left.saturating_sub(1);
            let is_over = place.n_left == 0;
            if is_over {
                let Slot { n_bytes, refused, .. } = std::mem::take(place);
                inner.n_bytes = inner.n_bytes.saturating_sub(n_bytes);
                inner.finished.push(Finished { slot, refused });
            }
            is_over
        };
        if is_over {
            self.changed.notify_one();
        }
    }

    /// Something is wrong that concerns all.
    pub(super) fn failed(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_one();
    }

    /// The batches of which everything is reported, since this was asked last. Only now their places are free for others.
    pub(super) fn take_finished(&self) -> Vec<Finished> {
        let mut inner = self.lock();
        let finished = std::mem::take(&mut inner.finished);
        inner.free.extend(finished.iter().map(|finished| finished.slot));
        finished
    }

    /// Records that were refused, by slot and their number in it: together with others, or alone.
    pub(super) fn doubts(&self) -> Vec<(u32, u32, Doubt)> {
        self.lock().doubts.clone()
    }

    /// What is wrong, if something is.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// Records that are not reported yet, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.n_records, inner.n_bytes)
    }

    /// How many have arrived.
    pub(super) fn n_arrived(&self) -> u64 {
        self.lock().n_arrived
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_alone(&self, slot: u32, record: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|place| place.alone.contains(&record))
    }
}

/// By what a record is reported.
pub(super) fn number(slot: u32, record: u32) -> u64 {
    u64::from(slot) | (u64::from(record) << 32)
}

fn parts(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(meaning: Meaning) -> Failure {
        Failure { meaning, said: format!("{meaning:?}") }
    }

    #[test]
    fn a_batch_is_over_when_its_last_record_is_reported() {
        let flight = Flight::default();
        let (a, b) = (flight.begin(2), flight.begin(1));
        flight.weighs(a, 100);
        flight.reported(number(a, 1), Ok(()));
        flight.alone(b, 0);
        flight.reported(number(b, 0), Err(failure(Meaning::Refused)));
        assert_eq!(flight.doubts(), [(b, 0, Doubt::Refused("Refused".into()))]);
        let finished = flight.take_finished();
        assert_eq!(finished, [Finished { slot: b, refused: vec![(0, "Refused".into())] }]);
        assert_eq!(flight.waiting(), (1, 100));
        flight.reported(number(a, 0), Ok(()));
        assert_eq!(flight.take_finished(), [Finished { slot: a, refused: vec![] }]);
        assert_eq!((flight.waiting(), flight.n_arrived()), ((0, 0), 2));
        assert_eq!(flight.begin(1), a, "places are used again");
        flight.reported(number(a, 0), Ok(()));
        assert_ne!(flight.begin(1), a, "but not while nobody knows that they are free");
    }

    #[test]
    fn a_batch_with_a_record_that_did_not_arrive_is_never_over() {
        let flight = Flight::default();
        let slot = flight.begin(2);
        flight.reported(number(slot, 0), Ok(()));
        flight.reported(number(slot, 1), Err(failure(Meaning::Broken)));
        assert!(flight.take_finished().is_empty());
        flight.reported(number(slot, 1), Err(failure(Meaning::Setup)));
        assert_eq!(
            flight.failure().map(|f| f.meaning),
            Some(Meaning::Setup),
            "the cause, not what came of it"
        );
    }

    #[test]
    fn who_is_refused_with_others_is_only_a_suspect() {
        let flight = Flight::default();
        let slot = flight.begin(3);
        flight.reported(number(slot, 2), Err(failure(Meaning::Refused)));
        assert!(flight.take_finished().is_empty());
        assert_eq!(flight.doubts(), [(slot, 2, Doubt::Suspect)]);
        assert_eq!(flight.failure().map(|f| f.meaning), Some(Meaning::Refused));
    }
}
