//! Generated host activity: what benchmarks measure. The built-in dictionaries are trained on another
//! (`examples/train_dictionary`), so that nothing is measured on what was trained.
//!
//! A made-up Linux host with systemd, cron, sshd, a shell, a build, a web server, a database and
//! containers. The same seed gives the same events. Behind the cargo feature `sample`.
//!
//! How events follow each other is measured: on a host with shells, git, curl, a compiler and cron at work (5,350 events
//! in this mix out of 83,000, opened files thinned at random), 69 % of what is not an exec was done by the process of
//! the event before it, and 20 events named 9.3 process images, 15.2 with their ancestors. Here they name 9.3 and 15.8.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use uuid::Uuid;

use crate::batch::{Boundary, Builder, Sealed};
use crate::event::{Event, Kind, Row};
use crate::field::Field;
use crate::id::{BootId, Epoch, Lane, ProcessKey};
use crate::ledger::Ledger;
use crate::subject::{Subject, SubjectNumber};
use crate::time::{BootTime, Clock};
use crate::value::Value;

use process::{Detail, Process};
use programs::DAEMONS;
use random::Random;

mod process;
mod programs;
mod random;

/// How often each kind of event happens, in any unit.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Forks.
    pub fork: u64,
    /// Execs, each of a process just forked.
    pub exec: u64,
    /// Opened files.
    pub file: u64,
    /// Connections.
    pub connect: u64,
    /// Exits.
    pub exit: u64,
}

impl Mix {
    /// What all benchmarks use.
    pub const BENCHMARK: Mix = Mix { fork: 0, exec: 30, file: 40, connect: 20, exit: 10 };
    /// What a sensor that follows only processes and connections sees.
    pub const PROCESSES: Mix = Mix { fork: 30, exec: 25, file: 0, connect: 15, exit: 30 };
}

/// One made-up host, going on from batch to batch.
pub struct Host {
    seed: u64,
    mix: Mix,
    random: Random,
    now: u64,
    processes: Vec<Process>,
    n_pids: u32,
    n_sockets: u64,
    n_batches: u64,
    next_seq: u64,
    /// The daemons that have something to do now.
    focus: [usize; 2],
    /// The two processes that did something last.
    last: [usize; 2],
}

impl Host {
    /// The host of this seed, just booted.
    pub fn new(seed: u64, mix: Mix) -> Self {
        let mut random = Random::new(seed);
        let processes = process::daemons(seed, &mut random);
        let now = 3_600_000_000_000 + random.below(1 << 40);
        let n_pids = 20_000 + random.below(200_000) as u32;
        let n_sockets = random.below(1 << 20);
        Self {
            seed,
            mix,
            random,
            now,
            processes,
            n_pids,
            n_sockets,
            n_batches: 0,
            next_seq: 0,
            focus: [3, 4],
            last: [3, 4],
        }
    }

    /// Its next events, as a batch that goes on from the last.
    pub fn batch(&mut self, builder: &mut Builder, n_events: u32) -> Sealed {
        let boundary = self.fill(builder, n_events);
        builder.seal(boundary)
    }

    /// Adds its next events to an empty builder, with the subjects they name; returns the boundary to
    /// seal it with.
    pub fn fill(&mut self, builder: &mut Builder, n_events: u32) -> Boundary {
        self.n_batches += 1;
        self.bury();
        let first_seq = self.next_seq;
        self.next_seq += u64::from(n_events);
        for _ in 0..n_events {
            let (event, at) = self.next();
            if at != self.last[0] {
                self.last = [at, self.last[0]];
            }
            let subject = self.name(builder, at, Detail::Full);
            builder.push(&event, Some(subject));
        }
        let id = |n: u128| Uuid::from_u128(n << 64 | u128::from(self.seed));
        Boundary {
            epoch: Epoch::new(id(0x0199_c1de_93b4_7f00)),
            lane: Lane::Critical,
            first_seq,
            boot: BootId::new(id(0x5c1e_77ab_40de_4a11)),
            sealed: BootTime::from_ns(self.now + 1_000_000),
            clock: Clock {
                boot_to_wall_ns: 1_790_000_000_123_456_789,
                offset_ns: -1_234_567,
                uncertainty_ns: 250_000,
            },
            ledger: Ledger { generated: self.next_seq, ..Ledger::default() },
            collection: [0; 16],
        }
    }

