//! Reads batches, turns them into records and hands these to the sink.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use tracing::error;
use uuid::Uuid;
use wire::batch::{Batch, BatchError};
use wire::id::{EventId, StreamId};
use wire::predicate::Predicate;

use super::flight::{Doubt, Flight, number};
use super::hosts::Shown;
use super::line::{Flying, Item, Located, What};
use crate::kafka::{Failure, Meaning, Producer, Topic, Unsent};
use crate::record::{ExportRecord, Format, Group, Renderer};
use crate::store::candidates::SegmentKey;
use crate::store::exports::Fate;
use crate::store::{Conn, StoreError, slices};

/// What records are made with, and where they go.
pub(super) struct Sink {
    pub(super) producer: Producer,
    pub(super) topics: BTreeMap<Group, Topic>,
    pub(super) source: String,
    /// What a record may weigh.
    pub(super) max_bytes: usize,
    pub(super) predicate: Arc<Predicate>,
    pub(super) flight: Arc<Flight>,
    /// Records that are to be sent alone, or not again.
    pub(super) doubts: Doubts,
    /// Ends a thread that waits for room.
    pub(super) stop: AtomicBool,
}

/// What a slot of the flight is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Subject {
    /// The batch that begins there.
    Batch(EventId),
    /// A finding, by its id.
    Finding(Uuid),
}

/// What speaks against records, by what they are of and their number in it.
pub(super) type Doubts = HashMap<Subject, HashMap<u32, Doubt>>;

/// A record that the sink refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) at: EventId,
    pub(super) topic: String,
    pub(super) n_bytes: u64,
    pub(super) reason: String,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// In the order of each stream.
    pub(super) flying: Vec<(StreamId, Flying)>,
    /// What the sink was not even given.
    pub(super) refused: Vec<Refusal>,
    /// What was handed over, by its slot.
    pub(super) slots: Vec<(u32, Subject)>,
    /// The first of each stream that is not in the store any more.
    pub(super) missing: Vec<(StreamId, u64)>,
    /// Why not all was handed over.
    pub(super) failure: Option<Failure>,
}

/// What a record has beside its value, its id, type and source: the key, the rest of the headers, and what a batch of one has
/// around it.
const AROUND_BYTES: usize = 512;
/// How long a thread waits for room before it looks again.
const PAUSE: Duration = Duration::from_millis(2);

/// Reads the batches of `items`; `None` where one is gone, or what is behind one of its stream that is.
///
/// # Errors
/// When the database fails.
pub(super) async fn read(
    conn: &mut Conn,
    items: &[(StreamId, Item)],
) -> Result<Vec<Option<Bytes>>, StoreError> {
    let mut wanted: Vec<(SegmentKey, Range<u32>)> = Vec::new();
    let mut places = Vec::with_capacity(items.len());
    for (_, item) in items {
        places.push(match &item.what {
            What::Batch(located) => {
                wanted.push((located.key, located.entry.range()));
                Some(wanted.len() - 1)
            }
            What::Gone | What::Expired => None,
        });
    }
    let mut found = slices::slices(conn, &wanted).await?;
    Ok(places.into_iter().map(|place| found.get_mut(place?)?.take()).collect())
}

/// Hands over items with what was read of them, stream by stream in their order. Blocks, while the sink has no room.
pub(super) fn hand_over(
    sink: &Sink,
    hosts: &Shown,
    items: Vec<(StreamId, Item)>,
    read: Vec<Option<Bytes>>,
) -> Handed {
    let mut handed = Handed::default();
    let mut stopped: HashSet<StreamId> = HashSet::new();
    for ((stream, item), bytes) in items.into_iter().zip(read) {
        if stopped.contains(&stream) {
            continue;
        }
        let n_events = item.upto - item.first;
        let (fate, slot) = match (&item.what, bytes) {
            (What::Gone, _) => (Fate { n_gone: n_events, ..Fate::default() }, None),
            (What::Expired, _) => (Fate { n_expired: n_events, ..Fate::default() }, None),
            (What::Batch(_), None) => {
                stopped.insert(stream);
                handed.missing.push((stream, item.first));
                continue;
            }
            (What::Batch(located), Some(bytes)) => match batch(sink, hosts, located, bytes, &mut handed) {
                Ok(done) => done,
                Err(failure) => {
                    handed.failure = Some(failure);
                    return handed;
                }
            },
        };
        handed.flying.push((stream, Flying { upto: item.upto, received: item.received, fate, slot }));
    }
    handed
}

/// Hands over one batch: what becomes of its events, and by what they are reported.
fn batch(
    sink: &Sink,
    hosts: &Shown,
    located: &Located,
    bytes: Bytes,
    handed: &mut Handed,
) -> Result<(Fate, Option<u32>), Failure> {
    let entry = &located.entry;
    let n_events = u64::from(entry.n_events);
    match records(sink, hosts, located, bytes, handed) {
        Ok(sent) => sent,
        Err(damage) => {
            let stream = entry.stream;
            error!(%stream, seq = entry.first_seq, error = %damage, "a stored batch does not decode, it is not exported");
            counter!("collector_export_event_expired_total").increment(n_events);
            Ok((Fate { n_expired: n_events, ..Fate::default() }, None))
        }
    }
}

