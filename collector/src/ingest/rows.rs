//! The narrow rows that a batch gives rise to. Pure.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use wire::batch::{Batch, BatchError, Column, NO_SUBJECT, address};
use wire::event::Kind;
use wire::field::Field;
use wire::id::{EntityId, HostId};
use wire::subject::SubjectNumber;
use wire::time::BootTime;

use crate::store::Stamp;
use crate::store::connection::{ConnectionRow, Side};
use crate::store::executables;
use crate::store::process::ProcessRow;

/// What stands beside a batch in the store. The time of receipt is put in when it is stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) processes: Vec<ProcessRow>,
    pub(super) connections: Vec<ConnectionRow>,
    /// What the hashes in `processes` stand for, each once.
    pub(super) executables: Vec<(i64, Bytes)>,
}

/// The rows of a batch from `host`.
pub(super) fn of_batch(host: HostId, batch: &Batch) -> Result<Rows, BatchError> {
    let mut rows = Rows::default();
    processes(host, batch, &mut rows)?;
    connections(host, batch, &mut rows.connections)?;
    Ok(rows)
}

/// A row for every subject that is named for the first time in its stream.
fn processes(host: HostId, batch: &Batch, rows: &mut Rows) -> Result<(), BatchError> {
    let header = batch.header();
    let subjects = batch.subjects()?;
    let (executable, container, user) = (
        batch.subject_column(Field::ProcessExecutable)?,
        batch.subject_column(Field::ContainerId)?,
        batch.subject_column(Field::ProcessUserId)?,
    );
    let strings = batch.strings()?;
    let mut hashes: HashMap<u32, i64> = HashMap::new();
    for number in (0..subjects.len()).map(SubjectNumber).filter(|n| subjects.is_new(*n)) {
        let (Some(key), Some(image)) = (subjects.key(number), subjects.image(number)) else { continue };
        let parent = subjects.parent(number).and_then(|parent| {
            Some((subjects.key(parent)?.entity(host, header.boot), subjects.image(parent)?))
        });
        let row = number.0 as usize;
        let executable = match keyword(executable, row) {
            None => executables::hash(b""),
            Some(n) => *hashes.entry(n).or_insert_with(|| {
                let path = strings.shared(n).unwrap_or_default();
                let hash = executables::hash(&path);
                rows.executables.push((hash, path));
                hash
            }),
        };
        rows.processes.push(ProcessRow {
            host,
            received: Stamp::default(),
            started: Stamp::floor(header.clock.timestamp(key.start)),
            entity: key.entity(host, header.boot),
            image,
            parent,
            executable,
            container: keyword(container, row).and_then(|n| strings.get(n)).map(executables::hash),
            pid: key.pid,
            user_id: match user {
                Some(Column::Uint(ids)) => ids.get(row),
                _ => None,
            },
        });
    }
    Ok(())
}

/// A row for every half of a connection that names its process and both addresses.
fn connections(host: HostId, batch: &Batch, rows: &mut Vec<ConnectionRow>) -> Result<(), BatchError> {
    let header = batch.header();
    for group in batch.groups() {
        let side = match group.kind() {
            Kind::CONNECT | Kind::SEND => Side::Connect,
            Kind::ACCEPT => Side::Accept,
            Kind::SERVE => Side::Serve,
            _ => continue,
        };
        let (subjects, strings) = (batch.subjects()?, batch.strings()?);
        let column = |field| group.column(field);
        let (source_ip, source_port) = (column(Field::SourceIp)?, column(Field::SourcePort)?);
        let (destination_ip, destination_port) =
            (column(Field::DestinationIp)?, column(Field::DestinationPort)?);
        let (source_isn, destination_isn) =
            (column(Field::NetworkSourceIsn)?, column(Field::NetworkDestinationIsn)?);
        let ip = |column: Option<&Column>, row| keyword(column, row).and_then(|n| address(strings.get(n)?));
        let port = |column, row| uint(column, row).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
        let isn = |column, row| uint(column, row).and_then(|n| u32::try_from(n).ok());
        let mut entities: HashMap<u32, (EntityId, u32)> = HashMap::new();
        for (row, (subject, time)) in group.subjects()?.into_iter().zip(group.times()?).enumerate() {
            let subject = Some(subject).filter(|n| *n != NO_SUBJECT).map(SubjectNumber);
            let who = subject.and_then(|n| Some((n, subjects.key(n)?, subjects.image(n)?)));
            let (Some((n, key, image)), Some(source), Some(destination)) =
                (who, ip(source_ip, row), ip(destination_ip, row))
            else {
                continue;
            };
            let (entity, image) =
                *entities.entry(n.0).or_insert_with(|| (key.entity(host, header.boot), image));
            rows.push(ConnectionRow {
                host,
                received: Stamp::default(),
                established: Stamp::floor(header.clock.timestamp(BootTime::from_ns(time))),
                side,
                entity,
                image,
                source: (source, port(source_port, row)),
                destination: (destination, port(destination_port, row)),
                source_isn: isn(source_isn, row),
                destination_isn: isn(destination_isn, row),
            });
        }
    }
    Ok(())
}

