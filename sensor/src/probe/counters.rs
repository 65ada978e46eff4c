//! What the programs tried to emit, and what found no room.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{Array, Map, MapData};
use aya::programs::ProgramFd;
use aya::util::nr_cpus;
use sensor_bpf::event::event_counters;
use zerocopy::FromBytes;

use super::doors::Door;
use super::{Hook, ProbeError};
use crate::record::{Class, PerClass};

/// Everything counted since the programs were loaded, by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(PerClass<ClassCounters>);

/// What was counted of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassCounters {
    /// How far each sequence has come; those that were never used are left out.
    pub sequences: Vec<Sequence>,
    /// Records that had a number but found no room in the ring: gaps in the sequences.
    pub lost: u64,
    /// How many of them were not even asked room for, as no sensor had read for too long.
    pub unread: u64,
    /// Program runs that the kernel skipped, as one ran on that CPU already. They took no number,
    /// so they are in no sequence; each may have stood for one record, or none.
    pub skipped: u64,
}

/// One sequence: a [`crate::record::Place`] without its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// As in [`crate::record::Place::cpu`].
    pub cpu: u32,
    /// The number the next record gets: so many were generated.
    pub next: u64,
}

impl Counters {
    /// What was counted of this class.
    pub fn of(&self, class: Class) -> &ClassCounters {
        class.of(&self.0)
    }

    /// Program runs that the kernel skipped, of each class.
    pub fn skipped(&self) -> PerClass<u64> {
        Class::ALL.map(|class| self.of(class).skipped)
    }
}

impl ClassCounters {
    /// Records that the programs tried to emit.
    pub fn generated(&self) -> u64 {
        self.sequences.iter().map(|sequence| sequence.next).sum()
    }

    fn add_row(&mut self, cpu: u32, row: &event_counters) {
        self.lost += row.lost;
        self.unread += row.unread;
        for (level, &next) in (0..).zip(&row.generated) {
            if next > 0 {
                self.sequences.push(Sequence { cpu: cpu | level << 16, next });
            }
        }
    }
}

pub(super) struct CounterMap {
    map: Array<MapData, [u8; size_of::<event_counters>()]>,
    id: u32,
}

impl CounterMap {
    pub(super) fn open(map: MapData) -> Result<Self, ProbeError> {
        let id = map.info().map_err(failed)?.id();
        Ok(Self { map: Array::try_from(Map::Array(map)).map_err(failed)?, id })
    }

    /// The kernel's number for the map: while it is the same, numbers go on where they were.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Reads them. A class that this version does not know (another one made the map) is left out.
    pub(super) fn read(&self, doors: &[Door]) -> Result<Counters, ProbeError> {
        let mut counters = Counters::default();
        let n_cpus = nr_cpus().map_or(1, |n| n as u32).max(1);
        for (class, number) in Class::ALL.into_iter().zip(0..self.map.len() / n_cpus) {
            for cpu in 0..n_cpus {
                let bytes = self.map.get(&(number * n_cpus + cpu), 0).map_err(failed)?;
                let Ok(row) = event_counters::read_from_bytes(&bytes) else { continue };
                class.of_mut(&mut counters.0).add_row(cpu, &row);
            }
        }
        for Door { hook, program, .. } in doors {
            hook.class.of_mut(&mut counters.0).skipped += skipped_runs(hook, program)?;
        }
        Ok(counters)
    }
}

fn failed(source: aya::maps::MapError) -> ProbeError {
    ProbeError::Map { name: "counters", source: Box::new(source) }
}

/// `recursion_misses`, which the kernel shows with the program's descriptor (since 5.12).
fn skipped_runs(hook: &Hook, program: &ProgramFd) -> Result<u64, ProbeError> {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let text =
        fs::read_to_string(path).map_err(|source| ProbeError::Counters { program: hook.program, source })?;
    Ok(misses_in(&text))
}

fn misses_in(fdinfo: &str) -> u64 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_runs_are_read_from_fdinfo() {
        assert_eq!(misses_in("pos:\t0\nprog_id:\t9\nrecursion_misses:\t42\nverified_insns:\t7\n"), 42);
        assert_eq!(misses_in("pos:\t0\nprog_id:\t9\n"), 0);
    }

    #[test]
    fn nesting_levels_are_sequences_of_their_own() {
        let mut class = ClassCounters::default();
        class.add_row(3, &event_counters { generated: [5, 2, 0, 0], lost: 1, ..Default::default() });
        assert_eq!(class.sequences, [Sequence { cpu: 3, next: 5 }, Sequence { cpu: 3 | 1 << 16, next: 2 }]);
        assert_eq!((class.generated(), class.lost), (7, 1));
    }
}
