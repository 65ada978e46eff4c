//! The columns of a directory: each number as what it is after that of the batch before.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::batch::Header;
use wire::id::{BootId, Epoch, HostId, Lane, StreamId};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock, WallTime};

use super::head::Head;
use super::{Entry, PartEnds, postings};
use crate::store::Stamp;

/// One item a batch in each of the first four.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Columns {
    /// The host; `None` for that of the batch before.
    host: Vec<Option<HostId>>,
    received: Vec<i64>,
    payload_len: Vec<u32>,
    /// Whether the header is among `heads`; else it is the next of `others`, with the next of `streams`.
    is_known: Vec<bool>,
    heads: Heads,
    others: VecDeque<(Bytes, StreamId, u64, u32)>,
    /// Where the indexed times are not what the header says: which batch, and the times.
    times: VecDeque<(u32, Stamp, Stamp)>,
    ends: VecDeque<(u32, PartEnds)>,
    terms: Vec<u32>,
}

/// Headers, each beside the one before.
#[derive(Default, Serialize, Deserialize)]
struct Heads {
    /// `None` for those of the one before.
    epoch: Vec<Option<Epoch>>,
    boot: Vec<Option<BootId>>,
    collection: Vec<Option<[u8; 16]>>,
    lane: Vec<Lane>,
    /// After the end of the one before.
    first_seq: Vec<i64>,
    n_events: Vec<u32>,
    earliest: Vec<i64>,
    /// After its earliest, and after its latest.
    latest: Vec<i64>,
    sealed: Vec<i64>,
    clock: [Vec<i64>; 3],
    /// The first: less the events since the one before.
    ledger: [Vec<i64>; 4],
}

impl Columns {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut columns = Self::default();
        let (mut host, mut received, mut before) = (None, Stamp::default(), start());
        for (entry, at) in entries.iter().zip(0..) {
            columns.host.push(Some(entry.stream.host).filter(|now| host != Some(*now)));
            host = Some(entry.stream.host);
            columns.received.push(entry.received.unix_us().wrapping_sub(received.unix_us()));
            received = entry.received;
            columns.payload_len.push(entry.payload_len);
            let told = match &entry.head {
                Head::Known(header) if is_of(header, entry) => {
                    columns.heads.push(header, &before);
                    before = header.clone();
                    Some(indexed(header))
                }
                head => {
                    columns.others.push_back((head.bytes(), entry.stream, entry.first_seq, entry.n_events));
                    None
                }
            };
            columns.is_known.push(told.is_some());
            if told != Some((entry.earliest, entry.latest)) {
                columns.times.push_back((at, entry.earliest, entry.latest));
            }
            columns.ends.extend(entry.ends.map(|ends| (at, ends)));
        }
        let terms: Vec<&[u16]> = entries.iter().map(|entry| &entry.terms[..]).collect();
        columns.terms = postings::write(&terms);
        columns
    }

    /// The entries; `None` where the columns do not fit together.
    pub(super) fn entries(mut self) -> Option<Vec<Entry>> {
        let n = self.is_known.len();
        let mut terms = postings::read(&self.terms, n)?.into_iter();
        let (mut host, mut received, mut before) = (None, Stamp::default(), start());
        let (mut offset, mut n_known) = (0_u32, 0);
        let mut entries = Vec::with_capacity(n);
        for at in 0..n {
            host = (*self.host.get(at)?).or(host);
            received = Stamp::from_unix_us(received.unix_us().wrapping_add(*self.received.get(at)?));
            let payload_len = *self.payload_len.get(at)?;
            let (head, stream, first_seq, n_events, told) = if *self.is_known.get(at)? {
                let header = self.heads.get(n_known, &before)?;
                n_known += 1;
                before = header.clone();
                let stream = StreamId { host: host?, epoch: header.epoch, lane: header.lane };
                let (first_seq, n_events, told) = (header.first_seq, header.n_events, indexed(&header));
                (Head::Known(header), stream, first_seq, n_events, Some(told))
            } else {
                let (bytes, stream, first_seq, n_events) = self.others.pop_front()?;
                (Head::Other(bytes), stream, first_seq, n_events, None)
            };
            let (earliest, latest) = match next_of(&mut self.times, |(of, ..)| *of as usize == at) {
                Some((_, earliest, latest)) => (earliest, latest),
                None => told?,
            };
            entries.push(Entry {
                stream,
                first_seq,
                n_events,
                received,
                earliest,
                latest,
                head,
                offset,
                payload_len,
                ends: next_of(&mut self.ends, |(of, _)| *of as usize == at).map(|(_, ends)| ends),
                terms: terms.next()?,
            });
            offset = offset.checked_add(payload_len)?;
        }
        Some(entries)
    }
}