    /// The next event and its subject's place among the processes.
    fn next(&mut self) -> (Event, usize) {
        // Bursts: mostly a few dozen microseconds, sometimes milliseconds.
        self.now += 9_000 + self.random.below(90_000) * self.random.below(12) * self.random.below(3);
        let Mix { fork, exec, file, connect, exit } = self.mix;
        let mut at = self.random.below(fork + exec + file + connect + exit);
        for (weight, make) in [
            (fork, Self::fork as fn(&mut Self) -> (Kind, Row, usize)),
            (exec, Self::exec),
            (file, Self::open),
            (connect, Self::connect),
            (exit, Self::exit),
        ] {
            if at < weight {
                let (kind, row, at) = make(self);
                return (Event { time: BootTime::from_ns(self.now), kind, row }, at);
            }
            at -= weight;
        }
        let (kind, row, at) = self.open();
        (Event { time: BootTime::from_ns(self.now), kind, row }, at)
    }

    fn fork(&mut self) -> (Kind, Row, usize) {
        let parent = self.starter();
        let lag = self.random_lag(20_000);
        let key = self.new_key(lag);
        let born = self.processes.get(parent).map(|process| Process::forked(process, parent, key));
        self.processes.extend(born);
        (Kind::FORK, Row::default(), self.processes.len() - 1)
    }

    fn exec(&mut self) -> (Kind, Row, usize) {
        // Run by the last child forked, where forks are events of their own.
        let last = self.processes.len() - 1;
        let forked = self.mix.fork > 0 && self.processes.get(last).is_some_and(|process| process.just_forked);
        let parent = match self.processes.get(last).and_then(|process| process.parent) {
            Some(parent) if forked => parent,
            _ => self.starter(),
        };
        let key = match self.processes.get(last) {
            Some(process) if forked => process.key,
            _ => {
                let lag = 150_000 + self.random_lag(900_000);
                self.new_key(lag)
            }
        };
        let started =
            self.processes.get(parent).and_then(|from| Process::started(from, parent, key, &mut self.random));
        self.processes.extend(started);
        (Kind::EXEC, Row::default(), self.processes.len() - 1)
    }

