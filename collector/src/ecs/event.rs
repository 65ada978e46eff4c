//! An event as ECS has it.

use hashbrown::HashMap;
use wire::batch::{Batch, BatchError};
use wire::event::{Event, Row};
use wire::field::Field;
use wire::flat::{Flattener, Outer};
use wire::subject::SubjectNumber;
use wire::time::WallTime;
use wire::value::Value;

use super::finding::severity;
use super::host::host;
use super::kinds;
use super::table::{MAPPED, OF_EVENT, OF_SUBJECT, PROCESS, PROCESS_OF_EVENT};
use crate::record::{HostFacts, Located};
use crate::shape::{Given, Writer, follow, is_left, is_of_events, nested};

/// Renders the events of one batch.
#[derive(Debug)]
pub struct Renderer<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    /// The members that all events have.
    host: Vec<u8>,
    escaped: Vec<Field>,
    flattener: Flattener<'a>,
    subjects: HashMap<SubjectNumber, Shown>,
    /// About how much is kept of subjects.
    n_bytes: usize,
}

/// A subject, written.
#[derive(Debug, Default)]
struct Shown {
    /// Members beside the process.
    beside: Vec<u8>,
    /// Members of the process.
    process: Vec<u8>,
    /// The fields whose texts had to be escaped.
    escaped: Vec<Field>,
}

/// What is kept of the processes of a batch, in bytes.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// The severity of a sign of an escape, or of tampering.
const HIGH: i16 = 3;

impl<'a> Renderer<'a> {
    /// Starts on a batch.
    pub fn new(batch: &'a Batch, outer: &'a Outer, facts: &HostFacts) -> Self {
        let mut to = Writer::with_capacity(512);
        host(outer, facts, Some(batch.header().boot), &mut to);
        let (host, escaped) = to.finish();
        let (flattener, subjects) = (Flattener::new(batch, outer), HashMap::new());
        Self { batch, outer, host, escaped, flattener, subjects, n_bytes: 0 }
    }

    /// An event as one JSON object.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn event(&mut self, event: &Located<'_>) -> Result<Vec<u8>, BatchError> {
        self.written(event, None)
    }

    /// The same with texts cut after `limit` bytes and lists after as many items; `vedette.event.bytes` is what the whole has.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn cut(&mut self, event: &Located<'_>, limit: usize, n_bytes: usize) -> Result<Vec<u8>, BatchError> {
        self.subjects = HashMap::new();
        let cut = self.written(event, Some((limit, n_bytes)));
        self.subjects = HashMap::new();
        cut
    }

    fn written(&mut self, event: &Located<'_>, cut: Option<(usize, usize)>) -> Result<Vec<u8>, BatchError> {
        let limit = cut.map(|(limit, _)| limit);
        if self.n_bytes > MAX_KEPT_BYTES {
            (self.subjects, self.n_bytes) = (HashMap::new(), 0);
            self.flattener = Flattener::new(self.batch, self.outer);
        }
        let nothing = Row::default();
        let row = match event.subject {
            Some(subject) => self.flattener.subject(subject)?,
            None => &nothing,
        };
        let unknown = Shown::default();
        let shown = match event.subject {
            Some(subject) => self.subjects.entry(subject).or_insert_with(|| {
                let shown = Shown::new(row, limit);
                self.n_bytes += 2 * (shown.beside.len() + shown.process.len()) + 1024;
                shown
            }),
            None => &unknown,
        };
        let computed = computed(event.event);
        let given = Given { event: Some(&computed), subject: Some(row), ..Given::default() };
        let mut json = Writer::with_capacity(4 << 10).limited(limit);
        let to = &mut json;
        to.mark_escaped(&self.escaped);
        to.mark_escaped(&shown.escaped);
        let header = self.batch.header();
        let time = header.clock.timestamp(event.event.time);
        to.raw("{");
        to.key("@timestamp");
        to.moment(time);
        about(event, given, header.clock.sensor_time(event.event.time), self.outer.received, to);
        to.splice(&self.host);
        to.splice(&shown.beside);
        let before = to.len();
        to.key("process");
        to.raw("{");
        to.raw_bytes(&shown.process);
        let any = follow(PROCESS_OF_EVENT, given, to);
        match any || !shown.process.is_empty() {
            true => to.raw("}"),
            false => to.truncate(before),
        }
        follow(OF_EVENT, given, to);
        rest(&computed, row, header.collection, cut, to);
        to.raw("}");
        Ok(json.finish().0)
    }
}

impl Shown {
    fn new(row: &Row, limit: Option<usize>) -> Self {
        let given = Given { subject: Some(row), ..Given::default() };
        let mut beside = Writer::default().limited(limit);
        follow(OF_SUBJECT, given, &mut beside);
        let mut process = Writer::with_capacity(1 << 10).limited(limit);
        follow(PROCESS, given, &mut process);
        let (process, mut escaped) = process.finish();
        let (beside, also) = beside.finish();
        escaped.extend(also);
        Self { beside, process, escaped }
    }
}

/// The event's own fields, with those that follow from its kind and its addresses.
fn computed(event: &Event) -> Row {
    let mut row = event.row.clone();
    if let Some(direction) = wire::flat::of_kind(Field::NetworkDirection, event.kind) {
        row.set(Field::NetworkDirection, direction);
    }
    row
}

/// `event`.
fn about(event: &Located<'_>, given: Given<'_>, sensed: WallTime, received: WallTime, to: &mut Writer) {
    let sorted = kinds::of(event.event.kind);
    to.key("event");
    to.raw("{");
    to.string_member("kind", sorted.event_kind);
    to.member("category", sorted.category);
    to.member("type", sorted.event_type);
    to.string_member("action", event.action());
    to.string_member("module", "vedette");
    let category = event.class.rsplit_once('.').map_or(event.class, |(category, _)| category);
    to.string_member("dataset", category);
    for (name, field) in [("outcome", Field::EventOutcome), ("reason", Field::SensorReason)] {
        if let Some(Value::Keyword(text)) = given.get(field) {
            to.key(name);
            to.text(field, text);
        }
    }
    to.string_member("id", event.id);
    to.number_member("sequence", event.sequence);
    to.key("created");
    to.moment(sensed);
    to.key("ingested");
    to.moment(received);
    if sorted.event_kind == "alert" {
        to.number_member("severity", severity(HIGH));
    }
    to.raw("}");
}

/// `vedette`: what ECS has no field for.
fn rest(event: &Row, subject: &Row, collection: [u8; 16], cut: Option<(usize, usize)>, to: &mut Writer) {
    let mut others = Row::default();
    let own = event.iter().filter(|(field, _)| is_of_events(*field));
    for (field, value) in own.chain(subject.iter()) {
        if is_left(field, value, MAPPED) {
            others.set(field, value.clone());
        }
    }
    if collection != [0; 16] {
        others.set(Field::SensorCollection, bytes::Bytes::from(hex::encode(collection)));
    }
    let before = to.len();
    to.key("vedette");
    to.raw("{");
    let mut any = nested(&others, b"", to);
    let escaped: Vec<&str> = to.escaped().iter().map(|field| field.name()).collect();
    if !escaped.is_empty() {
        any = true;
        to.key("escaped");
        to.raw("[");
        for name in escaped {
            to.comma();
            to.string(name);
        }
        to.raw("]");
    }
    if let Some((_, n_bytes)) = cut {
        any = true;
        to.number_member("untruncated_bytes", n_bytes as u64);
    }
    match any {
        true => to.raw("}"),
        false => to.truncate(before),
    }
}
