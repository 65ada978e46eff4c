//! Whether the programs still tell what happens: the sensor does something harmless, and the records of it must come back.
//!
//! Pure: what was done, records and the time go in; what there is to tell comes out. What came back is no event of its own.

use std::collections::VecDeque;

use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::ProcessKey;
use wire::time::BootTime;
use wire::value::Value;

use crate::record::{Body, Class, PerClass, Record, Role, Task};

/// How often it is done, in ns.
pub const EVERY_NS: u64 = 5_000_000_000;
/// How many rounds in a row may not come back.
pub const PATIENCE: u32 = 3;
/// How many rounds there are between two events that say that all is well.
const ROUNDS_TOLD: u64 = 12;
/// For how many rounds a record may still come that nobody expects any more: it is no event then either.
const ROUNDS_KEPT: usize = 12;

/// One thing that is done. Each is told in a way of its own, and there is one at least for each ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bird {
    /// A process is born.
    Fork,
    /// It ends.
    Exit,
    /// A port on the loopback address is listened at for a moment.
    Listen,
    /// A file is opened that a query of the sensor's own asks for.
    Open,
}

impl Bird {
    /// Every one.
    pub const ALL: [Bird; 4] = [Bird::Fork, Bird::Exit, Bird::Listen, Bird::Open];

    /// The sight that shows it.
    pub fn sight(self) -> &'static str {
        match self {
            Bird::Fork => "process.fork",
            Bird::Exit => "process.exit",
            Bird::Listen => "network.connect",
            Bird::Open => "file.open",
        }
    }

    fn class(self) -> Class {
        match self {
            Bird::Fork | Bird::Exit => Class::Process,
            Bird::Listen => Class::Bulk,
            Bird::Open => Class::File,
        }
    }
}

/// What was done in one round; what could not be done is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// The pid of the process that was born and has ended.
    pub child: Option<u32>,
    /// The port.
    pub port: Option<u16>,
    /// The path of the file.
    pub opened: Option<Vec<u8>>,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The sights whose records do not come back.
    pub blind: Vec<&'static str>,
    /// Rounds since the report before.
    pub sent: u64,
    /// Those of which everything came back.
    pub returned: u64,
    /// The longest time until it had, in ns.
    pub delay_ns: u64,
    /// What that means.
    pub reason: &'static str,
}

/// The rounds that are out.
#[derive(Debug)]
pub struct Canary {
    /// This process.
    pid: u32,
    birds: Vec<State>,
    rounds: VecDeque<Round>,
    next: BootTime,
    /// Whether it was ever told that all is well.
    was_well: bool,
    sent: u64,
    returned: u64,
    delay_ns: u64,
}

#[derive(Debug)]
struct State {
    bird: Bird,
    /// Rounds in a row that did not come back.
    missed: u32,
    is_blind: bool,
    /// How many records of its class were lost before the first of them.
    lost: u64,
}

#[derive(Debug)]
struct Round {
    deeds: Deeds,
    at: BootTime,
    out: Vec<Bird>,
    /// The child, as its birth told it.
    child: Option<ProcessKey>,
    /// Records of each class that were lost before it.
    lost: PerClass<u64>,
    /// Whether all that was told until it was done has been taken since.
    heard_out: bool,
}

impl Canary {
    /// Expects what is shown in any way on this kernel.
    pub fn new(pid: u32, is_shown: impl Fn(Bird) -> bool, now: BootTime) -> Self {
        let state = |bird| State { bird, missed: 0, is_blind: false, lost: 0 };
        Self {
            pid,
            birds: Bird::ALL.into_iter().filter(|bird| is_shown(*bird)).map(state).collect(),
            rounds: VecDeque::new(),
            next: now,
            was_well: false,
            sent: 0,
            returned: 0,
            delay_ns: 0,
        }
    }

    /// Whether it is time for a round.
    pub fn is_due(&self, now: BootTime) -> bool {
        self.next <= now
    }

    /// Begins a round that was just done, and judges those before. `lost`: records of each class that were lost so far.
    pub fn round(&mut self, deeds: Deeds, lost: &PerClass<u64>, now: BootTime) -> Option<Report> {
        // Whoever got no time himself has not read what came back: that says nothing of the programs.
        let late = |last: &Round| now.ns().saturating_sub(last.at.ns()) >= 2 * EVERY_NS;
        if self.rounds.back().is_some_and(late) {
            self.rounds.clear();
            self.birds.iter_mut().for_each(|state| state.missed = 0);
        }
        let is_told = self.judge(lost);
        // What came back whole needs not be looked for any more.
        self.rounds.retain(|round| !round.out.is_empty());
        self.next = BootTime::from_ns(now.ns().saturating_add(EVERY_NS));
        let out = self.birds.iter().map(|state| state.bird).filter(|bird| deeds.has(*bird)).collect();
        self.rounds.push_back(Round { deeds, at: now, out, child: None, lost: *lost, heard_out: false });
        while self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        self.sent += 1;
        let is_due = self.sent > ROUNDS_TOLD || (!self.was_well && self.returned > 0);
        match is_told {
            Some(reason) => Some(self.report(reason)),
            None if is_due && self.blind().is_empty() => Some(self.report(WELL)),
            None if is_due => Some(self.report(self.why_blind(lost))),
            None => None,
        }
    }

    /// All that the programs had told was taken: what is not among it was not told.
    pub fn heard_out(&mut self) {
        self.rounds.iter_mut().for_each(|round| round.heard_out = true);
    }

