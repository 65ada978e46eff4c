//! From a batch and an event's number to an event with every field filled in.

use std::collections::HashMap;

use bytes::Bytes;

use super::Outer;
use super::computed::{command_line, event_id, network_type, of_header, of_kind};
use crate::batch::{Batch, BatchError};
use crate::event::{Event, FlatEvent, Row};
use crate::field::{Field, Place};
use crate::id::EntityId;
use crate::subject::SubjectNumber;
use crate::term::base_name;
use crate::value::Value;

/// One event with every field filled in: the batch's, the subject's, the parent's, the ancestors' and
/// the computed ones; `None` if there is no such event.
///
/// Only what belongs there is taken from a batch's columns: no host can claim another's name by a column of that field.
///
/// # Errors
/// When the batch does not decode or was not fetched as a whole.
pub fn flatten(batch: &Batch, outer: &Outer, number: u32) -> Result<Option<FlatEvent>, BatchError> {
    Flattener::new(batch, outer).event(number)
}

/// Flattens many events of one batch; what it works out for a process is kept for its next event.
#[derive(Debug)]
pub struct Flattener<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    /// What events show of their subjects, parents and ancestors.
    subjects: HashMap<SubjectNumber, Row>,
    /// What descendants show of a subject.
    ancestors: HashMap<SubjectNumber, Ancestor>,
}

/// What a process's descendants show of it.
#[derive(Clone, Debug)]
struct Ancestor {
    entity: Bytes,
    executable: Option<Bytes>,
}

impl<'a> Flattener<'a> {
    /// Starts on a batch.
    pub fn new(batch: &'a Batch, outer: &'a Outer) -> Self {
        Self { batch, outer, subjects: HashMap::new(), ancestors: HashMap::new() }
    }

    /// One event, as [`flatten`].
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn event(&mut self, number: u32) -> Result<Option<FlatEvent>, BatchError> {
        let Some((event, subject)) = self.batch.event(number)? else { return Ok(None) };
        let mut row = match subject {
            Some(subject) => self.subject(subject)?.clone(),
            None => Row::default(),
        };
        self.of_batch(&event, number, &mut row);
        of_event(&event, &mut row);
        Ok(Some(FlatEvent { row }))
    }

    /// What an event shows of its subject: the subject's own fields, its parent's and its ancestors'.
    /// Empty if there is no such subject.
    ///
    /// # Errors
    /// When the batch does not decode or its subjects were not fetched.
    pub fn subject(&mut self, number: SubjectNumber) -> Result<&Row, BatchError> {
        if !self.subjects.contains_key(&number) {
            let row = self.make_subject(number)?;
            self.subjects.insert(number, row);
        }
        Ok(self.subjects.entry(number).or_default())
    }

    fn make_subject(&mut self, number: SubjectNumber) -> Result<Row, BatchError> {
        let mut row = subject_row(self.batch, self.outer, number)?.unwrap_or_default();
        let numbers: Vec<SubjectNumber> = self.batch.subjects()?.ancestors(number).collect();
        if let Some(parent) = numbers.first() {
            let parent = subject_row(self.batch, self.outer, *parent)?.unwrap_or_default();
            for &field in Field::ALL {
                if let Place::Parent(inner) = field.place()
                    && let Some(value) = parent.get(inner)
                {
                    row.set(field, value.clone());
                }
            }
        }
        let mut ancestors = Vec::with_capacity(numbers.len());
        for number in numbers {
            ancestors.extend(self.ancestor(number)?);
        }
        let executables = || ancestors.iter().filter_map(|ancestor| ancestor.executable.clone());
        let names = executables().map(|path| path.slice_ref(base_name(&path)));
        let entities = ancestors.iter().map(|ancestor| ancestor.entity.clone());
        for (field, items) in [
            (Field::ProcessAncestorEntityId, entities.collect::<Vec<_>>()),
            (Field::ProcessAncestorName, names.collect()),
            (Field::ProcessAncestorExecutable, executables().collect()),
        ] {
            if !items.is_empty() {
                row.set(field, Value::List(items));
            }
        }
        Ok(row)
    }

