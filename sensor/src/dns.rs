//! DNS messages: out of what the kernel copied, events.
//!
//! Pure: records and the time go in, events come out. Everything in a message is hostile.
//!
//! - [`Dns::take`]: a record; [`Dns::expire`]: what comes of time passing.
//! - [`message`]: one message, read as far as it can be; `name`, `rdata`: its parts as text.
//! - `stream`, `streams`: messages out of TCP connections.
//! - `repeat`: messages that come again and again.
//!
//! What a process sends to a DNS port is told as a query whatever it is, and what it gets from there as an answer. If it is
//! no such message, the event says so.

use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::time::BootTime;
use wire::value::Value;

use crate::enrich;
use crate::record::{self, Carrier, DnsEnds, Task};
use message::Message;
use repeat::{Likeness, Repeats};
use stream::{End, Found};
use streams::Streams;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod corpus;
pub mod message;
mod name;
mod rdata;
mod repeat;
mod stream;
mod streams;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

/// More messages in one record are not looked for.
const MAX_DATAGRAMS: usize = 64;

/// What is known of DNS messages beyond the record at hand.
#[derive(Debug, Default)]
pub struct Dns {
    streams: Streams,
    repeats: Repeats,
}

/// A message that went between a process and a DNS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Between whom.
    pub ends: DnsEnds,
    /// When it went.
    pub time: BootTime,
    /// Whether it came from the server.
    pub is_answer: bool,
    /// Whether it went over TCP.
    pub is_tcp: bool,
    /// What it says.
    pub message: Message,
}

/// An event, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The process that asks.
    pub task: Task,
    /// The event.
    pub event: Event,
}

impl Dns {
    /// The events that a record completes: none, one, or several.
    pub fn take(&mut self, dns: &record::Dns<'_>, time: BootTime) -> Vec<Told> {
        let heard = match dns.carrier {
            Carrier::Udp { each_bytes } => datagrams(dns, each_bytes as usize, time),
            Carrier::Tcp { isn, at } => self.streams.take(dns, isn, at, time),
        };
        self.tell(heard, time)
    }

    /// The events that come of time passing: call it about once a second.
    pub fn expire(&mut self, now: BootTime) -> Vec<Told> {
        let heard = self.streams.expire(now);
        let mut told = self.tell(heard, now);
        told.extend(self.repeats.expire(now));
        told
    }

    /// The events that have not been told yet.
    pub fn finish(&mut self, now: BootTime) -> Vec<Told> {
        let heard = self.streams.finish();
        let mut told = self.tell(heard, now);
        told.extend(self.repeats.finish());
        told
    }

    /// TCP streams that could not be read to their end, as something was missing.
    pub fn n_given_up(&self) -> u64 {
        self.streams.n_given_up()
    }

    fn tell(&mut self, heard: Vec<Heard>, now: BootTime) -> Vec<Told> {
        let mut all = Vec::new();
        for heard in heard {
            let kind = if heard.is_answer { Kind::DNS_ANSWER } else { Kind::DNS_QUERY };
            for row in enrich::dns_rows(&heard) {
                let likeness = likeness(heard.ends.task, kind, &row);
                let event = Event { time: heard.time, kind, row };
                let told = Told { task: heard.ends.task, event };
                all.extend(self.repeats.take(likeness, told, now));
            }
        }
        all
    }
}

impl Heard {
    fn new(ends: DnsEnds, is_answer: bool, is_tcp: bool, (time, found): (BootTime, Found)) -> Self {
        let mut message = Message::read(&found.head, found.end != End::Whole);
        message.is_sound &= found.end != End::Never && message.is_answer == is_answer;
        Self { ends, time, is_answer, is_tcp, message }
    }
}

/// The messages of a record of UDP: one, or several of the same length.
fn datagrams(dns: &record::Dns<'_>, each_bytes: usize, time: BootTime) -> Vec<Heard> {
    let is_cut = dns.payload.len() < dns.n_bytes as usize;
    let each_bytes = if each_bytes == 0 { usize::MAX } else { each_bytes };
    let mut heads: Vec<&[u8]> = dns.payload.chunks(each_bytes).take(MAX_DATAGRAMS).collect();
    if heads.is_empty() {
        heads.push(&[]);
    }
    let n_heads = heads.len();
    let found = heads.into_iter().enumerate().map(|(n, head)| {
        let end = if is_cut && n + 1 == n_heads { End::Cut } else { End::Whole };
        Heard::new(dns.ends, dns.is_answer, false, (time, Found { head: head.to_vec(), end }))
    });
    found.collect()
}

/// What makes two events alike: the process, the server, and what is said; not the numbers that are new each time, nor the
/// order of answers.
fn likeness(task: Task, kind: Kind, row: &Row) -> Likeness {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&task.key.start.ns().to_le_bytes()).update(&task.key.pid.to_le_bytes());
    hasher.update(&kind.number().to_le_bytes());
    for (field, value) in row.iter() {
        if matches!(field, Field::SourceIp | Field::SourcePort | Field::NetworkSocketCookie | Field::DnsId) {
            continue;
        }
        hasher.update(&field.number().to_le_bytes());
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        match value {
            Value::Keyword(bytes) => add(bytes),
            Value::List(items) => {
                let mut items: Vec<_> = items.iter().collect();
                items.sort_unstable();
                items.into_iter().for_each(|item| add(item));
            }
            Value::Uint(n) => add(&n.to_le_bytes()),
            Value::Int(n) => add(&n.to_le_bytes()),
            Value::Bool(is) => add(&[u8::from(*is)]),
            Value::Ip(ip) => add(ip.to_string().as_bytes()),
            Value::Time(time) => add(time.to_string().as_bytes()),
        }
    }
    let mut likeness = Likeness::default();
    hasher.finalize_xof().fill(&mut likeness);
    likeness
}