type Sent = Result<(Fate, Option<u32>), Failure>;

fn records(
    sink: &Sink,
    hosts: &Shown,
    located: &Located,
    bytes: Bytes,
    handed: &mut Handed,
) -> Result<Sent, BatchError> {
    let entry = &located.entry;
    let batch = Batch::from_parts(&entry.head.bytes(), entry.payload_len, vec![(0, bytes)])?;
    let (outer, facts) = hosts.outer(entry.stream.host, entry.received.wall());
    let selected = sink.predicate.select(&batch, &outer)?;
    let n_events = u64::from(entry.n_events);
    let n_left_out = n_events.saturating_sub(selected.len() as u64);
    let mut fate = Fate { n_left_out, ..Fate::default() };
    let mut renderers: HashMap<Format, Renderer<'_>> = HashMap::new();
    // All are made before the first is sent: what does not decode is found before anything is on its way.
    let mut made: Vec<(u32, &Topic, ExportRecord, bool)> = Vec::with_capacity(selected.len());
    let at = EventId { stream: entry.stream, seq: entry.first_seq };
    let doubts = sink.doubts.get(&Subject::Batch(at));
    for event in selected {
        let topic = batch
            .events()?
            .locate(event)
            .and_then(|(group, _)| batch.groups().nth(group))
            .and_then(|group| sink.topics.get(&Group::of(group.kind())));
        let Some(topic) = topic else { continue };
        let renderer = renderers
            .entry(topic.format)
            .or_insert_with(|| Renderer::new(topic.format, &batch, &outer, &facts));
        let Some(record) = renderer.event(event)? else { continue };
        let doubt = doubts.and_then(|doubts| doubts.get(&event));
        if let Some(reason) = known_refusal(sink, &record, doubt) {
            fate.n_refused += 1;
            let seq = entry.first_seq.saturating_add(u64::from(event));
            let (topic, n_bytes) = (topic.name.clone(), record.value.len() as u64);
            handed.refused.push(Refusal { at: EventId { seq, ..at }, topic, n_bytes, reason });
            continue;
        }
        made.push((event, topic, record, doubt.is_some()));
    }
    fate.n_sent = made.len() as u64;
    // What has no topic or no record is left out.
    fate.n_left_out = n_events.saturating_sub(fate.n_sent + fate.n_refused);
    if made.is_empty() {
        return Ok(Ok((fate, None)));
    }
    let slot = sink.flight.begin(made.len() as u32);
    sink.flight.weighs(slot, made.iter().map(|(_, _, record, _)| record.value.len()).sum());
    handed.slots.push((slot, Subject::Batch(at)));
    for (event, topic, record, is_alone) in &made {
        if let Err(failure) = send(sink, slot, *event, topic, record, *is_alone) {
            return Ok(Err(failure));
        }
    }
    Ok(Ok((fate, Some(slot))))
}

/// Why the sink will not take a record, if that is known.
fn known_refusal(sink: &Sink, record: &ExportRecord, doubt: Option<&Doubt>) -> Option<String> {
    if let Some(Doubt::Refused(reason)) = doubt {
        return Some(reason.clone());
    }
    (weight(record, &sink.source) > sink.max_bytes).then(|| {
        format!(
            "too large: {} bytes, and its topic takes records of {} (max.message.bytes)",
            record.value.len(),
            sink.max_bytes
        )
    })
}

/// How many bytes a broker counts of a record at most.
pub(super) fn weight(record: &ExportRecord, source: &str) -> usize {
    record.value.len() + record.id.len() + record.class.len() + source.len() + AROUND_BYTES
}

/// Hands over one record, as soon as there is room.
pub(super) fn send(
    sink: &Sink,
    slot: u32,
    event: u32,
    topic: &Topic,
    record: &ExportRecord,
    is_alone: bool,
) -> Result<(), Failure> {
    if is_alone {
        wait_until_alone(sink)?;
        sink.flight.alone(slot, event);
    }
    let number = number(slot, event);
    loop {
        match sink.producer.send(&topic.name, record, &sink.source, number) {
            Ok(()) => break,
            Err(Unsent::Full) => pause(sink)?,
            Err(Unsent::Failed(failure)) if failure.meaning == Meaning::Refused => {
                sink.flight.alone(slot, event);
                sink.flight.reported(number, Err(failure));
                break;
            }
            Err(Unsent::Failed(failure)) => return Err(failure),
        }
    }
    if is_alone { wait_until_alone(sink) } else { Ok(()) }
}

/// Waits until nothing is on its way.
fn wait_until_alone(sink: &Sink) -> Result<(), Failure> {
    while sink.producer.n_waiting() > 0 {
        pause(sink)?;
    }
    Ok(())
}

fn pause(sink: &Sink) -> Result<(), Failure> {
    if let Some(failure) = sink.flight.failure() {
        return Err(failure);
    }
    if sink.stop.load(Ordering::Relaxed) {
        return Err(Failure {
            meaning: Meaning::Passing,
            said: "stopped while Kafka had no room".to_owned(),
        });
    }
    std::thread::sleep(PAUSE);
    Ok(())
}
