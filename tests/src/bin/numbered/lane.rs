//! One lane's events and counters.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Boundary, Builder};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::Batch;
use wire::id::{BootId, Epoch, Lane};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock};

/// The events of a lane that are made, and what a sensor's account would say of them.
pub(crate) struct Made {
    pub(crate) lane: Lane,
    builder: Builder,
    /// The number of the next event: it never comes again, whatever happens.
    next: u64,
    owed: f64,
    /// The number of the first event that waits.
    first_waiting: u64,
    next_seq: u64,
    /// Events that a crash took, booked by this epoch.
    crashed: u64,
}

/// A sealed batch, and the number of its first event.
pub(crate) struct Sealed {
    pub(crate) batch: Batch,
    pub(crate) first_number: u64,
}

impl Made {
    /// Goes on where the counters stand: what was made and not sealed is gone.
    pub(crate) fn resume(lane: Lane, made: u64, sealed: u64) -> Self {
        Self {
            lane,
            builder: Builder::new(),
            next: made,
            owed: 0.0,
            first_waiting: made,
            next_seq: 0,
            crashed: made.saturating_sub(sealed),
        }
    }

    /// Begins a stream anew. What a crash took is booked once: by the first batch that tells of it.
    pub(crate) fn begin_epoch(&mut self) {
        if self.next_seq > 0 {
            (self.next_seq, self.crashed) = (0, 0);
        }
    }

    /// Takes note that time has passed.
    pub(crate) fn owe(&mut self, elapsed: Duration, per_second: f64) {
        self.owed += elapsed.as_secs_f64() * per_second;
    }

    /// The number after the last event, when what is owed has been made.
    pub(crate) fn upto(&self) -> u64 {
        self.next + self.owed as u64
    }

    /// Makes what is owed.
    pub(crate) fn make(&mut self, round: u64, now: BootTime) {
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            let path = format!("/numbered/{round}/{}/{}", self.lane, self.next);
            let row = Row::default().with(Field::FilePath, Bytes::from(path));
            self.builder.push(&Event { time: now, kind: Kind::FILE_OPEN, row }, None);
            self.next += 1;
        }
    }

    /// How many events wait to be sealed.
    pub(crate) fn n_waiting(&self) -> u32 {
        self.builder.n_events()
    }

    /// Seals what waits; `None` when nothing does.
    pub(crate) fn seal(&mut self, epoch: Epoch, boot: Uuid, clock: Clock) -> Option<Sealed> {
        let n_events = self.builder.n_events();
        if n_events == 0 {
            return None;
        }
        let (first_seq, first_number) = (self.next_seq, self.first_waiting);
        self.next_seq += u64::from(n_events);
        self.first_waiting = self.next;
        let sealed = self.builder.seal(Boundary {
            epoch,
            lane: self.lane,
            first_seq,
            boot: BootId::new(boot),
            sealed: vedette_sensor::clock::boot_time().unwrap_or_default(),
            clock,
            ledger: Ledger {
                generated: self.next_seq + self.crashed,
                merged: 0,
                lost: 0,
                dropped: self.crashed,
            },
            collection: [0; 16],
        });
        Some(Sealed { batch: Batch { first_seq, n_events, sealed }, first_number })
    }
}
