//! Which batches of segments may match.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use wire::time::WallTime;

use super::{Run, lock, number};
use crate::search::Failure;
use crate::search::examine::{Located, MEDIUM_BYTES};
use crate::store::candidates::{Place, SegmentKey};
use crate::store::directory::Entry;
use crate::store::reader::Reader;
use crate::store::slices;

/// Of so few segments the terms are read with the directories, needed or not: a second statement would cost more.
const FEW: usize = 8;

/// What was found of some segments.
#[derive(Default)]
pub(super) struct Locations {
    /// The batches that may match.
    pub(super) batches: Vec<Located>,
    /// The payloads of segments, where they were read already.
    pub(super) payloads: HashMap<SegmentKey, Bytes>,
    /// The fresh segments that are gone.
    pub(super) gone: HashSet<SegmentKey>,
}

impl Run {
    /// The batches of segments that may match, and the fresh segments that are gone.
    pub(super) async fn locate(
        &self,
        reader: &mut Reader,
        keys: &[SegmentKey],
        again: bool,
    ) -> Result<Locations, Failure> {
        let mut found = Locations::default();
        let floor = lock(&self.gather).floor();
        let (is_few, has_terms) = (keys.len() <= FEW, !self.wanted.terms.is_empty());
        let mut mixed = Vec::new();
        for (key, entries) in keys.iter().zip(self.entries(reader, keys, &mut found.payloads).await?) {
            match entries {
                // The terms of an only batch have been looked up with its segment.
                Some(entries) if entries.len() <= 1 || !has_terms => {
                    let wanted = entries.into_iter().filter(|entry| self.admits(entry, floor, again));
                    found.batches.extend(wanted.map(|entry| Located { key: *key, entry }));
                }
                None if !(is_few && has_terms) => {
                    found.gone.extend(Some(*key).filter(|key| key.place == Place::Fresh));
                }
                _ => mixed.push(*key),
            }
        }
        for (key, contents) in mixed.iter().zip(slices::contents(reader.conn()?, &mixed).await?) {
            let Some(contents) = contents else {
                found.gone.extend(Some(*key).filter(|key| key.place == Place::Fresh));
                continue;
            };
            let wanted = contents
                .entries
                .iter()
                .filter(|entry| contents.has(entry, &self.wanted.terms) && self.admits(entry, floor, again));
            found.batches.extend(wanted.map(|entry| Located { key: *key, entry: entry.clone() }));
        }
        Ok(found)
    }

    /// The directories of segments; `None` where they are gone, or are read with the terms anyway.
    async fn entries(
        &self,
        reader: &mut Reader,
        keys: &[SegmentKey],
        payloads: &mut HashMap<SegmentKey, Bytes>,
    ) -> Result<Vec<Option<Vec<Entry>>>, Failure> {
        if keys.len() <= FEW && !self.wanted.terms.is_empty() {
            return Ok(vec![None; keys.len()]);
        }
        if !self.search.reads_most() {
            return Ok(slices::directories(reader.conn()?, keys).await?);
        }
        let mut found: Vec<Option<Vec<Entry>>> = Vec::with_capacity(keys.len());
        for (key, whole) in keys.iter().zip(slices::wholes(reader.conn()?, keys, MEDIUM_BYTES).await?) {
            found.push(whole.map(|slices::Whole { entries, payload }| {
                payloads.extend(payload.map(|payload| (*key, payload)));
                entries
            }));
        }
        let fresh: Vec<usize> =
            (0..).zip(keys).filter(|(_, key)| key.place == Place::Fresh).map(|(n, _)| n).collect();
        let of_fresh: Vec<SegmentKey> = fresh.iter().filter_map(|n| keys.get(*n).copied()).collect();
        for (n, entries) in fresh.into_iter().zip(slices::directories(reader.conn()?, &of_fresh).await?) {
            if let Some(slot) = found.get_mut(n) {
                *slot = entries;
            }
        }
        Ok(found)
    }

    /// Whether a batch may match, by its times, its host, and whether it has been seen.
    fn admits(&self, entry: &Entry, floor: Option<WallTime>, again: bool) -> bool {
        entry.latest >= self.wanted.since
            && entry.earliest <= self.wanted.until
            && floor.is_none_or(|floor| entry.latest.wall() >= floor)
            && self.search.hosts.as_ref().is_none_or(|hosts| hosts.contains(&entry.stream.host))
            && !(again && lock(&self.seen).contains(&number(entry)))
    }
}