    /// Whether the record is of what the canary did.
    pub fn took(&mut self, record: &Record<'_>, now: BootTime) -> bool {
        let pid = self.pid;
        let told =
            self.rounds.iter().enumerate().filter_map(|(n, round)| Some((n, round.told_by(record, pid)?)));
        // The last round that waits for it, or any.
        let Some((number, bird)) = told.max_by_key(|(n, bird)| (bird.is_some(), *n)) else { return false };
        let (Some(bird), Some(round)) = (bird, self.rounds.get_mut(number)) else { return true };
        if let Body::Fork(fork) = &record.body {
            round.child = Some(fork.child.key);
        }
        let n_out = round.out.len();
        round.out.retain(|other| *other != bird);
        if n_out > 0 && round.out.is_empty() {
            self.returned += 1;
            self.delay_ns = self.delay_ns.max(now.ns().saturating_sub(round.at.ns()));
        }
        if let Some(state) = self.birds.iter_mut().find(|state| state.bird == bird) {
            state.missed = 0;
        }
        true
    }

    /// The sights whose records do not come back.
    pub fn blind(&self) -> Vec<&'static str> {
        self.birds.iter().filter(|state| state.is_blind).map(|state| state.bird.sight()).collect()
    }

    /// Looks at what the last round has brought back; the reason to tell of it, if there is one.
    fn judge(&mut self, lost: &PerClass<u64>) -> Option<&'static str> {
        // Under a flood the sensor reads far behind: then nothing is known of the programs yet.
        let last = self.rounds.back().filter(|round| round.heard_out)?;
        let mut is_told = false;
        for state in &mut self.birds {
            if last.out.contains(&state.bird) {
                if state.missed == 0 {
                    state.lost = *state.bird.class().of(&last.lost);
                }
                state.missed += 1;
            }
            let is_blind = state.missed >= PATIENCE;
            is_told |= is_blind != state.is_blind;
            state.is_blind = is_blind;
        }
        match (is_told, self.blind().is_empty()) {
            (false, _) => None,
            (true, true) => Some(AGAIN),
            (true, false) => Some(self.why_blind(lost)),
        }
    }

    /// Why what is blind is so.
    fn why_blind(&self, lost: &PerClass<u64>) -> &'static str {
        let mut blind = self.birds.iter().filter(|state| state.is_blind);
        if blind.all(|state| *state.bird.class().of(lost) > state.lost) { LOST } else { BLIND }
    }

    fn report(&mut self, reason: &'static str) -> Report {
        self.was_well |= reason == WELL;
        // The round that has just begun is still out.
        let (sent, returned) = (self.sent.saturating_sub(1), self.returned);
        (self.sent, self.returned) = (1, 0);
        let delay_ns = std::mem::take(&mut self.delay_ns);
        Report { blind: self.blind(), sent, returned, delay_ns, reason }
    }
}

const WELL: &str = "what the sensor does is told by its programs";
const AGAIN: &str = "what the sensor does is told by its programs again";
const BLIND: &str =
    "what the sensor does is not told by its programs, and no record was lost: they are silent";
const LOST: &str =
    "what the sensor does is not told by its programs: records are lost, as their ring is full";

impl Deeds {
    fn has(&self, bird: Bird) -> bool {
        match bird {
            Bird::Fork | Bird::Exit => self.child.is_some(),
            Bird::Listen => self.port.is_some(),
            Bird::Open => self.opened.is_some(),
        }
    }
}

impl Round {
    /// Which bird the record brings back, if it is of this round; `Some(None)`: one that nobody waits for.
    fn told_by(&self, record: &Record<'_>, pid: u32) -> Option<Option<Bird>> {
        let deeds = &self.deeds;
        let own = |task: Task| task.key.pid == pid;
        let (is_ours, bird) = match &record.body {
            Body::Fork(fork) => (
                deeds.child == Some(fork.child.key.pid) && own(fork.parent) && self.child.is_none(),
                Bird::Fork,
            ),
            Body::Exit(exit) => {
                let is_child = self.child.is_none_or(|child| child == exit.task.key);
                let is_out = self.out.contains(&Bird::Exit);
                (deeds.child == Some(exit.task.key.pid) && is_child && is_out, Bird::Exit)
            }
            Body::Connection(connection) => {
                let is_here =
                    deeds.port == Some(connection.socket.destination.port()) && own(connection.task);
                // To listen it binds.
                if is_here && connection.role == Role::Bind {
                    return Some(None);
                }
                (is_here && connection.role == Role::Listen, Bird::Listen)
            }
            Body::File(file) => {
                let is_it = deeds.opened.as_deref() == Some(file.path) && file.action == Kind::FILE_OPEN;
                (is_it && own(file.task), Bird::Open)
            }
            _ => return None,
        };
        is_ours.then(|| self.out.contains(&bird).then_some(bird))
    }
}

impl Report {
    /// The event's values.
    pub fn row(&self) -> Row {
        let mut row = Row::default()
            .with(Field::EventOutcome, if self.blind.is_empty() { "success" } else { "failure" })
            .with(Field::SensorReason, self.reason)
            .with(Field::SensorCanarySent, self.sent)
            .with(Field::SensorCanaryReturned, self.returned)
            .with(Field::SensorCanaryDelayNs, self.delay_ns);
        if !self.blind.is_empty() {
            let blind = self.blind.iter().map(|sight| bytes::Bytes::from_static(sight.as_bytes()));
            row.set(Field::SensorBlind, Value::List(blind.collect()));
        }
        row
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
