//! Reading a batch: nothing is decompressed before it is asked for, and then only once.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;

use super::block;
use super::body::{self, Rows};
use super::cells::{Predicted, last_alike};
use super::column::Column;
use super::directory::{
    Directory, ELAPSED_BASE, EVENTS, GROUPS, PARENT_BASE, Part, STRINGS, SUBJECTS, column_type,
};
use super::error::{BatchError, bounded};
use super::events::Events;
use super::group::Group;
use super::payload::{self, Opened};
use super::predict::{elapsed_cell, of_parents};
use super::spans::PartSpans;
use super::strings::Strings;
use super::subjects::Subjects;
use super::{Header, Sealed};
use crate::event::Event;
use crate::field::Field;
use crate::id::ProcessKey;
use crate::limits::{MAX_FRAME_BYTES, MAX_LIST_BYTES_PER_BATCH};
use crate::subject::{Subject, SubjectNumber};
use crate::time::BootTime;
use crate::value::FieldType;

/// A batch being read. Its parts are decompressed and decoded on first use and kept.
#[derive(Debug)]
pub struct Batch {
    pub(super) header: Header,
    pub(super) directory: Directory,
    /// Where the blocks begin in the payload.
    blocks_at: u32,
    payload_len: u32,
    whole: bool,
    /// What was fetched of the payload, with where it begins, ascending.
    slices: Vec<(u32, Bytes)>,
    blocks: Vec<OnceLock<Bytes>>,
    columns: Vec<OnceLock<Column>>,
    strings: OnceLock<Strings>,
    events: OnceLock<Events>,
    subjects: OnceLock<Subjects>,
    /// For each subject and, by column, for each row: the row that predicts it.
    by_parent: OnceLock<Vec<u32>>,
    by_column: Vec<OnceLock<Vec<u32>>>,
}

