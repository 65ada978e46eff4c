//! All TCP streams that are read, bounded in number and time.

use std::num::NonZeroUsize;

use lru::LruCache;
use wire::time::BootTime;

use super::Heard;
use super::stream::{Found, Stream};
use crate::record::{Dns, DnsEnds};

/// More streams are not read at a time: the one that was silent the longest is ended for a new one.
const MAX_STREAMS: NonZeroUsize = NonZeroUsize::new(512).expect("it is not 0");
/// How long a stream waits for what is missing, in ns.
const PATIENCE_NS: u64 = 2_000_000_000;
/// How long a message may take, in ns.
const MESSAGE_NS: u64 = 5_000_000_000;
/// How long nothing need happen until a stream is forgotten, in ns.
const IDLE_NS: u64 = 60_000_000_000;

/// The streams of all connections to DNS servers.
#[derive(Debug)]
pub(super) struct Streams {
    all: LruCache<Key, Known>,
    n_given_up: u64,
}

/// A socket, and which of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    cookie: u64,
    isn: u32,
    is_answer: bool,
}

#[derive(Debug)]
struct Known {
    stream: Stream,
    ends: DnsEnds,
    is_answer: bool,
    /// When something of it came last.
    last: BootTime,
}

impl Default for Streams {
    fn default() -> Self {
        Self { all: LruCache::new(MAX_STREAMS), n_given_up: 0 }
    }
}

impl Streams {
    /// Takes a piece of a stream; gives the messages that end in it.
    pub(super) fn take(&mut self, dns: &Dns<'_>, isn: u32, at: u32, time: BootTime) -> Vec<Heard> {
        let mut all = Vec::new();
        let mut found = Vec::new();
        let key = Key { cookie: dns.ends.cookie, isn, is_answer: dns.is_answer };
        if !self.all.contains(&key) {
            let stream = Stream::new(at, dns.is_answer);
            let known = Known { stream, ends: dns.ends, is_answer: dns.is_answer, last: time };
            if let Some((_, mut silent)) = self.all.push(key, known) {
                silent.finish(&mut all);
            }
        }
        if let Some(known) = self.all.get_mut(&key) {
            (known.ends, known.last) = (dns.ends, known.last.max(time));
            self.n_given_up += u64::from(!known.stream.take(at, dns.payload, dns.n_bytes, &mut found));
            known.tell(found, &mut all);
        }
        all
    }

    /// Ends what has waited too long; gives what is found by that.
    pub(super) fn expire(&mut self, now: BootTime) -> Vec<Heard> {
        let mut all = Vec::new();
        let mut over = Vec::new();
        for (key, known) in &mut self.all {
            let waited = now.ns().saturating_sub(known.last.ns());
            if known.stream.has_gap() && waited >= PATIENCE_NS {
                let mut found = Vec::new();
                self.n_given_up += u64::from(!known.stream.skip(&mut found));
                known.tell(found, &mut all);
            }
            if waited >= if known.stream.is_idle() { IDLE_NS } else { MESSAGE_NS } {
                known.finish(&mut all);
                // One that is over is remembered: more of it may come.
                if waited >= IDLE_NS {
                    over.push(*key);
                }
            }
        }
        for key in over {
            self.all.pop(&key);
        }
        all
    }

    /// Ends all of them.
    pub(super) fn finish(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        while let Some((_, mut known)) = self.all.pop_lru() {
            known.finish(&mut all);
        }
        all
    }

    /// Streams of which the rest could not be read, as pieces were missing.
    pub(super) fn n_given_up(&self) -> u64 {
        self.n_given_up
    }
}

impl Known {
    fn finish(&mut self, all: &mut Vec<Heard>) {
        let mut found = Vec::new();
        self.stream.finish(&mut found);
        self.tell(found, all);
    }

    fn tell(&self, found: Vec<Found>, all: &mut Vec<Heard>) {
        let heard = |found| Heard::new(self.ends, self.is_answer, true, (self.last, found));
        all.extend(found.into_iter().map(heard));
    }
}
