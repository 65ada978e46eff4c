//! A stream of batches, as a sensor would seal them, of whatever events one likes.

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Boundary, Builder, Digest, Sealed};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::{Batch, Data, Tombstone};
use wire::frame::encode;
use wire::id::{BootId, Epoch, Lane};
use wire::ledger::Ledger;
use wire::subject::SubjectNumber;
use wire::time::{BootTime, Clock};

/// One stream.
pub(crate) struct Source {
    pub(crate) epoch: Epoch,
    pub(crate) lane: Lane,
    pub(crate) boot: Uuid,
    pub(crate) clock: Clock,
    pub(crate) next_seq: u64,
    pub(crate) digest: Digest,
    pub(crate) builder: Builder,
}

/// An open of this file.
pub(crate) fn opened(path: &[u8]) -> Event {
    let row = Row::default().with(Field::FilePath, Bytes::copy_from_slice(path));
    Event { time: BootTime::from_ns(1), kind: Kind::FILE_OPEN, row }
}

/// A moment ago, on the clock that [`Source::new`] sets.
pub(crate) const NOW: BootTime = BootTime::from_ns(1);

impl Source {
    pub(crate) fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Self {
            epoch: Epoch::new(Uuid::now_v7()),
            lane: Lane::Bulk,
            boot: Uuid::from_u128(0x6666),
            clock: Clock {
                boot_to_wall_ns: i64::try_from(now.as_nanos()).unwrap(),
                offset_ns: 0,
                uncertainty_ns: 0,
            },
            next_seq: 0,
            digest: Digest::START,
            builder: Builder::new(),
        }
    }

    pub(crate) fn push(&mut self, event: &Event, subject: Option<SubjectNumber>) {
        self.builder.push(event, subject);
    }

    /// The next batch, of what was pushed.
    pub(crate) fn seal(&mut self) -> Batch {
        let (first_seq, n_events) = (self.next_seq, self.builder.n_events());
        self.next_seq += u64::from(n_events);
        let sealed = self.builder.seal(Boundary {
            epoch: self.epoch,
            lane: self.lane,
            first_seq,
            boot: BootId::new(self.boot),
            sealed: BootTime::from_ns(2),
            clock: self.clock,
            ledger: Ledger { generated: self.next_seq, ..Ledger::default() },
            collection: [0; 16],
        });
        self.digest = self.digest.after(&sealed);
        Batch { first_seq, n_events, sealed }
    }

    /// The next batch: so many opens of files named like this.
    pub(crate) fn batch(&mut self, name: &str, n_events: u32) -> Batch {
        for i in 0..n_events {
            self.push(&opened(format!("/hostile/{name}/{i}").as_bytes()), None);
        }
        self.seal()
    }

    /// What comes in the place of a batch that stands for `n_events` and is none.
    pub(crate) fn junk(&mut self, sealed: Sealed, n_events: u32) -> Batch {
        let first_seq = self.next_seq;
        self.next_seq += u64::from(n_events);
        self.digest = self.digest.after(&sealed);
        Batch { first_seq, n_events, sealed }
    }

    /// The next events are given up, and the chain comes to what it should, or to something else.
    pub(crate) fn tombstone(&mut self, n_events: u64, is_broken: bool) -> Tombstone {
        let first_seq = self.next_seq;
        self.next_seq += n_events;
        self.digest = self.digest.after_tombstone(first_seq, n_events);
        let digest = if is_broken { Digest([7; 32]) } else { self.digest };
        Tombstone { first_seq, n_events, digest }
    }
}

/// A batch as a frame.
pub(crate) fn frame(batch: Batch) -> Vec<u8> {
    encode(&Data::Batch(batch))
}