impl Heads {
    fn push(&mut self, now: &Header, before: &Header) {
        let after = |now: u64, before: u64| now.wrapping_sub(before).cast_signed();
        self.epoch.push(Some(now.epoch).filter(|epoch| *epoch != before.epoch));
        self.boot.push(Some(now.boot).filter(|boot| *boot != before.boot));
        self.collection.push(Some(now.collection).filter(|collection| *collection != before.collection));
        self.lane.push(now.lane);
        self.first_seq.push(after(now.first_seq, end(before)));
        self.n_events.push(now.n_events);
        self.earliest.push(after(now.earliest.ns(), before.earliest.ns()));
        self.latest.push(after(now.latest.ns(), now.earliest.ns()));
        self.sealed.push(after(now.sealed.ns(), now.latest.ns()));
        for (column, (now, before)) in self.clock.iter_mut().zip(clock(now).into_iter().zip(clock(before))) {
            column.push(now.wrapping_sub(before));
        }
        let n_between = end(now).wrapping_sub(end(before));
        for (column, (now, before)) in self.ledger.iter_mut().zip(ledger(now).into_iter().zip(ledger(before)))
        {
            column.push(after(now, before));
        }
        if let Some(generated) = self.ledger.first_mut().and_then(|column| column.last_mut()) {
            *generated = generated.wrapping_sub(n_between.cast_signed());
        }
    }

    fn get(&self, at: usize, before: &Header) -> Option<Header> {
        let onto = |column: &Vec<i64>, before: u64| Some(before.wrapping_add_signed(*column.get(at)?));
        let first_seq = onto(&self.first_seq, end(before))?;
        let n_events = *self.n_events.get(at)?;
        let earliest = onto(&self.earliest, before.earliest.ns())?;
        let latest = onto(&self.latest, earliest)?;
        let [boot_to_wall_ns, offset_ns, uncertainty_ns] = clock(before);
        let [of_wall, of_offset, of_uncertainty] = &self.clock;
        let n_between = first_seq.wrapping_add(u64::from(n_events)).wrapping_sub(end(before));
        let [generated, merged, lost, dropped] = ledger(before);
        let [of_generated, of_merged, of_lost, of_dropped] = &self.ledger;
        Some(Header {
            epoch: (*self.epoch.get(at)?).unwrap_or(before.epoch),
            lane: *self.lane.get(at)?,
            first_seq,
            n_events,
            boot: (*self.boot.get(at)?).unwrap_or(before.boot),
            earliest: BootTime::from_ns(earliest),
            latest: BootTime::from_ns(latest),
            sealed: BootTime::from_ns(onto(&self.sealed, latest)?),
            clock: Clock {
                boot_to_wall_ns: boot_to_wall_ns.wrapping_add(*of_wall.get(at)?),
                offset_ns: offset_ns.wrapping_add(*of_offset.get(at)?),
                uncertainty_ns: uncertainty_ns.wrapping_add(*of_uncertainty.get(at)?).cast_unsigned(),
            },
            ledger: Ledger {
                generated: onto(of_generated, generated.wrapping_add(n_between))?,
                merged: onto(of_merged, merged)?,
                lost: onto(of_lost, lost)?,
                dropped: onto(of_dropped, dropped)?,
            },
            collection: (*self.collection.get(at)?).unwrap_or(before.collection),
        })
    }
}

/// What the first header stands beside.
fn start() -> Header {
    Header {
        epoch: Epoch::new(uuid::Uuid::nil()),
        lane: Lane::Critical,
        first_seq: 0,
        n_events: 0,
        boot: BootId::new(uuid::Uuid::nil()),
        earliest: BootTime::default(),
        latest: BootTime::default(),
        sealed: BootTime::default(),
        clock: Clock::default(),
        ledger: Ledger::default(),
        collection: [0; 16],
    }
}

fn is_of(header: &Header, entry: &Entry) -> bool {
    let Entry { stream, first_seq, n_events, .. } = entry;
    (header.epoch, header.lane, header.first_seq, header.n_events)
        == (stream.epoch, stream.lane, *first_seq, *n_events)
}

/// The indexed times of a batch whose clock is not far from the collector's.
fn indexed(header: &Header) -> (Stamp, Stamp) {
    let time = |at: BootTime| -> WallTime { header.clock.timestamp(at) };
    (Stamp::floor(time(header.earliest)), Stamp::ceil(time(header.latest)))
}

fn end(header: &Header) -> u64 {
    header.first_seq.wrapping_add(u64::from(header.n_events))
}

fn clock(header: &Header) -> [i64; 3] {
    let Clock { boot_to_wall_ns, offset_ns, uncertainty_ns } = header.clock;
    [boot_to_wall_ns, offset_ns, uncertainty_ns.cast_signed()]
}

fn ledger(header: &Header) -> [u64; 4] {
    let Ledger { generated, merged, lost, dropped } = header.ledger;
    [generated, merged, lost, dropped]
}

/// The first of a queue, if it is the one wanted.
fn next_of<T>(queue: &mut VecDeque<T>, is_wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(is_wanted) { queue.pop_front() } else { None }
}
