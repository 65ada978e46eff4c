//! A field's most frequent values, counted over columns where its values stand in one.

use bytes::Bytes;
use hashbrown::HashMap;
use serde_json::Value as Json;
use wire::batch::{Batch, BatchError, Column, NO_SUBJECT};
use wire::event::{FlatEvent, Row};
use wire::field::{Field, Place};
use wire::flat::{self, Flattener, Outer};
use wire::predicate::Needs;
use wire::term::base_name;
use wire::value::Value;

/// So many distinct values are counted apart; what is rare is then given up.
const MAX_VALUES: usize = 200_000;

/// The most frequent values of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Top {
    /// The field.
    pub field: Field,
    /// Values as JSON shows them, with how many events have each; the most frequent first.
    pub values: Vec<(Json, u64)>,
    /// How many distinct values there are.
    pub n_distinct: usize,
    /// Whether there were too many values to count them all: counts are then too low rather than too high.
    pub is_approximate: bool,
}

/// Values and how many events have each.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    field: Field,
    counts: HashMap<Value, u64>,
    is_approximate: bool,
}

/// Where a field's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Host,
    Kind,
    Event(Field),
    Subject(Field, View),
    Parent(Field, View),
    /// Only in whole events.
    Event1By1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Whole,
    LastPart,
}

/// What has to be read of a batch to count a field's values; `None`: all of it.
pub(super) fn needs(field: Field, mut needs: Needs) -> Option<Needs> {
    needs.events = true;
    match source(field) {
        Source::Host | Source::Kind => {}
        Source::Event(field) => {
            needs.strings = true;
            needs.columns.push(field);
        }
        Source::Subject(..) | Source::Parent(..) => (needs.strings, needs.subjects) = (true, true),
        Source::Event1By1 => return None,
    }
    Some(needs)
}

impl Counts {
    pub(super) fn new(field: Field) -> Self {
        Self { field, counts: HashMap::new(), is_approximate: false }
    }

    /// Counts the values of these events of a batch.
    pub(super) fn take(&mut self, batch: &Batch, outer: &Outer, selected: &[u32]) -> Result<(), BatchError> {
        match source(self.field) {
            Source::Host => self.of_host(outer, selected.len() as u64),
            Source::Kind => self.of_kinds(batch, selected)?,
            Source::Event(field) => self.of_columns(batch, field, selected)?,
            Source::Subject(field, view) => {
                let counts = subject_counts(batch, selected)?;
                self.of_subjects(batch, field, view, &counts)?;
            }
            Source::Parent(field, view) => {
                let mut counts = vec![0; batch.n_subjects() as usize];
                let parents = batch.parents()?;
                for (subject, n) in subject_counts(batch, selected)?.into_iter().enumerate() {
                    let parent = parents.get(subject).filter(|parent| **parent != NO_SUBJECT);
                    if let Some(count) = parent.and_then(|parent| counts.get_mut(*parent as usize)) {
                        *count += n;
                    }
                }
                self.of_subjects(batch, field, view, &counts)?;
            }
            Source::Event1By1 => {
                let mut flattener = Flattener::new(batch, outer);
                for number in selected {
                    let event = flattener.event(*number)?;
                    if let Some(value) = event.as_ref().and_then(|event| event.row.get(self.field)) {
                        self.add(value.clone(), 1);
                    }
                }
            }
        }
        self.prune();
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Counts) {
        for (value, n) in other.counts {
            *self.counts.entry(value).or_default() += n;
        }
        self.is_approximate |= other.is_approximate;
        self.prune();
    }

    /// The most frequent values; of equally frequent ones those that sort first.
    pub(super) fn finish(self, limit: usize) -> Top {
        let n_distinct = self.counts.len();
        let mut values: Vec<(u64, String, Json)> = self
            .counts
            .into_iter()
            .map(|(value, n)| {
                let json = shown(self.field, value);
                (n, json.to_string(), json)
            })
            .collect();
        values.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        values.truncate(limit);
        let values = values.into_iter().map(|(n, _, json)| (json, n)).collect();
        Top { field: self.field, values, n_distinct, is_approximate: self.is_approximate }
    }

    /// Counts a value for `n` events; each item of a list for itself, once an event.
    fn add(&mut self, value: Value, n: u64) {
        match value {
            Value::List(mut items) => {
                items.sort_unstable();
                items.dedup();
                items.into_iter().for_each(|item| self.add(Value::Keyword(item), n));
            }
            _ if n == 0 => {}
            value => match self.counts.get_mut(&value) {
                Some(count) => *count += n,
                None => {
                    self.counts.insert(own(value), n);
                }
            },
        }
    }

    fn of_host(&mut self, outer: &Outer, n: u64) {
        match self.field {
            Field::HostId => self.add(Value::Keyword(outer.host.to_string().into()), n),
            Field::HostName => self.add(Value::Keyword(outer.host_name.clone()), n),
            _ => self.add(Value::List(outer.host_tags.clone()), n),
        }
    }

    fn of_kinds(&mut self, batch: &Batch, selected: &[u32]) -> Result<(), BatchError> {
        let selected = Chosen::new(batch, selected);
        for group in batch.groups() {
            let n = group.positions()?.iter().filter(|n| selected.has(**n)).count() as u64;
            if let Some(value) = flat::of_kind(self.field, group.kind()) {
                self.add(value, n);
            }
        }
        Ok(())
    }