    fn open(&mut self) -> (Kind, Row, usize) {
        let at = self.active();
        let path = process::fill(self.random.prefer::<&str>(programs::FILES), &mut self.random);
        let access: &[&'static str] = if path.starts_with("/tmp") { &["read", "write"] } else { &["read"] };
        let row = Row::default()
            .with(Field::FileInode, process::number_of(path.as_bytes()))
            .with(Field::FileDevice, if path.starts_with("/proc") { 22_u64 } else { 0xfd00 })
            .with(Field::FileMode, if path.starts_with("/home") { 0o600_u64 } else { 0o644 })
            .with(Field::FileOwner, if path.starts_with("/home") { 1000_u64 } else { 0 })
            .with(
                Field::FileAccess,
                Value::List(access.iter().map(|s| Bytes::from_static(s.as_bytes())).collect()),
            )
            .with(Field::FilePath, Bytes::from(path));
        (Kind::FILE_OPEN, row, at)
    }

    fn connect(&mut self) -> (Kind, Row, usize) {
        let mut at = self.active();
        if self.processes.get(at).is_none_or(|process| process.ports.is_empty()) {
            at = 4 + self.random.below(2) as usize * 4;
        }
        let ports = self.processes.get(at).map_or(&[443][..], |process| process.ports);
        let port = *self.random.prefer(ports);
        self.n_sockets += 1 + self.random.below(3);
        let to = match port {
            443 => Ipv4Addr::new(203, 0, 113, self.random.low(250) as u8),
            6379 | 8080 => Ipv4Addr::LOCALHOST,
            _ => Ipv4Addr::new(10, 20, self.random.low(4) as u8, self.random.low(200) as u8),
        };
        let from = if to.is_loopback() { to } else { Ipv4Addr::new(10, 20, 0, self.seed as u8) };
        let row = Row::default()
            .with(Field::SourceIp, IpAddr::V4(from))
            .with(Field::SourcePort, 32_768 + self.random.below(28_232))
            .with(Field::DestinationIp, IpAddr::V4(to))
            .with(Field::DestinationPort, port)
            .with(Field::NetworkTransport, "tcp")
            .with(Field::NetworkSourceIsn, self.random.below(1 << 32))
            .with(Field::NetworkDestinationIsn, self.random.below(1 << 32))
            .with(Field::NetworkSocketCookie, self.n_sockets);
        (Kind::CONNECT, row, at)
    }

    fn exit(&mut self) -> (Kind, Row, usize) {
        let at = self.active();
        let start = self.processes.get(at).map_or(0, |process| process.key.start.ns());
        let code = if self.random.percent(90) { 0 } else { 1 + self.random.low(127) as i64 };
        let row = Row::default()
            .with(Field::ProcessExitCode, Value::Int(code))
            .with(Field::ProcessDurationNs, self.now.saturating_sub(start));
        (Kind::EXIT, row, at)
    }

    /// A process that may start others.
    fn starter(&mut self) -> usize {
        for _ in 0..8 {
            let at = self.active();
            if self.processes.get(at).is_some_and(|process| !process.jobs.is_empty()) {
                return at;
            }
        }
        3
    }

    /// One of those that do something now: mostly the one that did something last, else a recent one, or a daemon.
    fn active(&mut self) -> usize {
        let n = self.processes.len();
        match self.random.below(100) {
            0..64 => return self.last[0],
            64..75 => return self.last[1],
            _ => {}
        }
        if self.random.percent(4) {
            let daemon = self.random.below(DAEMONS.len() as u64) as usize;
            self.focus = [daemon, self.focus[0]];
        }
        let recent = n.saturating_sub(DAEMONS.len()) as u64;
        if recent > 0 && self.random.percent(75) {
            n - 1 - self.random.low(recent.min(30)) as usize
        } else {
            *self.random.prefer(&self.focus)
        }
    }

    /// Processes of long ago end, unseen.
    fn bury(&mut self) {
        if self.processes.len() > 2_000 {
            self.processes.truncate(DAEMONS.len());
            self.last = [3, 4];
        }
    }

    fn new_key(&mut self, lag: u64) -> ProcessKey {
        self.n_pids += 1 + self.random.low(6) as u32;
        ProcessKey { start: BootTime::from_ns(self.now - lag), pid: self.n_pids % 4_194_304 }
    }

    fn random_lag(&mut self, most: u64) -> u64 {
        self.random.low(most)
    }

    /// A process's number in this batch; it and its ancestors are added where they are missing, with
    /// as much as a sensor says of them.
    fn name(&mut self, builder: &mut Builder, at: usize, detail: Detail) -> SubjectNumber {
        let missing = SubjectNumber(0);
        let Some(process) = self.processes.get(at) else { return missing };
        if let Some((batch, known, number)) = process.named
            && batch == self.n_batches
            && known >= detail
        {
            return number;
        }
        let is_new = !process.known;
        let detail = if is_new { Detail::Full } else { detail };
        let of_parent = if detail == Detail::Full { Detail::Arguments } else { Detail::Executable };
        let parent = process.parent.map(|parent| self.name(builder, parent, of_parent));
        let Some(process) = self.processes.get_mut(at) else { return missing };
        let Process { key, image, .. } = *process;
        let number = builder.subject(&Subject { key, image, parent, is_new, row: process.told(detail) });
        process.known = true;
        process.named = Some((self.n_batches, detail, number));
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_events() {
        let sealed = |seed| Host::new(seed, Mix::BENCHMARK).batch(&mut Builder::new(), 500);
        assert_eq!(sealed(1), sealed(1));
        assert_ne!(sealed(1), sealed(2));
    }
}
