//! Building a batch: events and their subjects in, compressed bytes out.

use bytes::Bytes;

use super::body::FirstUse;
use super::cells::{self, NO_ROW};
use super::directory::{Directory, column_type};
use super::layout::{Layout, write_table};
use super::pending::{Pools, Table};
use super::predict::{self, Bases, elapsed_cell};
use super::reference;
use super::varint::zigzag;
use super::{Header, NO_SUBJECT, Sealed, payload, recent};
use crate::event::{Event, Kind};
use crate::field::Field;
use crate::id::{BootId, Epoch, Lane, ProcessKey};
use crate::ledger::Ledger;
use crate::limits::{
    MAX_BATCH_BYTES, MAX_CELLS_PER_BATCH, MAX_EVENTS_PER_BATCH, MAX_LIST_BYTES_PER_BATCH,
    MAX_SUBJECTS_PER_BATCH,
};
use crate::subject::{Subject, SubjectNumber};
use crate::time::{BootTime, Clock};
use crate::value::Value;

/// What a batch says of itself that its events do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The run of the sensor's numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The number of its first event.
    pub first_seq: u64,
    /// The boot its events happened in.
    pub boot: BootId,
    /// When it is sealed.
    pub sealed: BootTime,
    /// What turns boot times into wall-clock times, as known now.
    pub clock: Clock,
    /// The stream's counters after its last event.
    pub ledger: Ledger,
    /// The digest of the collection by which its events were shipped; zero if the sensor has none.
    pub collection: [u8; 16],
}

/// A subject but for its fields.
struct Key {
    key: ProcessKey,
    image: u32,
    parent: Option<SubjectNumber>,
    is_new: bool,
}

/// Collects events into a batch. Keeps its memory from one batch to the next.
#[derive(Default)]
pub struct Builder {
    pools: Pools,
    keys: Vec<Key>,
    subjects: Table,
    /// Each event's kind (as its place in `groups`), time, and subject plus one.
    events: Vec<(u16, u64, u32)>,
    groups: Vec<(Kind, Table)>,
    n_cells: usize,
    first_use: FirstUse,
}

