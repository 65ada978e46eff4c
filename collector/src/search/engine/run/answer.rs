//! From what was found to events.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wire::event::FlatEvent;

use super::{Number, Run, lock, number};
use crate::search::engine::read;
use crate::search::examine::{Located, Material};
use crate::search::gather::Hit;
use crate::search::{Failure, Position};
use crate::store::candidates::{self, Candidate, Place, SegmentKey};
use crate::store::reader::Reader;
use crate::store::slices;

/// Events are read for the answer so many at a time.
const HITS_AT_ONCE: usize = 500;
/// So many batches of them are read at once.
const BATCHES_AT_ONCE: usize = 64;
/// So many bytes of batches are kept at most.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// Batches that were read whole and have something in them: so that they need not be read again.
#[derive(Default)]
pub(super) struct Kept {
    materials: HashMap<Number, Material>,
    n_bytes: usize,
}

impl Kept {
    /// Keeps them, as far as there is room.
    pub(super) fn add(&mut self, materials: Vec<Material>) {
        for material in materials {
            let n_bytes = material.located.entry.payload_len as usize;
            if self.n_bytes + n_bytes <= MAX_KEPT_BYTES {
                self.n_bytes += n_bytes;
                let material = material.alone();
                self.materials.insert(number(&material.located.entry), material);
            }
        }
    }
}

impl Run {
    /// Notes that a chunk has been looked through, and hands out, to whoever takes events while the search runs, those to
    /// which nothing newer can come any more.
    pub(super) async fn hand_out(&self, reader: &mut Reader, chunk: &[Candidate]) -> Result<(), Failure> {
        let unseen = {
            let mut frontier = self.frontier.lock().await;
            frontier.finished(chunk);
            frontier.unseen()
        };
        if !self.progress.is_followed() {
            return Ok(());
        }
        // Another worker is at it; it, the next chunk or the end brings the rest.
        let Ok(mut handed) = self.handed.try_lock() else { return Ok(()) };
        let settled = lock(&self.gather).settled(unseen.map(|stamp| stamp.wall()), *handed);
        let Some(last) = settled.last().map(|(position, _)| *position) else { return Ok(()) };
        let events = self.events(reader, settled).await?;
        self.progress.hand_out(events);
        *handed = Some(last);
        Ok(())
    }

    /// Reads what was found, in its order.
    pub(super) async fn events(
        &self,
        reader: &mut Reader,
        hits: Vec<(Position, Hit)>,
    ) -> Result<Vec<FlatEvent>, Failure> {
        let mut events = Vec::with_capacity(hits.len());
        for hits in hits.chunks(HITS_AT_ONCE) {
            let mut by_batch: HashMap<Number, Vec<(Position, Hit)>> = HashMap::new();
            for (position, hit) in hits {
                by_batch.entry(number(&hit.located.entry)).or_default().push((*position, hit.clone()));
            }
            let mut found = BTreeMap::new();
            let mut batches: Vec<_> = by_batch.into_iter().collect();
            batches.sort_unstable_by_key(|(number, _)| *number);
            for part in batches.chunks(BATCHES_AT_ONCE) {
                let mut materials = self.materials(reader, part).await?;
                let pairs =
                    part.iter().filter_map(|(number, hits)| Some((materials.remove(number)?, hits.clone())));
                found.extend(read::flattened(&self.fleet, pairs.collect()).await?);
            }
            events.extend(found.into_iter().rev().map(|(_, event)| event));
        }
        Ok(events)
    }

    /// Whole batches, from memory or the store.
    async fn materials(
        &self,
        reader: &mut Reader,
        batches: &[(Number, Vec<(Position, Hit)>)],
    ) -> Result<HashMap<Number, Material>, Failure> {
        let mut found = HashMap::new();
        let mut wanted = Vec::new();
        {
            let kept = lock(&self.kept);
            for (number, hits) in batches {
                match (kept.materials.get(number), hits.first()) {
                    (Some(material), _) => {
                        found.insert(*number, material.clone());
                    }
                    (None, Some((_, hit))) => wanted.push(whole(Arc::clone(&hit.located))),
                    (None, None) => {}
                }
            }
        }
        let (mut read, gone) = read::beginnings(reader, &self.progress, wanted).await?;
        for located in gone {
            if let Some(moved) = self.find_again(reader, &located).await? {
                read.extend(read::beginnings(reader, &self.progress, vec![whole(moved)]).await?.0);
            }
        }
        found.extend(read.into_iter().map(|material| (number(&material.located.entry), material)));
        Ok(found)
    }

    /// Where a batch is that was fresh and has been moved since.
    async fn find_again(
        &self,
        reader: &mut Reader,
        located: &Located,
    ) -> Result<Option<Arc<Located>>, Failure> {
        if located.key.place != Place::Fresh {
            return Ok(None);
        }
        let moved = candidates::moved(reader.conn()?, &self.wanted, located.key).await?;
        let keys: Vec<SegmentKey> = moved.iter().map(|candidate| candidate.key).collect();
        for (key, entries) in keys.iter().zip(slices::directories(reader.conn()?, &keys).await?) {
            let same = entries.into_iter().flatten().find(|entry| number(entry) == number(&located.entry));
            if let Some(entry) = same {
                return Ok(Some(Arc::new(Located { key: *key, entry })));
            }
        }
        Ok(None)
    }
}

fn whole(located: Arc<Located>) -> (Arc<Located>, std::ops::Range<u32>) {
    let range = 0..located.entry.payload_len;
    (located, range)
}
