//! Which process each subject is: its start and its pid, each beside those of a process near to it.
//!
//! The column of starts: for each row an anchor (two bits, see [`super::bits`]), then for each a number.
//!
//! | anchor | the number | the pid is written beside that of |
//! |---|---|---|
//! | 0 | the start after that of the row before (of the first row: itself) | that row |
//! | 1 | the start after that of the parent, which stands before it | the parent |
//! | 2 | the start after that of the last row with this anchor (of the first: after the batch's earliest event) | that row |
//! | 3 | it is the process of the row so many and one before | (not written: it is that one's) |
//!
//! Starts are differences, zigzag, that wrap around. The column of pids: those that are written, as differences,
//! zigzag, in [`super::cells`].

use super::NO_SUBJECT;
use super::bits;
use super::cells;
use super::error::Flaw;
use super::varint::{self, Input, unzigzag, zigzag};
use crate::id::ProcessKey;

const BEFORE: u64 = 0;
const PARENT: u64 = 1;
const CHAIN: u64 = 2;
const SAME: u64 = 3;

/// How far back the same process is looked for.
const SAME_WITHIN: usize = 64;

/// A process, while its neighbours are written or read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    start: u64,
    pid: u32,
}

impl Place {
    fn after(self, other: Place) -> (u64, u64) {
        let start = zigzag(self.start.wrapping_sub(other.start) as i64);
        (start, zigzag(i64::from(self.pid) - i64::from(other.pid)))
    }
}

