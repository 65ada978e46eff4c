//! The store: watermarks, and what was committed, in one step.

use std::collections::{HashMap, VecDeque};

use vedette_collector::listener::{Item, Outcome};
use vedette_collector::session::Key;
use wire::batch::Digest;
use wire::frame::RejectReason;
use wire::frame::collector::Watermark;

/// What a payload of this first byte does to the store.
pub(crate) const POISON: u8 = 0xbd;

/// What became of a run of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stored(Vec<u8>),
    Rejected,
    Tombstone,
}

#[derive(Default)]
pub(crate) struct Store {
    watermarks: HashMap<Key, (u64, Digest)>,
    /// By stream: first sequence, number, fate; in order and without gaps by construction.
    pub(crate) runs: HashMap<Key, Vec<(u64, u64, Fate)>>,
    /// Deliveries of the collector's process that wait for their commit.
    pub(crate) queue: VecDeque<(Owner, u64, Key, Item)>,
}

/// What is durable, at some moment.
#[derive(Clone)]
pub(crate) struct Backup {
    watermarks: HashMap<Key, (u64, Digest)>,
    runs: HashMap<Key, Vec<(u64, u64, Fate)>>,
}

/// Which connection a delivery came from.
pub(crate) type Owner = u64;

impl Store {
    pub(crate) fn watermark(&self, key: Key) -> (u64, Digest) {
        self.watermarks.get(&key).copied().unwrap_or((0, Digest::START))
    }

    pub(crate) fn backup(&self) -> Backup {
        Backup { watermarks: self.watermarks.clone(), runs: self.runs.clone() }
    }

    pub(crate) fn restore(&mut self, backup: &Backup) {
        self.watermarks = backup.watermarks.clone();
        self.runs = backup.runs.clone();
    }

    pub(crate) fn watermarks(&self, keys: &[Key]) -> Vec<Watermark> {
        let known = keys.iter().filter_map(|key| Some((*key, *self.watermarks.get(key)?)));
        let watermark = |((epoch, lane), (next_seq, digest))| Watermark { epoch, lane, next_seq, digest };
        known.map(watermark).collect()
    }

    /// What `update stream … where next_seq = first` and its neighbours do.
    pub(crate) fn commit(&mut self, key: Key, item: &Item) -> Outcome {
        let (next_seq, digest) = self.watermark(key);
        if item.end() <= next_seq {
            return Outcome::Duplicate { next_seq, digest };
        }
        if item.first_seq() != next_seq {
            return Outcome::Gap;
        }
        let (fate, digest) = match item {
            Item::Batch { sealed, .. } if sealed.payload.first() == Some(&POISON) => {
                (Fate::Rejected, digest.after(sealed))
            }
            Item::Batch { sealed, .. } => (Fate::Stored(sealed.payload.to_vec()), digest.after(sealed)),
            Item::Tombstone { first_seq, n_events, digest: claimed } => {
                let after = digest.after_tombstone(*first_seq, *n_events);
                assert_eq!(after, *claimed, "a tombstone's digest follows from what is stored");
                (Fate::Tombstone, after)
            }
        };
        let next_seq = item.end();
        self.watermarks.insert(key, (next_seq, digest));
        self.runs.entry(key).or_default().push((item.first_seq(), item.n_events(), fate.clone()));
        match fate {
            Fate::Rejected => Outcome::Rejected { reason: RejectReason::Payload, next_seq, digest },
            _ => Outcome::Stored { next_seq, digest },
        }
    }
}
