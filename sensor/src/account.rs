//! What became of every record the kernel tried to hand over.
//!
//! Pure. Each CPU numbers its records, by class, before it asks for room in the ring, so a number
//! that never arrives is a record that was lost. A number may arrive a little late: a program that
//! was interrupted between taking its number and its room is overtaken by the interrupt's records.
//! So a missing number is an open gap first, and lost only when it has not come for
//! [`SETTLE_NS`]; a record that comes even later stays lost.
//!
//! `generated = stored + merged + lost + dropped` holds at every moment, as a record is counted as
//! generated when its fate is known: when it arrives, or when its gap is given up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::id::Lane;
use wire::ledger::Ledger;
use wire::time::BootTime;

use crate::record::{Class, PerClass, Place};
use sequence::Sequence;

mod sequence;
#[cfg(test)]
mod tests;

/// How long a missing record may still arrive, in ns.
pub const SETTLE_NS: u64 = 5_000_000_000;

/// What is known of the numbering when a sensor starts.
#[derive(Clone, Debug, Default)]
pub enum Start {
    /// The programs were just loaded: every CPU counts from 0.
    Fresh,
    /// The programs ran on while no sensor did, and this is how far the one before had come.
    Resumed(Positions),
    /// They ran on, but nothing is known of the sensor before: each CPU's first record counts.
    #[default]
    Unknown,
}

/// How far the sealed batches reach in the kernel's numbering: kept beside the spool, so that the
/// next sensor knows what a crash of this one lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Whether the sensor stopped in good order: then what is missing was lost in the kernel.
    pub clean: bool,
    /// Each CPU's sequence, of each class.
    pub sequences: PerClass<Vec<Position>>,
}

/// How far one CPU's sequence has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The CPU.
    pub cpu: u32,
    /// The number after the highest that arrived.
    pub next: u64,
    /// Runs of numbers below it that have not arrived: first, and the one after the last.
    pub gaps: Vec<(u64, u64)>,
}

/// The counters of both lanes.
#[derive(Debug, Default)]
pub struct Account {
    sequences: BTreeMap<(Class, u32), Sequence>,
    tallies: [Tally; 2],
    start: Beginning,
}

/// What a CPU's sequence starts with when its first record comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Beginning {
    Zero,
    /// At 0 too, and the sensor before may have taken what is missing there.
    ZeroBeforeCrash,
    #[default]
    First,
}

/// One lane's counters since the epoch began.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    arrived: u64,
    own: u64,
    lost: u64,
    crashed: u64,
    dropped: u64,
    merged: u64,
}

impl Account {
    /// An account that begins with what is known of the kernel's numbering.
    pub fn new(start: Start, now: BootTime) -> Self {
        let mut account = Self::default();
        account.begin_numbering(start, now);
        account
    }

    /// Goes on with records that are numbered anew. What has not arrived of those before will not any more.
    pub fn begin_numbering(&mut self, start: Start, now: BootTime) {
        self.give_up_gaps();
        self.sequences.clear();
        self.start = match start {
            Start::Fresh => Beginning::Zero,
            Start::Unknown => Beginning::First,
            Start::Resumed(positions) => {
                for (class, known) in Class::ALL.into_iter().zip(positions.sequences) {
                    for position in known {
                        let key = (class, position.cpu);
                        self.sequences.insert(key, Sequence::resumed(position, positions.clean, now));
                    }
                }
                // A CPU that had sent nothing yet counts from 0 too.
                if positions.clean { Beginning::Zero } else { Beginning::ZeroBeforeCrash }
            }
        };
    }

    /// Takes note of a record. `false`: it came twice, or so late that it is counted as lost already,
    /// and must not become an event.
    pub fn arrived(&mut self, place: Place, now: BootTime) -> bool {
        let start = self.start;
        let sequence =
            self.sequences.entry((place.class, place.cpu)).or_insert_with(|| start.sequence(place.seq));
        let fate = sequence.arrived(place.seq, now);
        let tally = tally(&mut self.tallies, place.class);
        tally.give_up(fate.given_up);
        tally.arrived += u64::from(fate.counts);
        fate.counts
    }