fn keyword(column: Option<&Column>, row: usize) -> Option<u32> {
    match column {
        Some(Column::Keyword(numbers) | Column::Ip(numbers)) => {
            numbers.get(row).copied().filter(|number| *number != 0)
        }
        _ => None,
    }
}

fn uint(column: Option<&Column>, row: usize) -> Option<u64> {
    match column {
        Some(Column::Uint(numbers)) => numbers.get(row),
        _ => None,
    }
}

/// Paths that are in `executable` already under one day, and how many new ones each host has brought.
#[derive(Debug, Default)]
pub(super) struct KnownPaths {
    day: Stamp,
    known: HashSet<i64>,
    by_host: HashMap<HostId, u32>,
}

/// The most paths one host may add in a day: then the hashes of its further ones stand for nothing.
const MAX_PATHS_PER_HOST: u32 = 20_000;
/// The most that are remembered; beyond, they are asked of the database again.
const MAX_KNOWN: usize = 1 << 20;

impl KnownPaths {
    /// Begins anew when the day changes.
    pub(super) fn at(&mut self, received: Stamp) {
        let day = received.start_of(crate::store::partitions::DAY_US);
        if day != self.day {
            *self = Self { day, ..Self::default() };
        } else if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
    }

    /// Those of a group's paths that are to be added, each once, and of no host more than it may.
    pub(super) fn wanted<'a>(
        &self,
        paths: impl Iterator<Item = (HostId, i64, &'a [u8])>,
    ) -> Vec<(HostId, i64, &'a [u8])> {
        let mut new = HashSet::new();
        let mut by_host: HashMap<HostId, u32> = HashMap::new();
        let mut wanted = Vec::new();
        for (host, hash, path) in paths {
            let before = self.by_host.get(&host).copied().unwrap_or(0);
            let n = by_host.entry(host).or_insert(before);
            if *n < MAX_PATHS_PER_HOST && !self.known.contains(&hash) && new.insert(hash) {
                *n += 1;
                wanted.push((host, hash, path));
            }
        }
        wanted
    }

    /// Notes that it was added.
    pub(super) fn added(&mut self, host: HostId, hash: i64) {
        if self.known.insert(hash) {
            *self.by_host.entry(host).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_host_cannot_fill_the_table_of_paths() {
        let (bad, good) = (HostId::new(Uuid::from_u128(1)), HostId::new(Uuid::from_u128(2)));
        let mut paths = KnownPaths::default();
        paths.at(Stamp::from_unix_us(0));
        // All at once, some of them twice, with one of another host among them.
        let many = (0..i64::from(MAX_PATHS_PER_HOST) + 10).map(|hash| (bad, hash / 2 * 3, &b"path"[..]));
        let more = (1_000_000..1_100_000).map(|hash| (bad, hash, &b"path"[..]));
        let wanted = paths.wanted(many.chain(more).chain([(good, -1, &b"path"[..])]));
        assert_eq!(wanted.len(), MAX_PATHS_PER_HOST as usize + 1);
        wanted.into_iter().for_each(|(host, hash, _)| paths.added(host, hash));
        let is_wanted = |paths: &KnownPaths, host, hash| {
            paths.wanted([(host, hash, &b"path"[..])].into_iter()).len() == 1
        };
        assert!(!is_wanted(&paths, bad, -2));
        assert!(is_wanted(&paths, good, -2));
        assert!(!is_wanted(&paths, good, 3));
        paths.at(Stamp::from_unix_us(crate::store::partitions::DAY_US));
        assert!(is_wanted(&paths, bad, -2));
    }
}
