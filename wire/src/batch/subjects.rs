//! Who a batch's subjects are.

use bytes::Bytes;

use super::error::Flaw;
use super::events::{NO_SUBJECT, all};
use super::keys::{self, Keys};
use super::recent;
use super::varint::unzigzag;
use crate::id::ProcessKey;
use crate::limits::MAX_ANCESTORS;
use crate::subject::SubjectNumber;
use crate::time::BootTime;

/// The bytes of the columns that every subject table has, beside the parents.
pub(super) struct Columns {
    pub(super) start: Bytes,
    pub(super) pid: Bytes,
    pub(super) image: Bytes,
    pub(super) is_new: Bytes,
}

/// Key, image, parent and newness of every entry of a batch's subject table.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    starts: Vec<u64>,
    pids: Vec<u32>,
    images: Vec<u32>,
    parents: Vec<u32>,
    is_new: Vec<bool>,
}

/// Reads every entry's parent; [`NO_SUBJECT`] where it has none.
pub(super) fn parents(bytes: &[u8], n: u32) -> Result<Vec<u32>, Flaw> {
    let mut parents = recent::read(bytes, n as usize, n)?;
    parents.iter_mut().for_each(|parent| *parent = parent.wrapping_sub(1));
    Ok(parents)
}

impl Subjects {
    pub(super) fn read(earliest: u64, parents: Vec<u32>, columns: &Columns) -> Result<Self, Flaw> {
        let n = parents.len();
        let Keys { starts, pids, same } = keys::read(&columns.start, &columns.pid, &parents, earliest)?;
        let mut images: Vec<u32> = Vec::with_capacity(n);
        let steps = all(&columns.image, n, |step| Ok(unzigzag(step)))?;
        for ((step, &parent), &same) in steps.into_iter().zip(&parents).zip(&same) {
            let beside = images.get(same as usize).or_else(|| images.get(parent as usize));
            let image = step.checked_add(beside.map_or(0, |&image| i64::from(image)));
            let image = image.and_then(|image| u32::try_from(image).ok());
            images.push(image.ok_or(Flaw("a number is over 32 bits"))?);
        }
        let is_new = all(&columns.is_new, n, |number| match number {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Flaw("a truth value is neither 0 nor 1")),
        })?;
        Ok(Self { starts, pids, images, parents, is_new })
    }

    /// How many there are: valid numbers are `0..len`.
    pub fn len(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Which process it is.
    pub fn key(&self, number: SubjectNumber) -> Option<ProcessKey> {
        let at = number.0 as usize;
        Some(ProcessKey { start: BootTime::from_ns(*self.starts.get(at)?), pid: *self.pids.get(at)? })
    }

    /// Which of its images.
    pub fn image(&self, number: SubjectNumber) -> Option<u32> {
        self.images.get(number.0 as usize).copied()
    }

    /// The process that forked it.
    pub fn parent(&self, number: SubjectNumber) -> Option<SubjectNumber> {
        let parent = *self.parents.get(number.0 as usize)?;
        (parent != NO_SUBJECT).then_some(SubjectNumber(parent))
    }

    /// Whether this image is named for the first time in its stream.
    pub fn is_new(&self, number: SubjectNumber) -> bool {
        self.is_new.get(number.0 as usize).copied().unwrap_or_default()
    }

    /// Its local ancestors, the parent first: at most [`MAX_ANCESTORS`], and a cycle is cut where it closes.
    pub fn ancestors(&self, number: SubjectNumber) -> impl Iterator<Item = SubjectNumber> {
        let mut seen = vec![number];
        std::iter::from_fn(move || {
            let parent = self.parent(*seen.last()?)?;
            if seen.len() > MAX_ANCESTORS || seen.contains(&parent) {
                return None;
            }
            seen.push(parent);
            Some(parent)
        })
    }

    /// Every entry's process id.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Every entry's start on the boot clock, in ns.
    pub fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// Every entry's parent; [`NO_SUBJECT`] where it has none. Hostile batches may hold cycles.
    pub fn parents(&self) -> &[u32] {
        &self.parents
    }
}