    fn ancestor(&mut self, number: SubjectNumber) -> Result<Option<Ancestor>, BatchError> {
        if let Some(known) = self.ancestors.get(&number) {
            return Ok(Some(known.clone()));
        }
        let Some(entity) = entity(self.batch, self.outer, number)? else { return Ok(None) };
        let column = self.batch.subject_column(Field::ProcessExecutable)?;
        let executable = match column {
            Some(column) => column.value(number.0 as usize, self.batch.strings()?),
            None => None,
        };
        let executable = match executable {
            Some(Value::Keyword(path)) => Some(path),
            _ => None,
        };
        let ancestor = Ancestor { entity: entity.to_string().into(), executable };
        self.ancestors.insert(number, ancestor.clone());
        Ok(Some(ancestor))
    }

    fn of_batch(&self, event: &Event, number: u32, row: &mut Row) {
        let header = self.batch.header();
        row.set(Field::Timestamp, Value::Time(header.clock.timestamp(event.time)));
        row.set(Field::EventSensorTime, Value::Time(header.clock.sensor_time(event.time)));
        let id = event_id(header, self.outer, number);
        row.set(Field::EventId, Value::Keyword(id.to_string().into()));
        row.set(Field::EventSequence, id.seq);
        for field in [Field::HostBootId, Field::SensorCollection] {
            if let Some(value) = of_header(field, header) {
                row.set(field, value);
            }
        }
        for field in [Field::HostId, Field::HostName, Field::HostTags, Field::EventIngested] {
            if let Some(value) = self.outer.value(field) {
                row.set(field, value);
            }
        }
    }
}

/// One subject's own fields, those worked out from it included: what `process.*` shows of it in an event.
///
/// # Errors
/// When the batch does not decode or its subjects were not fetched.
pub fn subject_row(batch: &Batch, outer: &Outer, number: SubjectNumber) -> Result<Option<Row>, BatchError> {
    let Some(subject) = batch.subject(number)? else { return Ok(None) };
    let header = batch.header();
    let mut row = subject.row;
    row.retain(|field| field.place() == Place::Subject);
    let name = match row.get(Field::ProcessExecutable) {
        Some(Value::Keyword(path)) => Some(path.slice_ref(base_name(path))),
        _ => None,
    };
    let line = match row.get(Field::ProcessArgs) {
        Some(Value::List(args)) => command_line(args),
        _ => None,
    };
    let entity = subject.key.entity(outer.host, header.boot);
    row.set(Field::ProcessEntityId, Value::Keyword(entity.to_string().into()));
    row.set(Field::ProcessPid, u64::from(subject.key.pid));
    row.set(Field::ProcessStart, Value::Time(header.clock.timestamp(subject.key.start)));
    if let Some(name) = name {
        row.set(Field::ProcessName, name);
    }
    if let Some(line) = line {
        row.set(Field::ProcessCommandLine, line);
    }
    Ok(Some(row))
}

fn entity(batch: &Batch, outer: &Outer, number: SubjectNumber) -> Result<Option<EntityId>, BatchError> {
    Ok(batch.subjects()?.key(number).map(|key| key.entity(outer.host, batch.header().boot)))
}

fn of_event(event: &Event, row: &mut Row) {
    for (field, value) in event.row.iter() {
        if field.place() == Place::Event || field == Field::NetworkDirection {
            row.set(field, value.clone());
        }
    }
    for field in [Field::EventCategory, Field::EventAction, Field::NetworkDirection] {
        if let Some(value) = of_kind(field, event.kind) {
            row.set(field, value);
        }
    }
    let address = |field| match event.row.get(field) {
        Some(Value::Ip(address)) => Some(*address),
        _ => None,
    };
    if let Some(value) = network_type(address(Field::DestinationIp).or_else(|| address(Field::SourceIp))) {
        row.set(Field::NetworkType, value);
    }
}