impl Builder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry to the subject table. Its parent's number must come from this builder, since the last seal.
    pub fn subject(&mut self, subject: &Subject) -> SubjectNumber {
        let number = SubjectNumber(self.keys.len() as u32);
        let Subject { key, image, parent, is_new, .. } = *subject;
        self.keys.push(Key { key, image, parent, is_new });
        self.n_cells += subject.row.iter().count() + 2;
        self.subjects.push(&subject.row, &mut self.pools);
        number
    }

    /// Gives a subject that was added since the last seal one more value, or another one than it had.
    ///
    /// # Panics
    /// In debug builds, when the value is not of the field's type.
    pub fn amend(&mut self, number: SubjectNumber, field: Field, value: &Value) {
        debug_assert_eq!(field.field_type(), value.field_type(), "value of the wrong type for {field}");
        if number.0 < self.n_subjects() {
            self.n_cells += 1;
            self.subjects.set(number.0 as usize, field, value, &mut self.pools);
        }
    }

    /// Adds the next event in sequence. Strings over [`crate::limits::MAX_STRING_BYTES`] and lists over
    /// [`crate::limits::MAX_LIST_ITEMS`] or [`crate::limits::MAX_LIST_BYTES`] are cut.
    pub fn push(&mut self, event: &Event, subject: Option<SubjectNumber>) {
        let place = match self.groups.iter().position(|(kind, _)| *kind == event.kind) {
            Some(place) => place,
            None => {
                self.groups.push((event.kind, Table::default()));
                self.groups.len() - 1
            }
        };
        self.events.push((place as u16, event.time.ns(), subject.map_or(0, |number| number.0 + 1)));
        self.n_cells += event.row.iter().count() + 2;
        if let Some((_, table)) = self.groups.get_mut(place) {
            table.push(&event.row, &mut self.pools);
        }
    }

    /// Seals what was added into a batch and starts an empty one.
    pub fn seal(&mut self, boundary: Boundary) -> Sealed {
        let times = self.events.iter().map(|(_, time, _)| BootTime::from_ns(*time));
        let header = Header {
            epoch: boundary.epoch,
            lane: boundary.lane,
            first_seq: boundary.first_seq,
            n_events: self.n_events(),
            boot: boundary.boot,
            earliest: times.clone().min().unwrap_or(boundary.sealed),
            latest: times.max().unwrap_or(boundary.sealed),
            sealed: boundary.sealed,
            clock: boundary.clock,
            ledger: boundary.ledger,
            collection: boundary.collection,
        };
        let earliest = header.earliest.ns();
        let header = header.encode();
        let payload = self.payload(&header, earliest);
        self.clear();
        Sealed { header, payload }
    }

    /// Forgets what was added.
    pub fn clear(&mut self) {
        self.pools.clear();
        self.keys.clear();
        self.subjects.clear();
        self.events.clear();
        self.groups.iter_mut().for_each(|(_, table)| table.clear());
        self.n_cells = 0;
    }

    /// How many events were added.
    pub fn n_events(&self) -> u32 {
        self.events.len() as u32
    }

    /// How many subjects were added.
    pub fn n_subjects(&self) -> u32 {
        self.keys.len() as u32
    }

    /// About how many bytes there are before compression.
    pub fn raw_bytes(&self) -> usize {
        self.pools.n_bytes() + 2 * self.n_cells
    }

    /// Whether the batch should be sealed now, as it nears what readers accept. A batch that is
    /// filled far beyond that (by half as much again) is refused by every reader.
    pub fn is_full(&self) -> bool {
        let most = |limit: u32| limit as usize / 2;
        self.events.len() >= most(MAX_EVENTS_PER_BATCH)
            || self.keys.len() >= most(MAX_SUBJECTS_PER_BATCH)
            || self.raw_bytes() >= most(MAX_BATCH_BYTES)
            || self.pools.n_list_bytes >= most(MAX_LIST_BYTES_PER_BATCH)
            || self.n_cells >= most(MAX_CELLS_PER_BATCH)
    }

    /// Lays out the tables' columns and compresses them.
    fn payload(&mut self, header: &[u8], earliest: u64) -> Bytes {
        let mut groups = std::mem::take(&mut self.groups);
        let kinds: Vec<Kind> = groups.iter().map(|(kind, _)| *kind).collect();
        groups.sort_by_key(|(kind, _)| *kind);
        groups.retain(|(_, table)| table.n_rows > 0);

        self.first_use.reset(self.pools.strings.len());
        let mut layout = Layout::default();
        self.write_events(&mut layout, &kinds, &groups, earliest);
        self.write_subjects(&mut layout, earliest);
        for (kind, table) in &mut groups {
            let lives = table.columns.iter().any(|column| column.field == Field::ProcessDurationNs);
            let place = kinds.iter().position(|other| other == kind).filter(|_| lives);
            let bases = Bases::of_group(place.map_or(Vec::new(), |place| self.elapsed(place as u16)));
            write_table(&mut layout, table, bases, &mut self.first_use, &self.pools);
            layout.end_table();
        }

        let mut strings = Layout::default();
        let mut bytes = Vec::with_capacity(self.pools.strings.n_bytes() + self.pools.strings.len());
        strings.column(0, column_type::STRINGS_WITH_ZEROS, |out| {
            let order = self.first_use.order.iter().map(|&number| self.pools.strings.get(number));
            super::strings::write(out, &mut bytes, order);
        });
        strings.column(0, column_type::STRING_BYTES, |out| out.append(&mut bytes));
        strings.end_table();
        let text = strings.bytes.split_off(strings.parts.first().map_or(0, |part| part.length as usize));
        strings.append(layout);
        let directory = Directory {
            n_strings: self.first_use.order.len() as u32,
            n_subjects: self.keys.len() as u32,
            groups: groups.iter().map(|(kind, table)| (*kind, table.n_rows as u32)).collect(),
            parts: strings.parts,
            ends: strings.ends,
            blocks: Vec::new(),
        };
        self.groups = groups;
        payload::write(header, directory, &strings.bytes, &text)
    }

    /// For each event of a group the time since its subject's start, plus one.
    fn elapsed(&self, place: u16) -> Vec<u64> {
        let start =
            |subject: u32| self.keys.get(subject.wrapping_sub(1) as usize).map(|key| key.key.start.ns());
        let events = self.events.iter().filter(|event| event.0 == place);
        events.map(|&(_, time, subject)| elapsed_cell(time, start(subject))).collect()
    }

    fn write_events(&self, layout: &mut Layout, kinds: &[Kind], groups: &[(Kind, Table)], earliest: u64) {
        let places: Vec<u64> = kinds
            .iter()
            .map(|kind| groups.iter().position(|(other, _)| other == kind).unwrap_or_default() as u64)
            .collect();
        let each = |cell: &dyn Fn(&(u16, u64, u32)) -> u64| self.events.iter().map(cell).collect::<Vec<_>>();
        let group = each(&|event| places.get(usize::from(event.0)).copied().unwrap_or_default());
        layout.column(0, column_type::EVENT_GROUP, |out| cells::write(out, &group));
        layout.column(0, column_type::EVENT_TIME, |out| {
            cells::write(out, &each(&|event| event.1.wrapping_sub(earliest)))
        });
        let subjects = self.events.iter().map(|event| event.2);
        layout.column(0, column_type::EVENT_SUBJECT, |out| recent::write(out, subjects));
        layout.end_table();
    }

    fn write_subjects(&mut self, layout: &mut Layout, earliest: u64) {
        let keys = &self.keys;
        let each = |cell: &dyn Fn(&Key) -> u64| keys.iter().map(cell).collect::<Vec<_>>();
        let parents: Vec<u32> =
            keys.iter().map(|key| key.parent.map_or(NO_SUBJECT, |parent| parent.0)).collect();
        layout.column(0, column_type::PARENT, |out| {
            recent::write(out, parents.iter().map(|&parent| parent.wrapping_add(1)));
        });
        let (mut starts, mut pids) = (Vec::new(), Vec::new());
        let same =
            super::keys::write(keys.iter().map(|key| key.key), &parents, earliest, (&mut starts, &mut pids));
        layout.column(0, column_type::START, |out| out.append(&mut starts));
        layout.column(0, column_type::PID, |out| out.append(&mut pids));
        let sources = predict::of_parents(&parents).into_iter().zip(same);
        let image = |row: u32| keys.get(row as usize).map(|key| i64::from(key.image));
        let images: Vec<u64> = keys
            .iter()
            .zip(sources)
            .map(|(key, (parent, same))| {
                let beside = image(same).or_else(|| image(parent)).unwrap_or_default();
                zigzag(i64::from(key.image) - beside)
            })
            .collect();
        layout.column(0, column_type::IMAGE, |out| cells::write(out, &images));
        layout.column(0, column_type::IS_NEW, |out| cells::write(out, &each(&|key| u64::from(key.is_new))));
        self.subjects.finish();
        let references = reference::of_rows(&self.subjects);
        if let Some(references) = &references {
            let back = references
                .iter()
                .zip(0u64..)
                .map(|(&at, row)| if at == NO_ROW { 0 } else { row - u64::from(at) });
            let back: Vec<u64> = back.collect();
            layout.column(0, column_type::REFERENCE, |out| cells::write(out, &back));
        }
        let bases = Bases::of_subjects(&parents, references);
        write_table(layout, &mut self.subjects, bases, &mut self.first_use, &self.pools);
        layout.end_table();
    }
}
