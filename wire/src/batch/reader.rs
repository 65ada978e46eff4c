//! Reading a batch: nothing is decompressed before it is asked for, and then only once.

use std::sync::OnceLock;

use bytes::Bytes;

use super::column::Column;
use super::dictionary::Dictionaries;
use super::directory::{
    COLUMNS_BLOCK, Directory, EVENTS, GROUPS, STRINGS, STRINGS_BLOCK, SUBJECTS, column_type,
};
use super::error::{BatchError, bounded};
use super::events::{self, Events, NO_SUBJECT};
use super::group::Group;
use super::payload::{self, Opened};
use super::spans::PartSpans;
use super::strings::Strings;
use super::subjects::{self, Subjects};
use super::sum::Content;
use super::{Header, Sealed};
use crate::event::Event;
use crate::field::Field;
use crate::id::ProcessKey;
use crate::limits::{MAX_FRAME_BYTES, MAX_LIST_BYTES_PER_BATCH};
use crate::subject::{Subject, SubjectNumber};
use crate::time::BootTime;

mod columns;
mod parts;

/// A batch being read. Its parts are decompressed and decoded on first use and kept.
#[derive(Debug)]
pub struct Batch {
    pub(super) header: Header,
    pub(super) directory: Directory,
    /// Where the blocks begin in the payload.
    blocks_at: u32,
    payload_len: u32,
    /// In a payload of a whole: its directory and columns, and what its strings are decompressed with.
    whole: Option<(Bytes, Option<Dictionaries>)>,
    /// What was fetched of the payload, with where it begins, ascending.
    slices: Vec<(u32, Bytes)>,
    blocks: Vec<OnceLock<Bytes>>,
    columns: Vec<OnceLock<Column>>,
    strings: OnceLock<Strings>,
    events: OnceLock<Events>,
    event_subjects: OnceLock<Vec<u32>>,
    times: OnceLock<Vec<u64>>,
    subjects: OnceLock<Subjects>,
    parents: OnceLock<Vec<u32>>,
    /// For each subject and, by column, for each row: the row that predicts it.
    by_parent: OnceLock<Vec<u32>>,
    references: OnceLock<Vec<u32>>,
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
        let whole = whole.map(|whole| {
            if let Some(block) = blocks.get(COLUMNS_BLOCK) {
                let _ = block.set(whole.columns);
            }
            (whole.raw, whole.dictionaries)
        });
        let columns = directory.parts.iter().map(|_| OnceLock::new()).collect();
        let by_column = directory.parts.iter().map(|_| OnceLock::new()).collect();
        Ok(Self {
            header,
            directory,
            blocks_at,
            payload_len,
            whole,
            slices,
            blocks,
            columns,
            strings: OnceLock::new(),
            events: OnceLock::new(),
            event_subjects: OnceLock::new(),
            times: OnceLock::new(),
            subjects: OnceLock::new(),
            parents: OnceLock::new(),
            by_parent: OnceLock::new(),
            references: OnceLock::new(),
            by_column,
        })
    }

    /// Checks everything that can be checked: the sum, and that every part decodes. What ingest does
    /// before it stores a batch.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn validate(sealed: &Sealed) -> Result<Self, BatchError> {
        bounded("payload size", sealed.payload.len() as u64, MAX_FRAME_BYTES)?;
        let batch = Self::open(sealed)?;
        let content = match &batch.whole {
            Some((columns, _)) => {
                let text = batch.block(STRINGS_BLOCK, "strings")?;
                Some(Content { columns, text })
            }
            None => None,
        };
        payload::verify(&sealed.header, &sealed.payload, content)?;
        batch.strings()?;
        batch.subjects()?;
        batch.events()?;
        batch.event_subjects()?;
        batch.times()?;
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
            let columns = subjects::Columns {
                start: column(column_type::START)?,
                pid: column(column_type::PID)?,
                image: column(column_type::IMAGE)?,
                is_new: column(column_type::IS_NEW)?,
            };
            let (earliest, parents) = (self.header.earliest.ns(), self.parents()?);
            Subjects::read(earliest, parents.to_vec(), &columns).map_err(|flaw| flaw.within(part))
        })
    }

    /// Every subject's parent; [`super::NO_SUBJECT`] where it has none. Hostile batches may hold cycles.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn parents(&self) -> Result<&[u32], BatchError> {
        let part = "subjects";
        let parents = cached(&self.parents, || {
            let column = self.structural(SUBJECTS, column_type::PARENT, part)?;
            subjects::parents(&column, self.directory.n_subjects).map_err(|flaw| flaw.within(part))
        })?;
        Ok(parents)
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

    /// Every event's group.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn events(&self) -> Result<&Events, BatchError> {
        let part = "events";
        cached(&self.events, || {
            let group = self.structural(EVENTS, column_type::EVENT_GROUP, part)?;
            Events::read(&self.directory, &self.header, &group).map_err(|flaw| flaw.within(part))
        })
    }

    /// Each event's subject number, by event number; [`super::NO_SUBJECT`] where it has none.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn event_subjects(&self) -> Result<&[u32], BatchError> {
        let part = "events";
        let subjects = cached(&self.event_subjects, || {
            let subject = self.structural(EVENTS, column_type::EVENT_SUBJECT, part)?;
            events::subjects(&subject, self.header.n_events as usize, self.directory.n_subjects)
                .map_err(|flaw| flaw.within(part))
        })?;
        Ok(subjects)
    }

    /// Each event's time on the boot clock, in ns, by event number.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn times(&self) -> Result<&[u64], BatchError> {
        let part = "events";
        let times = cached(&self.times, || {
            let time = self.structural(EVENTS, column_type::EVENT_TIME, part)?;
            let earliest = self.header.earliest.ns();
            let each = |after| Ok(earliest.wrapping_add(after));
            events::all(&time, self.header.n_events as usize, each).map_err(|flaw| flaw.within(part))
        })?;
        Ok(times)
    }

    /// One event, materialised, and its subject; `None` if there is no such event.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn event(&self, number: u32) -> Result<Option<(Event, Option<SubjectNumber>)>, BatchError> {
        let Some((place, row)) = self.events()?.locate(number) else { return Ok(None) };
        let group = Group { batch: self, place };
        let time = BootTime::from_ns(self.times()?.get(number as usize).copied().unwrap_or_default());
        let event = Event { time, kind: group.kind(), row: group.row(row)? };
        let subject = self.event_subjects()?.get(number as usize).copied();
        Ok(Some((event, subject.filter(|&subject| subject != NO_SUBJECT).map(SubjectNumber))))
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
        PartSpans::new(&self.directory, self.blocks_at, self.whole.as_ref().map(|_| self.payload_len))
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