    fn of_columns(&mut self, batch: &Batch, field: Field, selected: &[u32]) -> Result<(), BatchError> {
        let selected = Chosen::new(batch, selected);
        for group in batch.groups() {
            let Some(column) = group.column(field)? else { continue };
            let rows = group.positions()?.iter().enumerate().filter(|(_, n)| selected.has(**n));
            self.of_column(batch, column, View::Whole, rows.map(|(row, _)| (row, 1)))?;
        }
        Ok(())
    }

    fn of_subjects(
        &mut self,
        batch: &Batch,
        field: Field,
        view: View,
        counts: &[u64],
    ) -> Result<(), BatchError> {
        let Some(column) = batch.subject_column(field)? else { return Ok(()) };
        self.of_column(batch, column, view, counts.iter().copied().enumerate())
    }

    /// Counts a column's rows, each for so many events.
    fn of_column(
        &mut self,
        batch: &Batch,
        column: &Column,
        view: View,
        rows: impl Iterator<Item = (usize, u64)>,
    ) -> Result<(), BatchError> {
        let strings = batch.strings()?;
        if let Column::Keyword(numbers) = column {
            // Each distinct string is looked at once.
            let mut counts = vec![0u64; strings.len() as usize + 1];
            for (row, n) in rows {
                if let Some(count) = numbers.get(row).and_then(|number| counts.get_mut(*number as usize)) {
                    *count += n;
                }
            }
            for (number, n) in (0..).zip(counts).skip(1).filter(|(_, n)| *n > 0) {
                if let Some(text) = strings.shared(number) {
                    self.add(Value::Keyword(view.of(text)), n);
                }
            }
            return Ok(());
        }
        for (row, n) in rows.filter(|(_, n)| *n > 0) {
            if let Some(value) = column.value(row, strings) {
                self.add(value, n);
            }
        }
        Ok(())
    }

    /// Gives up the rarer half when there are too many.
    fn prune(&mut self) {
        if self.counts.len() <= MAX_VALUES {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.counts.retain(|_, n| *n > median);
        self.is_approximate = true;
    }
}

impl View {
    fn of(self, text: Bytes) -> Bytes {
        match self {
            View::Whole => text,
            View::LastPart => text.slice_ref(base_name(&text)),
        }
    }
}

/// The same with memory of its own: a slice of a batch's strings would keep all of them.
fn own(value: Value) -> Value {
    match value {
        Value::Keyword(text) => Value::Keyword(Bytes::copy_from_slice(&text)),
        value => value,
    }
}

fn source(field: Field) -> Source {
    let of_subject = |field: Field| match field {
        Field::ProcessName => Some((Field::ProcessExecutable, View::LastPart)),
        field if field.place() == Place::Subject => Some((field, View::Whole)),
        _ => None,
    };
    match (field, field.place()) {
        (Field::HostId | Field::HostName | Field::HostTags, _) => Source::Host,
        (Field::EventCategory | Field::EventAction, _) => Source::Kind,
        (_, Place::Event) => Source::Event(field),
        (_, Place::Parent(inner)) => match of_subject(inner) {
            Some((field, view)) => Source::Parent(field, view),
            None => Source::Event1By1,
        },
        _ => match of_subject(field) {
            Some((field, view)) => Source::Subject(field, view),
            None => Source::Event1By1,
        },
    }
}

/// How many of these events each subject has.
fn subject_counts(batch: &Batch, selected: &[u32]) -> Result<Vec<u64>, BatchError> {
    let subjects = batch.event_subjects()?;
    let mut counts = vec![0; batch.n_subjects() as usize];
    for number in selected {
        let subject = subjects.get(*number as usize).filter(|subject| **subject != NO_SUBJECT);
        if let Some(count) = subject.and_then(|subject| counts.get_mut(*subject as usize)) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// A value as an event's JSON shows it; of a list, one item.
fn shown(field: Field, value: Value) -> Json {
    let value = match value {
        Value::Keyword(item) if field.field_type() == wire::value::FieldType::KeywordList => {
            Value::List(vec![item])
        }
        value => value,
    };
    let is_list = matches!(value, Value::List(_));
    let json = FlatEvent { row: Row::default().with(field, value) }.to_json();
    let json = field.name().split('.').try_fold(&json, |json, name| json.get(name));
    let json = if is_list { json.and_then(|items| items.get(0)) } else { json };
    json.cloned().unwrap_or_default()
}

/// Some of a batch's events, to ask for each whether it is among them.
struct Chosen(Option<wire::batch::Bitmap>);

impl Chosen {
    fn new(batch: &Batch, selected: &[u32]) -> Self {
        if selected.len() == batch.n_events() as usize {
            return Self(None);
        }
        let mut bits = wire::batch::Bitmap::new(batch.n_events() as usize);
        selected.iter().for_each(|n| bits.set(*n as usize));
        Self(Some(bits))
    }

    fn has(&self, number: u32) -> bool {
        self.0.as_ref().is_none_or(|bits| bits.get(number as usize))
    }
}
