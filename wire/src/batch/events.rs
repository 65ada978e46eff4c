//! What every event has, whatever its kind: its group and its subject; its time is read apart.

use super::Header;
use super::cells;
use super::directory::Directory;
use super::error::Flaw;
use super::recent;
use super::varint::Input;
use crate::subject::SubjectNumber;

/// Stands for "no subject" in vectors of subject numbers.
pub const NO_SUBJECT: u32 = u32::MAX;

/// Every event's group and subject, by event number (from 0, in the order of the stream).
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Each event's group, and its row there.
    places: Vec<(u16, u32)>,
    subjects: Vec<u32>,
    /// The events of each group, one group after the other.
    positions: Vec<u32>,
    /// Where each group's events end in `positions`.
    ends: Vec<u32>,
}

impl Events {
    pub(super) fn read(
        directory: &Directory,
        header: &Header,
        group: &[u8],
        subject: &[u8],
    ) -> Result<Self, Flaw> {
        let n_events = header.n_events as usize;
        let mut starts = Vec::with_capacity(directory.groups.len());
        let mut end = 0;
        for (_, rows) in &directory.groups {
            starts.push(end);
            end += rows;
        }
        let mut rows = vec![0u32; directory.groups.len()];
        let places = all(group, n_events, |place| {
            let row = rows.get_mut(place as usize).ok_or(Flaw("an event is of a group there is not"))?;
            *row += 1;
            Ok((place as u16, *row - 1))
        })?;
        if rows.iter().zip(&directory.groups).any(|(found, (_, rows))| found != rows) {
            return Err(Flaw("a group does not have as many events as rows"));
        }
        let mut positions = vec![0; n_events];
        for (number, (place, row)) in places.iter().enumerate() {
            let start = starts.get(usize::from(*place)).copied().unwrap_or_default();
            if let Some(slot) = positions.get_mut((start + row) as usize) {
                *slot = number as u32;
            }
        }
        let ends = starts.iter().skip(1).copied().chain([end]).collect();
        let mut subjects = recent::read(subject, n_events, directory.n_subjects)?;
        subjects.iter_mut().for_each(|subject| *subject = subject.wrapping_sub(1));
        Ok(Self { places, subjects, positions, ends })
    }

    /// Each event's subject number; [`NO_SUBJECT`] where it has none.
    pub fn subjects(&self) -> &[u32] {
        &self.subjects
    }

    /// An event's subject.
    pub fn subject(&self, number: u32) -> Option<SubjectNumber> {
        self.subjects
            .get(number as usize)
            .filter(|&&subject| subject != NO_SUBJECT)
            .map(|&n| SubjectNumber(n))
    }

    /// An event's group (its place among [`super::Batch::groups`]) and row there.
    pub fn locate(&self, number: u32) -> Option<(usize, usize)> {
        self.places.get(number as usize).map(|&(place, row)| (usize::from(place), row as usize))
    }

    /// The numbers of a group's events, ascending: one for each row.
    pub(super) fn positions(&self, group: usize) -> &[u32] {
        let end = |group: usize| self.ends.get(group).copied().unwrap_or_default() as usize;
        let start = group.checked_sub(1).map_or(0, end);
        self.positions.get(start..end(group)).unwrap_or_default()
    }
}

/// Reads a column that has nothing but cells.
pub(super) fn all<T: Copy>(
    bytes: &[u8],
    n_rows: usize,
    each: impl FnMut(u64) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    let mut input = Input::new(bytes);
    let cells = cells::read(&mut input, n_rows, each)?;
    input.end()?;
    Ok(cells)
}
