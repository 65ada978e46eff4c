//! What every event has, whatever its kind: its group and its subject, each read apart, and its time, which the batch reads.

use super::Header;
use super::cells;
use super::directory::Directory;
use super::error::Flaw;
use super::recent;
use super::varint::Input;

/// Stands for "no subject" in vectors of subject numbers.
pub const NO_SUBJECT: u32 = u32::MAX;

/// Every event's group, by event number (from 0, in the order of the stream).
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Each event's group.
    groups: Vec<u16>,
    /// The events of each group, one group after the other.
    positions: Vec<u32>,
    /// Where each group's events end in `positions`.
    ends: Vec<u32>,
}

impl Events {
    pub(super) fn read(directory: &Directory, header: &Header, group: &[u8]) -> Result<Self, Flaw> {
        let n_events = header.n_events as usize;
        let mut ends = Vec::with_capacity(directory.groups.len());
        let mut end = 0;
        // Where the next event of each group stands in `positions`.
        let mut next = Vec::with_capacity(directory.groups.len());
        for (_, rows) in &directory.groups {
            next.push(end);
            end += rows;
            ends.push(end);
        }
        let mut positions = vec![0; n_events];
        let mut number = 0;
        let groups = all(group, n_events, |place| {
            let (Some(at), Some(end)) = (next.get_mut(place as usize), ends.get(place as usize)) else {
                return Err(Flaw("an event is of a group there is not"));
            };
            match positions.get_mut(*at as usize) {
                Some(slot) if *at < *end => *slot = number,
                _ => return Err(Flaw("a group does not have as many events as rows")),
            }
            *at += 1;
            number += 1;
            Ok(place as u16)
        })?;
        // The directory's rows add up to the events, so that none of the groups has too few either.
        Ok(Self { groups, positions, ends })
    }

    /// An event's group (its place among [`super::Batch::groups`]) and row there.
    pub fn locate(&self, number: u32) -> Option<(usize, usize)> {
        let group = usize::from(*self.groups.get(number as usize)?);
        Some((group, self.positions(group).binary_search(&number).ok()?))
    }

    /// The numbers of a group's events, ascending: one for each row.
    pub(super) fn positions(&self, group: usize) -> &[u32] {
        let end = |group: usize| self.ends.get(group).copied().unwrap_or_default() as usize;
        let start = group.checked_sub(1).map_or(0, end);
        self.positions.get(start..end(group)).unwrap_or_default()
    }
}

/// Reads each event's subject number; [`NO_SUBJECT`] where it has none.
pub(super) fn subjects(bytes: &[u8], n_events: usize, n_subjects: u32) -> Result<Vec<u32>, Flaw> {
    let mut subjects = recent::read(bytes, n_events, n_subjects)?;
    subjects.iter_mut().for_each(|subject| *subject = subject.wrapping_sub(1));
    Ok(subjects)
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
