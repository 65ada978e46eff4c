//! What the batches tell of a tree's processes: arguments, users, containers.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use wire::batch::Batch;
use wire::field::Field;
use wire::flat::subject_row;
use wire::id::{EntityId, HostId};
use wire::subject::SubjectNumber;
use wire::value::Value;

use super::forest::{Node, Notice};
use crate::search::Fleet;
use crate::store::candidates::{self, SegmentKey};
use crate::store::directory::Entry;
use crate::store::reader::Reader;
use crate::store::{Group, Stamp, StoreError, executables, slices};

/// So many commits are looked into at most: those of ancestors and of the first descendants.
const MAX_COMMITS: usize = 200;
/// So many bytes of batches are read for one commit at most.
const MAX_BYTES: u64 = 32 << 20;

/// Fills in the nodes' fields.
pub(super) async fn add(
    reader: &mut Reader,
    fleet: &Fleet,
    host: HostId,
    nodes: &mut [Node],
    notices: &mut Vec<Notice>,
) -> Result<(), StoreError> {
    from_rows(reader, nodes).await?;
    let mut commits: BTreeMap<Stamp, Vec<usize>> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if commits.len() < MAX_COMMITS || commits.contains_key(&node.row.received) {
            commits.entry(node.row.received).or_default().push(at);
        }
    }
    let mut n_found = 0;
    for (received, places) in commits {
        let mut wanted: HashMap<(EntityId, u32), usize> = HashMap::new();
        for at in places {
            if let Some(node) = nodes.get(at) {
                wanted.insert((node.row.entity, node.row.image), at);
            }
        }
        let entries = entries(reader, host, received).await?;
        // Those of a segment in one go, as small ones may be packed together.
        for entries in entries.chunk_by(|(one, _), (other, _)| one == other) {
            if wanted.is_empty() {
                break;
            }
            let ranges: Vec<_> = entries.iter().map(|(key, entry)| (*key, entry.range())).collect();
            let read = slices::slices(reader.conn()?, &ranges).await?;
            for ((_, entry), payload) in entries.iter().zip(read) {
                let Some(payload) = payload else { continue };
                n_found += from_batch(fleet, host, entry, payload, &mut wanted, nodes);
            }
        }
    }
    if n_found < nodes.len() {
        notices.push(Notice::NoDetails(nodes.len() - n_found));
    }
    Ok(())
}

/// What the rows themselves say, for where no batch is found.
async fn from_rows(reader: &mut Reader, nodes: &mut [Node]) -> Result<(), StoreError> {
    let mut hashes: Vec<i64> = nodes.iter().map(|node| node.row.executable).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let paths = executables::paths(reader.conn()?, &hashes).await?;
    for node in nodes {
        let row = &node.row;
        let fields = &mut node.fields;
        fields.set(Field::ProcessEntityId, Value::Keyword(row.entity.to_string().into()));
        fields.set(Field::ProcessPid, u64::from(row.pid));
        fields.set(Field::ProcessStart, Value::Time(row.started.wall()));
        if let Some(user) = row.user_id {
            fields.set(Field::ProcessUserId, user);
        }
        if let Some(path) = paths.get(&row.executable).filter(|path| !path.is_empty()) {
            let name = wire::term::base_name(path).to_vec();
            fields.set(Field::ProcessExecutable, Value::Keyword(path.clone().into()));
            fields.set(Field::ProcessName, Value::Keyword(name.into()));
        }
    }
    Ok(())
}

/// The batches of a host that the commit at `received` may have brought, the likeliest first: a batch is
/// received a moment before its commit, and others may have been merged beside it.
async fn entries(
    reader: &mut Reader,
    host: HostId,
    received: Stamp,
) -> Result<Vec<(SegmentKey, Entry)>, StoreError> {
    let candidates = candidates::holding(reader.conn()?, Group::WHOLE, host, received).await?;
    let keys: Vec<SegmentKey> = candidates.iter().map(|candidate| candidate.key).collect();
    let mut found = Vec::new();
    for (key, entries) in keys.iter().zip(slices::directories(reader.conn()?, &keys).await?) {
        let of_host = |entry: &Entry| entry.stream.host == host && entry.received <= received;
        found.extend(entries.into_iter().flatten().filter(of_host).map(|entry| (*key, entry)));
    }
    found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.received));
    let mut n_bytes = 0;
    let fits = |(_, entry): &(SegmentKey, Entry)| {
        n_bytes += u64::from(entry.payload_len);
        n_bytes <= MAX_BYTES
    };
    Ok(found.into_iter().take_while(fits).collect())
}

/// Takes what a batch tells of the wanted processes; returns of how many.
fn from_batch(
    fleet: &Fleet,
    host: HostId,
    entry: &Entry,
    payload: Bytes,
    wanted: &mut HashMap<(EntityId, u32), usize>,
    nodes: &mut [Node],
) -> usize {
    let Ok(batch) = Batch::from_parts(&entry.head.bytes(), entry.payload_len, vec![(0, payload)]) else {
        return 0;
    };
    let Ok(subjects) = batch.subjects() else { return 0 };
    let outer = fleet.outer(host, entry.received.wall());
    let mut n_found = 0;
    for number in (0..subjects.len()).map(SubjectNumber).filter(|number| subjects.is_new(*number)) {
        let (Some(process), Some(image)) = (subjects.key(number), subjects.image(number)) else { continue };
        let Some(at) = wanted.remove(&(process.entity(host, batch.header().boot), image)) else { continue };
        if let (Some(node), Ok(Some(row))) = (nodes.get_mut(at), subject_row(&batch, &outer, number)) {
            node.fields = row;
            n_found += 1;
        }
    }
    n_found
}