    /// Takes note of a CPU's counter as read from the kernel after its ring was drained: what lies below
    /// and has not arrived is a gap, though no record follows it.
    pub fn reached(&mut self, class: Class, cpu: u32, next: u64, now: BootTime) {
        let start = self.start;
        let sequence = self.sequences.entry((class, cpu)).or_insert_with(|| start.sequence(next));
        let given_up = sequence.reached(next, now);
        tally(&mut self.tallies, class).give_up(given_up);
    }

    /// Gives up all that has not arrived yet: nothing comes any more.
    pub fn give_up_gaps(&mut self) {
        for ((class, _), sequence) in &mut self.sequences {
            tally(&mut self.tallies, *class).give_up(sequence.give_up_all());
        }
    }

    /// Gives up the gaps that have been open too long.
    pub fn settle(&mut self, now: BootTime) {
        for ((class, _), sequence) in &mut self.sequences {
            tally(&mut self.tallies, *class).give_up(sequence.settle(now));
        }
    }

    /// Books an event of the sensor's own.
    pub fn own(&mut self, lane: Lane) {
        self.lane(lane).own += 1;
    }

    /// Books program runs that the kernel skipped: they had no number.
    pub fn skipped(&mut self, class: Class, n: u64) {
        tally(&mut self.tallies, class).lost += n;
    }

    /// Books records that arrived, or events of the sensor's own, that become no event.
    pub fn dropped(&mut self, lane: Lane, n: u64) {
        self.lane(lane).dropped += n;
    }

    /// Books records that went into another record's event, or that only told where the sensor stands.
    pub fn merged(&mut self, lane: Lane, n: u64) {
        self.lane(lane).merged += n;
    }

    /// Starts both lanes' counters at 0: a new epoch. What arrived must be sealed by then; open gaps
    /// are booked by the new epoch.
    pub fn begin_epoch(&mut self) {
        self.tallies = [Tally::default(); 2];
    }

    /// The lane's counters, given that everything that arrived is stored, merged or dropped.
    pub fn ledger(&self, lane: Lane) -> Ledger {
        let [process, bulk] = &self.tallies;
        let tally = match lane {
            Lane::Critical => process,
            Lane::Bulk => bulk,
        };
        Ledger {
            generated: tally.generated(),
            merged: tally.merged,
            lost: tally.lost,
            dropped: tally.dropped.saturating_add(tally.crashed),
        }
    }

    /// How far the class's sequences have come.
    pub fn positions(&self, class: Class) -> Vec<Position> {
        let of_class = self.sequences.range((class, 0)..=(class, u32::MAX));
        of_class.map(|((_, cpu), sequence)| sequence.position(*cpu)).collect()
    }

    fn lane(&mut self, lane: Lane) -> &mut Tally {
        let [process, bulk] = &mut self.tallies;
        match lane {
            Lane::Critical => process,
            Lane::Bulk => bulk,
        }
    }
}

impl Beginning {
    /// The sequence of a CPU of which this number is the first that is heard of.
    fn sequence(self, first: u64) -> Sequence {
        match self {
            Self::Zero => Sequence::from(0),
            Self::ZeroBeforeCrash => Sequence::after_crash(0),
            Self::First => Sequence::from(first),
        }
    }
}

impl Class {
    /// The lane that the class's events travel in.
    pub const fn lane(self) -> Lane {
        match self {
            Class::Process => Lane::Critical,
            Class::Bulk | Class::File => Lane::Bulk,
        }
    }
}

impl Tally {
    fn generated(&self) -> u64 {
        let Self { arrived, own, lost, crashed, .. } = *self;
        [arrived, own, lost, crashed].into_iter().fold(0, u64::saturating_add)
    }

    fn give_up(&mut self, given_up: sequence::GivenUp) {
        // Only a damaged file of positions can claim so much.
        self.lost = self.lost.saturating_add(given_up.lost);
        self.crashed = self.crashed.saturating_add(given_up.crashed);
    }
}

fn tally(tallies: &mut [Tally; 2], class: Class) -> &mut Tally {
    let [critical, bulk] = tallies;
    match class.lane() {
        Lane::Critical => critical,
        Lane::Bulk => bulk,
    }
}