impl Batch {
    /// Reads header and directory; limits are checked, nothing else is decompressed.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn open(sealed: &Sealed) -> Result<Self, BatchError> {
        let payload_len = bounded("payload size", sealed.payload.len() as u64, MAX_FRAME_BYTES)?;
        Self::from_parts(&sealed.header, payload_len, vec![(0, sealed.payload.clone())])
    }

    /// The same from slices of the payload, each with where it begins. The first must hold at
    /// least [`PartSpans::directory`]; a part that lies in none of them is answered with
    /// [`BatchError::NotFetched`] when it is asked for.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn from_parts(
        header: &[u8],
        payload_len: u32,
        slices: Vec<(u32, Bytes)>,
    ) -> Result<Self, BatchError> {
        let header = Header::decode(header)?;
        let prefix = slices.iter().find(|(start, _)| *start == 0).map_or(&[][..], |(_, bytes)| bytes);
        let Opened { directory, blocks_at, whole } = payload::open(prefix, payload_len, header.n_events)?;
        let blocks: Vec<OnceLock<Bytes>> = directory.blocks.iter().map(|_| OnceLock::new()).collect();
        let is_whole = whole.is_some();
        if let (Some(bytes), Some(block)) = (whole, blocks.first()) {
            let _ = block.set(bytes);
        }
        let columns = directory.parts.iter().map(|_| OnceLock::new()).collect();
        let by_column = directory.parts.iter().map(|_| OnceLock::new()).collect();
        Ok(Self {
            header,
            directory,
            blocks_at,
            payload_len,
            whole: is_whole,
            slices,
            blocks,
            columns,
            strings: OnceLock::new(),
            events: OnceLock::new(),
            subjects: OnceLock::new(),
            by_parent: OnceLock::new(),
            by_column,
        })
    }

    /// Checks everything that can be checked: the checksum, and that every part decodes. What ingest does
    /// before it stores a batch.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn validate(sealed: &Sealed) -> Result<Self, BatchError> {
        bounded("payload size", sealed.payload.len() as u64, MAX_FRAME_BYTES)?;
        payload::verify(&sealed.header, &sealed.payload)?;
        let batch = Self::open(sealed)?;
        batch.strings()?;
        batch.subjects()?;
        batch.events()?;
        let mut n_list_bytes = 0;
        for (place, part) in batch.directory.parts.iter().enumerate() {
            match part.field() {
                Some(_) => {
                    if let Column::List(lists) = batch.column_at(place)? {
                        n_list_bytes += lists.n_bytes(batch.strings()?)?;
                        bounded("size of all lists", n_list_bytes, MAX_LIST_BYTES_PER_BATCH)?;
                    }
                }
                None => drop(batch.bytes(part, "unknown column")?),
            }
        }
        Ok(batch)
    }

    /// What is said of it without decompressing anything.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many events it holds.
    pub fn n_events(&self) -> u32 {
        self.header.n_events
    }

    /// Its distinct strings.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn strings(&self) -> Result<&Strings, BatchError> {
        let part = "strings";
        cached(&self.strings, || {
            let with_zeros = self.structural(STRINGS, column_type::STRINGS_WITH_ZEROS, part)?;
            let bytes = self.structural(STRINGS, column_type::STRING_BYTES, part)?;
            Strings::read(self.directory.n_strings, &with_zeros, bytes).map_err(|flaw| flaw.within(part))
        })
    }

    /// How many entries its subject table has.
    pub fn n_subjects(&self) -> u32 {
        self.directory.n_subjects
    }

    /// Who its subjects are: key, image, parent. Their fields are [`Batch::subject_column`]s.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn subjects(&self) -> Result<&Subjects, BatchError> {
        let part = "subjects";
        cached(&self.subjects, || {
            let column = |column_type| self.structural(SUBJECTS, column_type, part);
            let start = column(column_type::START)?;
            let pid = column(column_type::PID)?;
            let image = column(column_type::IMAGE)?;
            let parent = column(column_type::PARENT)?;
            let is_new = column(column_type::IS_NEW)?;
            let n = self.directory.n_subjects as usize;
            Subjects::read(n, &start, &pid, &image, &parent, &is_new).map_err(|flaw| flaw.within(part))
        })
    }

    /// A field of its subjects, by subject number; `None` if no subject has it.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn subject_column(&self, field: Field) -> Result<Option<&Column>, BatchError> {
        self.column(SUBJECTS, field)
    }

    /// One group for each kind of event it holds, by kind. Kinds unknown to this version are among them.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        (0..self.directory.groups.len()).map(|place| Group { batch: self, place })
    }

    /// What every event has: its group, time and subject.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn events(&self) -> Result<&Events, BatchError> {
        let part = "events";
        cached(&self.events, || {
            let column = |column_type| self.structural(EVENTS, column_type, part);
            let group = column(column_type::EVENT_GROUP)?;
            let time = column(column_type::EVENT_TIME)?;
            let subject = column(column_type::EVENT_SUBJECT)?;
            Events::read(&self.directory, self.header.n_events as usize, &group, &time, &subject)
                .map_err(|flaw| flaw.within(part))
        })
    }

    /// One event, materialised, and its subject; `None` if there is no such event.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn event(&self, number: u32) -> Result<Option<(Event, Option<SubjectNumber>)>, BatchError> {
        let events = self.events()?;
        let Some((place, row)) = events.locate(number) else { return Ok(None) };
        let group = Group { batch: self, place };
        let time = BootTime::from_ns(events.times().get(number as usize).copied().unwrap_or_default());
        let event = Event { time, kind: group.kind(), row: group.row(row)? };
        Ok(Some((event, events.subject(number))))
    }

    /// One subject, materialised; `None` if there is no such subject.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn subject(&self, number: SubjectNumber) -> Result<Option<Subject>, BatchError> {
        let subjects = self.subjects()?;
        let Some(key): Option<ProcessKey> = subjects.key(number) else { return Ok(None) };
        Ok(Some(Subject {
            key,
            image: subjects.image(number).unwrap_or_default(),
            parent: subjects.parent(number),
            is_new: subjects.is_new(number),
            row: self.row(SUBJECTS, number.0 as usize)?,
        }))
    }

    /// Where its parts lie in the payload, so that a store can fetch only some of them.
    pub fn spans(&self) -> PartSpans {
        PartSpans::new(&self.directory, self.blocks_at, self.whole.then_some(self.payload_len))
    }

    pub(super) fn column(&self, table: usize, field: Field) -> Result<Option<&Column>, BatchError> {
        let range = self.directory.table_range(table);
        let number = u32::from(field.number());
        let place = self.directory.table(table).iter().position(|part| part.id == number);
        place.map(|place| self.column_at(range.start + place)).transpose()
    }

    pub(super) fn row(&self, table: usize, row: usize) -> Result<crate::event::Row, BatchError> {
        let mut values = crate::event::Row::default();
        for place in self.directory.table_range(table) {
            let field = self.directory.parts.get(place).and_then(Part::field);
            let Some(field) = field else { continue };
            if let Some(value) = self.column_at(place)?.value(row, self.strings()?) {
                values.set(field, value);
            }
        }
        Ok(values)
    }

    fn column_at(&self, place: usize) -> Result<&Column, BatchError> {
        let (Some(cell), Some(part)) = (self.columns.get(place), self.directory.parts.get(place)) else {
            return Err(BatchError::Malformed { part: "directory", reason: "it has no such column" });
        };
        cached(cell, || {
            let name = part.field().map_or("unknown column", Field::name);
            let Some(field) = part.field() else {
                return Err(BatchError::Malformed { part: name, reason: "its field is unknown" });
            };
            let table = self.directory.ends.partition_point(|&end| end as usize <= place);
            let numbers;
            let predicted = match part.base {
                None => None,
                Some(ELAPSED_BASE) if table >= GROUPS && field.field_type() == FieldType::Uint => {
                    numbers = self.elapsed(table - GROUPS)?;
                    Some(Predicted::Numbers(&numbers))
                }
                Some(base) => Some(Predicted::Rows(self.sources(table, place, base, name)?)),
            };
            let n_rows = self.directory.n_rows(table, self.header.n_events) as usize;
            let body = self.bytes(part, name)?;
            let rows = Rows { n_rows, predicted };
            body::read(field.field_type(), &body, rows, self.directory.n_strings)
                .map_err(|flaw| flaw.within(name))
        })
    }

    /// For each row of a group the time since its subject's start, as a cell.
    fn elapsed(&self, group: usize) -> Result<Vec<u64>, BatchError> {
        let (events, subjects) = (self.events()?, self.subjects()?);
        let times = events.times();
        let cell = |&at: &u32| {
            let time = times.get(at as usize).copied().unwrap_or_default();
            let start =
                events.subject(at).and_then(|subject| subjects.starts().get(subject.0 as usize).copied());
            elapsed_cell(time, start)
        };
        Ok(events.positions(group).iter().map(cell).collect())
    }

    /// For each row of a table the row that predicts it by this base; only columns before `place` can be one.
    fn sources(
        &self,
        table: usize,
        place: usize,
        base: u32,
        name: &'static str,
    ) -> Result<&[u32], BatchError> {
        if base == PARENT_BASE && table == SUBJECTS {
            return Ok(cached(&self.by_parent, || Ok(of_parents(self.subjects()?.parents())))?);
        }
        let range = self.directory.table_range(table);
        let at = self.directory.table(table).iter().position(|part| part.id == base);
        let at = at.map(|at| range.start + at).filter(|&at| at < place);
        let (Some(at), true) = (at, base != PARENT_BASE) else {
            return Err(BatchError::Malformed { part: name, reason: "its base is no column before it" });
        };
        let missing = BatchError::Malformed { part: name, reason: "its base is no column before it" };
        cached(self.by_column.get(at).ok_or(missing)?, || {
            let (rows, most) = match self.column_at(at)? {
                Column::Keyword(rows) | Column::Ip(rows) => (&rows[..], self.directory.n_strings),
                Column::List(lists) => (lists.rows(), lists.n_distinct()),
                _ => {
                    return Err(BatchError::Malformed {
                        part: name,
                        reason: "its base is not a column of strings",
                    });
                }
            };
            Ok(last_alike(rows, most as usize, rows.len()))
        })
        .map(Vec::as_slice)
    }

    /// The bytes of a column that every batch has.
    fn structural(&self, table: usize, column_type: u8, name: &'static str) -> Result<Bytes, BatchError> {
        let parts = self.directory.table(table);
        let part = parts.iter().find(|part| part.id == 0 && part.column_type == column_type);
        let part =
            part.ok_or(BatchError::Malformed { part: name, reason: "a column every batch has is missing" })?;
        self.bytes(part, name)
    }

    /// A column's bytes, decompressed.
    pub(super) fn bytes(&self, part: &Part, name: &'static str) -> Result<Bytes, BatchError> {
        let block = self.block(part.block as usize, name)?;
        let range = part.offset as usize..part.offset as usize + part.length as usize;
        if range.end > block.len() {
            return Err(BatchError::Malformed { part: name, reason: "it ends beyond its block" });
        }
        Ok(block.slice(range))
    }

    fn block(&self, place: usize, name: &'static str) -> Result<&Bytes, BatchError> {
        let missing = BatchError::Malformed { part: name, reason: "its block is missing" };
        let (Some(cell), Some(block)) = (self.blocks.get(place), self.directory.blocks.get(place)) else {
            return Err(missing);
        };
        cached(cell, || {
            let before = self.directory.blocks.iter().take(place).map(|block| block.stored).sum::<u32>();
            let start = self.blocks_at + before;
            let stored = self.fetched(start..start + block.stored, name)?;
            if block.stored == block.raw {
                return Ok(stored);
            }
            Ok(block::decompress(name, &stored, block.raw as usize, None)?.into())
        })
    }

    fn fetched(&self, range: Range<u32>, part: &'static str) -> Result<Bytes, BatchError> {
        for (start, bytes) in &self.slices {
            let end = start.saturating_add(bytes.len() as u32);
            if *start <= range.start && range.end <= end {
                return Ok(bytes.slice((range.start - start) as usize..(range.end - start) as usize));
            }
        }
        Err(BatchError::NotFetched { part, start: range.start, end: range.end })
    }
}

/// The table of a group.
pub(super) const fn table_of(group: usize) -> usize {
    GROUPS + group
}

fn cached<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, BatchError>) -> Result<&T, BatchError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}
