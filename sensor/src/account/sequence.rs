//! One CPU's numbering of one class.

use std::collections::VecDeque;

use wire::time::BootTime;

use super::{Position, SETTLE_NS};

/// The most gaps that stay open; under heavy loss the oldest is given up early.
const MAX_GAPS: usize = 64;

/// How far a sequence has come, and what below that has not arrived yet.
#[derive(Debug)]
pub(super) struct Sequence {
    next: u64,
    /// In the order of their numbers, and so of their age. Never empty ranges.
    gaps: VecDeque<Gap>,
    /// Whether the sensor before may have taken what is missing up to the first record.
    after_crash: bool,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    first: u64,
    end: u64,
    since: BootTime,
    after_crash: bool,
}

/// What an arrival meant.
pub(super) struct Fate {
    /// Whether it is a record of its own that was not given up.
    pub(super) counts: bool,
    /// What had to be given up for it.
    pub(super) given_up: GivenUp,
}

/// How many records will not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// The kernel could not hand them over.
    pub(super) lost: u64,
    /// The sensor before had taken them, and crashed.
    pub(super) crashed: u64,
}

impl Sequence {
    /// A sequence of which this number is the first.
    pub(super) fn from(first: u64) -> Self {
        Self { next: first, gaps: VecDeque::new(), after_crash: false }
    }

    /// A sequence of which this number is the first, and which a sensor that crashed had begun to take.
    pub(super) fn after_crash(first: u64) -> Self {
        Self { after_crash: true, ..Self::from(first) }
    }

    /// A sequence that another sensor had followed to here.
    pub(super) fn resumed(position: Position, clean: bool, now: BootTime) -> Self {
        let mut sequence = Self { next: 0, gaps: VecDeque::new(), after_crash: !clean };
        let mut below = 0;
        for (first, end) in position.gaps.into_iter().take(MAX_GAPS) {
            if below <= first && first < end && end <= position.next {
                sequence.gaps.push_back(Gap { first, end, since: now, after_crash: !clean });
                below = end;
            }
        }
        sequence.next = position.next;
        sequence
    }

    pub(super) fn arrived(&mut self, seq: u64, now: BootTime) -> Fate {
        if seq < self.next {
            return Fate { counts: self.fill(seq), given_up: GivenUp::default() };
        }
        let given_up = self.reached(seq, now);
        self.next = seq.saturating_add(1);
        self.after_crash = false;
        Fate { counts: true, given_up }
    }

    pub(super) fn reached(&mut self, next: u64, now: BootTime) -> GivenUp {
        if next <= self.next {
            return GivenUp::default();
        }
        self.gaps.push_back(Gap { first: self.next, end: next, since: now, after_crash: self.after_crash });
        self.next = next;
        self.after_crash = false;
        if self.gaps.len() > MAX_GAPS { self.give_up_first() } else { GivenUp::default() }
    }

    pub(super) fn settle(&mut self, now: BootTime) -> GivenUp {
        let mut given_up = GivenUp::default();
        while self.gaps.front().is_some_and(|gap| now.ns().saturating_sub(gap.since.ns()) >= SETTLE_NS) {
            given_up += self.give_up_first();
        }
        given_up
    }

    pub(super) fn give_up_all(&mut self) -> GivenUp {
        let mut given_up = GivenUp::default();
        while !self.gaps.is_empty() {
            given_up += self.give_up_first();
        }
        given_up
    }

    pub(super) fn position(&self, cpu: u32) -> Position {
        let gaps = self.gaps.iter().map(|gap| (gap.first, gap.end)).collect();
        Position { cpu, next: self.next, gaps }
    }

    fn give_up_first(&mut self) -> GivenUp {
        match self.gaps.pop_front() {
            Some(gap) if gap.after_crash => GivenUp { crashed: gap.end - gap.first, lost: 0 },
            Some(gap) => GivenUp { lost: gap.end - gap.first, crashed: 0 },
            None => GivenUp::default(),
        }
    }

    /// Takes a number out of the gap it lies in, if any.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|gap| (gap.first..gap.end).contains(&seq)) else {
            return false;
        };
        let Some(gap) = self.gaps.remove(at) else { return false };
        let (before, after) = (Gap { end: seq, ..gap }, Gap { first: seq + 1, ..gap });
        for part in [after, before].into_iter().filter(|part| part.first < part.end) {
            self.gaps.insert(at, part);
        }
        true
    }
}

impl std::ops::AddAssign for GivenUp {
    fn add_assign(&mut self, more: Self) {
        self.lost += more.lost;
        self.crashed += more.crashed;
    }
}
