//! Bytes out of the store, and their decoding on a thread for work that blocks.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use wire::event::FlatEvent;
use wire::flat::Flattener;

use super::super::examine::{Examined, Located, Material, examine};
use super::super::gather::{Gather, Hit};
use super::super::slices::Reads;
use super::super::{Fleet, Position, Search};
use super::{Failure, Progress};
use crate::store::candidates::SegmentKey;
use crate::store::reader::Reader;
use crate::store::slices;

/// What a thread hands back.
pub(super) struct Examination {
    /// What it gathered.
    pub(super) gather: Gather,
    /// Those that were there as a whole and have events to be listed.
    pub(super) whole: Vec<Material>,
    /// What has to be read on.
    pub(super) rest: Vec<(Material, Vec<Range<u32>>)>,
}

/// The batches of segments that were read already, and the others.
pub(super) fn at_hand(
    progress: &Progress,
    batches: Vec<Located>,
    payloads: &HashMap<SegmentKey, Bytes>,
) -> (Vec<Material>, Vec<Located>) {
    let (mut materials, mut others) = (Vec::with_capacity(batches.len()), Vec::new());
    for located in batches {
        let Range { start, end } = located.entry.range();
        let bytes = payloads.get(&located.key).filter(|bytes| end as usize <= bytes.len());
        match bytes {
            Some(bytes) => {
                progress.n_bytes.fetch_add(u64::from(end - start), Ordering::Relaxed);
                let (header, slices) =
                    (located.entry.head.bytes(), vec![(0, bytes.slice(start as usize..end as usize))]);
                materials.push(Material { located: Arc::new(located), header, slices });
            }
            None => others.push(located),
        }
    }
    (materials, others)
}

/// Reads the beginnings of batches. Those whose segment is gone are handed back.
pub(super) async fn beginnings(
    reader: &mut Reader,
    progress: &Progress,
    batches: Vec<(Arc<Located>, Range<u32>)>,
) -> Result<(Vec<Material>, Vec<Arc<Located>>), Failure> {
    let wanted: Vec<(SegmentKey, Range<u32>)> = batches
        .iter()
        .map(|(located, range)| {
            let entry = &located.entry;
            (located.key, entry.offset..entry.offset.saturating_add(range.end))
        })
        .collect();
    let (mut materials, mut gone) = (Vec::with_capacity(batches.len()), Vec::new());
    for ((located, _), bytes) in batches.into_iter().zip(read(reader, progress, &wanted).await?) {
        match bytes {
            Some(prefix) => {
                let header = located.entry.head.bytes();
                materials.push(Material { located, header, slices: vec![(0, prefix)] });
            }
            None => gone.push(located),
        }
    }
    Ok((materials, gone))
}

/// Reads more of batches. Those whose segment is gone are handed back.
pub(super) async fn more(
    reader: &mut Reader,
    progress: &Progress,
    batches: Vec<(Material, Vec<Range<u32>>)>,
) -> Result<(Vec<Material>, Vec<Arc<Located>>), Failure> {
    let wanted: Vec<(SegmentKey, Range<u32>)> = batches
        .iter()
        .flat_map(|(material, ranges)| {
            let (key, start) = (material.located.key, material.located.entry.offset);
            ranges
                .iter()
                .map(move |range| (key, start.saturating_add(range.start)..start.saturating_add(range.end)))
        })
        .collect();
    let mut read = read(reader, progress, &wanted).await?.into_iter();
    let (mut materials, mut gone) = (Vec::with_capacity(batches.len()), Vec::new());
    for (mut material, ranges) in batches {
        let mut complete = true;
        for (range, bytes) in ranges.into_iter().zip(read.by_ref()) {
            match bytes {
                Some(bytes) => material.slices.push((range.start, bytes)),
                None => complete = false,
            }
        }
        // What begins at 0 stands first, the longest of it before the others: it has the directory.
        material.slices.sort_by_key(|(start, bytes)| (*start, usize::MAX - bytes.len()));
        if complete { materials.push(material) } else { gone.push(material.located) }
    }
    Ok((materials, gone))
}

async fn read(
    reader: &mut Reader,
    progress: &Progress,
    wanted: &[(SegmentKey, Range<u32>)],
) -> Result<Vec<Option<Bytes>>, Failure> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let reads = Reads::cover(wanted);
    let found = slices::slices(reader.conn()?, &reads.reads).await?;
    let n_bytes: usize = found.iter().flatten().map(|bytes| bytes.len()).sum();
    progress.n_bytes.fetch_add(n_bytes as u64, Ordering::Relaxed);
    Ok(reads.split(wanted, &found))
}

/// Looks through batches on a thread for work that blocks.
pub(super) async fn examined(
    search: &Arc<Search>,
    fleet: &Arc<Fleet>,
    progress: &Arc<Progress>,
    materials: Vec<Material>,
) -> Result<Examination, Failure> {
    let (search, fleet, progress) = (Arc::clone(search), Arc::clone(fleet), Arc::clone(progress));
    let work = move || {
        let mut gather = Gather::new(&search);
        let (mut whole, mut rest) = (Vec::new(), Vec::new());
        for material in materials {
            if progress.stopped.load(Ordering::Relaxed) {
                break;
            }
            let n_events = u64::from(material.located.entry.n_events);
            let n_listed = gather.n_listed();
            match examine(&search, &fleet, &material, &mut gather) {
                Ok(Examined::More(ranges)) => rest.push((material, ranges)),
                Ok(Examined::Done) => {
                    progress.n_batches.fetch_add(1, Ordering::Relaxed);
                    progress.n_events.fetch_add(n_events, Ordering::Relaxed);
                    if gather.n_listed() > n_listed && material.is_whole() {
                        whole.push(material);
                    }
                }
                Err(error) => {
                    progress.n_unreadable.fetch_add(1, Ordering::Relaxed);
                    let (stream, first_seq) =
                        (material.located.entry.stream, material.located.entry.first_seq);
                    tracing::error!(%stream, first_seq, %error, "a stored batch of {stream} is damaged: {error}");
                }
            }
        }
        Examination { gather, whole, rest }
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// The events of whole batches, each at its position.
pub(super) async fn flattened(
    fleet: &Arc<Fleet>,
    batches: Vec<(Material, Vec<(Position, Hit)>)>,
) -> Result<Vec<(Position, FlatEvent)>, Failure> {
    let fleet = Arc::clone(fleet);
    let work = move || {
        let mut events = Vec::new();
        for (material, hits) in batches {
            let entry = &material.located.entry;
            let outer = fleet.outer(entry.stream.host, entry.received.wall());
            // It was read to find these: what does not decode now was reported then.
            let Ok(batch) = material.open() else { continue };
            let mut flattener = Flattener::new(&batch, &outer);
            for (position, hit) in hits {
                if let Ok(Some(event)) = flattener.event(hit.number) {
                    events.push((position, event));
                }
            }
        }
        events
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}
