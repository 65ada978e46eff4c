//! From a batch's events to records.

use wire::batch::{Batch, BatchError};
use wire::flat::Outer;
use wire::id::StreamId;

use super::native;
use super::{ExportRecord, Format, HostFacts, Located, name};
use crate::{ecs, ocsf};

/// A record is not longer than this: what a broker takes as it is set up (Kafka's `message.max.bytes` is 1 MiB). Of an event that
/// would be longer, texts and lists are cut, and the record says so.
pub const MAX_RECORD_BYTES: usize = 900 << 10;

/// How many bytes of a text, and how many items of a list, are left of an event that is too long.
const CUT: usize = 256;

/// Renders the events of one batch. What they share is written once.
#[derive(Debug)]
pub struct Renderer<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    schema: Schema<'a>,
    /// Before the sequence number in every event's id.
    id: String,
}

#[derive(Debug)]
enum Schema<'a> {
    Ocsf(Box<ocsf::Renderer<'a>>),
    Ecs(Box<ecs::Renderer<'a>>),
    Native(Box<native::Renderer<'a>>),
}

impl<'a> Renderer<'a> {
    /// Starts on a batch, which was fetched as a whole.
    pub fn new(format: Format, batch: &'a Batch, outer: &'a Outer, facts: &'a HostFacts) -> Self {
        let header = batch.header();
        let schema = match format {
            Format::Ocsf => Schema::Ocsf(Box::new(ocsf::Renderer::new(batch, outer, facts))),
            Format::Ecs => Schema::Ecs(Box::new(ecs::Renderer::new(batch, outer, facts))),
            Format::Native => Schema::Native(Box::new(native::Renderer::new(batch, outer))),
        };
        let stream = StreamId { host: outer.host, epoch: header.epoch, lane: header.lane };
        Self { batch, outer, schema, id: format!("{stream}.") }
    }

    /// One event's record; `None` if there is no such event.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn event(&mut self, number: u32) -> Result<Option<ExportRecord>, BatchError> {
        let Some((event, subject)) = self.batch.event(number)? else { return Ok(None) };
        let header = self.batch.header();
        let sequence = header.first_seq.saturating_add(u64::from(number));
        let id = format!("{}{sequence}", self.id);
        let name = name::of(event.kind);
        let located = Located { event: &event, subject, number, sequence, id: &id, class: &name.class };
        let value = self.schema.whole_or_cut(&located)?;
        Ok(Some(ExportRecord {
            time: header.clock.timestamp(event.time),
            group: name.group,
            key: self.outer.host,
            class: name.class,
            id,
            value,
        }))
    }
}

impl Schema<'_> {
    fn whole_or_cut(&mut self, event: &Located<'_>) -> Result<Vec<u8>, BatchError> {
        let whole = match self {
            Schema::Ocsf(renderer) => renderer.event(event)?,
            Schema::Ecs(renderer) => renderer.event(event)?,
            Schema::Native(renderer) => renderer.event(event)?,
        };
        let n_bytes = whole.len();
        if n_bytes <= MAX_RECORD_BYTES {
            return Ok(whole);
        }
        match self {
            Schema::Ocsf(renderer) => renderer.cut(event, CUT, n_bytes),
            Schema::Ecs(renderer) => renderer.cut(event, CUT, n_bytes),
            Schema::Native(renderer) => renderer.cut(event, CUT, n_bytes),
        }
    }
}