/// Writes the two columns; `parents` has [`NO_SUBJECT`] where there is none. Returns for a row that names a process
/// again the row that named it, else [`NO_SUBJECT`].
pub(super) fn write(
    keys: impl Iterator<Item = ProcessKey>,
    parents: &[u32],
    earliest: u64,
    (starts, pids): (&mut Vec<u8>, &mut Vec<u8>),
) -> Vec<u32> {
    let places: Vec<Place> = keys.map(|key| Place { start: key.start.ns(), pid: key.pid }).collect();
    let mut chain = Place { start: earliest, pid: 0 };
    let mut before = Place::default();
    let (mut anchors, mut numbers, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    let mut again = Vec::with_capacity(places.len());
    for (row, &place) in places.iter().enumerate() {
        let earlier = places.get(row.saturating_sub(SAME_WITHIN)..row).unwrap_or_default();
        let same = earlier.iter().rev().position(|other| *other == place);
        let (anchor, (start, step)) = match same {
            Some(back) => (SAME, (back as u64, 0)),
            None => {
                let parent = parents.get(row).and_then(|&parent| earlier_row(&places, row, parent));
                let anchors = [(CHAIN, Some(chain)), (PARENT, parent), (BEFORE, Some(before))];
                let beside = anchors.into_iter().filter_map(|(anchor, at)| Some((anchor, place.after(at?))));
                let width =
                    |(_, (start, step)): &(u64, (u64, u64))| varint::width(*start) + varint::width(*step);
                beside.min_by_key(width).unwrap_or((BEFORE, place.after(before)))
            }
        };
        if anchor == CHAIN {
            chain = place;
        }
        if anchor != SAME {
            steps.push(step);
        }
        again.push(same.map_or(NO_SUBJECT, |back| (row - 1 - back) as u32));
        anchors.push(anchor);
        numbers.push(start);
        before = place;
    }
    bits::write(starts, anchors.into_iter(), 2);
    numbers.into_iter().for_each(|number| varint::put(starts, number));
    cells::write(pids, &steps);
    again
}

/// What the two columns say.
pub(super) struct Keys {
    pub(super) starts: Vec<u64>,
    pub(super) pids: Vec<u32>,
    /// For a row that names a process again the row that named it, else [`NO_SUBJECT`].
    pub(super) same: Vec<u32>,
}

/// Reads the two columns.
pub(super) fn read(starts: &[u8], pids: &[u8], parents: &[u32], earliest: u64) -> Result<Keys, Flaw> {
    let (mut starts, mut pids) = (Input::new(starts), Input::new(pids));
    // Room for the rows only once it is sure that the input can hold them.
    if parents.len() > starts.len() {
        return Err(Flaw("it has fewer values than rows"));
    }
    let mut n_pids = 0;
    let anchors = bits::read(&mut starts, parents.len(), 2, |anchor| {
        n_pids += usize::from(anchor != SAME);
        Ok(anchor)
    })?;
    let mut steps = cells::read(&mut pids, n_pids, |step| Ok(unzigzag(step)))?.into_iter();
    pids.end()?;
    let mut chain = Place { start: earliest, pid: 0 };
    let mut places: Vec<Place> = Vec::with_capacity(parents.len());
    let mut same = Vec::with_capacity(parents.len());
    for (row, (&anchor, &parent)) in anchors.iter().zip(parents).enumerate() {
        let number = starts.varint()?;
        let beside = match anchor {
            BEFORE => places.last().copied().unwrap_or_default(),
            PARENT => {
                earlier_row(&places, row, parent).ok_or(Flaw("a parent does not stand before its child"))?
            }
            CHAIN => chain,
            _ => {
                let at = row.checked_sub(1).and_then(|last| last.checked_sub(usize::try_from(number).ok()?));
                let at = at.ok_or(Flaw("a process is that of a row there is not"))?;
                places.push(places.get(at).copied().unwrap_or_default());
                same.push(at as u32);
                continue;
            }
        };
        let step = steps.next().unwrap_or_default();
        let pid = step.checked_add(i64::from(beside.pid)).and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.ok_or(Flaw("a number is over 32 bits"))?;
        let place = Place { start: beside.start.wrapping_add(unzigzag(number) as u64), pid };
        if anchor == CHAIN {
            chain = place;
        }
        places.push(place);
        same.push(NO_SUBJECT);
    }
    starts.end()?;
    let (starts, pids) = places.into_iter().map(|place| (place.start, place.pid)).unzip();
    Ok(Keys { starts, pids, same })
}

fn earlier_row(places: &[Place], row: usize, parent: u32) -> Option<Place> {
    let parent = parent as usize;
    (parent < row).then(|| places.get(parent).copied()).flatten()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::time::BootTime;

    fn check(keys: &[(u64, u32, u32)], earliest: u64) -> usize {
        let parents: Vec<u32> = keys.iter().map(|key| key.2).collect();
        let all = keys.iter().map(|&(start, pid, _)| ProcessKey { start: BootTime::from_ns(start), pid });
        let (mut starts, mut pids) = (Vec::new(), Vec::new());
        write(all, &parents, earliest, (&mut starts, &mut pids));
        let found = read(&starts, &pids, &parents, earliest).unwrap();
        assert!(keys.iter().map(|key| key.0).eq(found.starts));
        assert!(keys.iter().map(|key| key.1).eq(found.pids));
        for end in 0..starts.len() {
            assert!(read(starts.get(..end).unwrap(), &pids, &parents, earliest).is_err(), "cut at {end}");
        }
        starts.len() + pids.len()
    }

    #[test]
    fn processes_come_back() {
        check(&[], 7);
        check(&[(u64::MAX, u32::MAX, NO_SUBJECT), (0, 0, 0), (1 << 63, 5, 1), (7, 7, 9)], 1 << 62);
        let many: Vec<_> = (0..300).map(|n| ((n * 7919 % 64) << 40, n as u32 % 50, n as u32 / 2)).collect();
        check(&many, 5 << 40);
    }

    #[test]
    fn a_process_named_again_takes_a_byte() {
        let (a, b) = ((1 << 50, 70_000, NO_SUBJECT), (3 << 40, 3, NO_SUBJECT));
        let twice = check(&[a, b, a, b, a, b, a, b], 0);
        assert_eq!(twice, check(&[a, b], 0) + 6 + 1, "each a byte, and another byte of anchors");
    }

    #[test]
    fn rows_there_are_not_are_refused() {
        // The first row cannot name a process again, and no parent stands before it.
        assert!(read(&[3, 0], &[], &[NO_SUBJECT], 0).is_err());
        assert!(read(&[1, 0], &[0], &[0], 0).is_err());
        let mut back = vec![3 << 2];
        back.extend([2, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, u8::MAX, 1]);
        assert!(read(&back, &[2], &[NO_SUBJECT; 2], 0).is_err());
        assert!(read(&[0, 2, 0], &[1, 2, 3], &[NO_SUBJECT; 2], 0).is_err(), "pids below zero");
    }
}
