//! The rings, and the counters that number the records in them: those of this version, and what another one has left.

use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Map, MapData, MapError, RingBuf};
use tokio::io::unix::AsyncFd;

use super::ProbeError;
use super::counters::{CounterMap, Counters};
use super::doors::Door;
use super::pins::Pins;
use super::plan::{self, COUNTERS, RINGS};
use crate::record::PerClass;
use crate::sys;

/// The rings of one numbering.
pub(super) struct Rings {
    rings: PerClass<Ring>,
    counters: CounterMap,
}

impl Rings {
    /// This version's.
    pub(super) fn open(pins: &Pins) -> Result<Self, ProbeError> {
        let [process, bulk, file] = RINGS;
        let ring = |name| Ring::open(pins.map(name)?, name);
        Ok(Self {
            rings: [ring(process)?, ring(bulk)?, ring(file)?],
            counters: CounterMap::open(pins.map(COUNTERS)?)?,
        })
    }

    pub(super) fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut n_drained = 0;
        for ring in &mut self.rings {
            while n_drained < max {
                let Some(record) = ring.records.next() else { break };
                each(&record);
                n_drained += 1;
            }
        }
        n_drained
    }

    /// Returns when one of them fills.
    pub(super) async fn filling(&self) {
        let [process, bulk, file] = &self.rings;
        tokio::select! {
            Ok(mut guard) = process.wake.readable() => guard.clear_ready(),
            Ok(mut guard) = bulk.wake.readable() => guard.clear_ready(),
            Ok(mut guard) = file.wake.readable() => guard.clear_ready(),
        }
    }

    pub(super) fn counters(&self, doors: &[Door]) -> Result<Counters, ProbeError> {
        self.counters.read(doors)
    }

    pub(super) fn numbering(&self) -> u32 {
        self.counters.id()
    }
}

/// What programs of another version have left: no program writes into it any more.
pub struct Earlier {
    set: String,
    /// None where this version does not know how its records are laid out.
    rings: Option<PerClass<Ring>>,
    counters: CounterMap,
}

impl Earlier {
    /// Every such set that is pinned.
    pub(super) fn all(pins: &Pins) -> Result<Vec<Self>, ProbeError> {
        let own = pins.maps().get(COUNTERS);
        let names = pins.all()?;
        let counters = names.iter().filter(|pin| Some(*pin) != own);
        let sets = counters.filter_map(|pin| pin.strip_prefix(COUNTERS)?.strip_prefix('-'));
        let mut all: Vec<Self> = sets.map(|set| Self::open(pins, set)).collect::<Result<_, _>>()?;
        all.sort_by_key(Self::numbering);
        Ok(all)
    }

    fn open(pins: &Pins, set: &str) -> Result<Self, ProbeError> {
        let map = |name: &'static str| {
            let opened = MapData::from_pin(pins.path(&format!("{name}-{set}")));
            opened.map_err(|source: MapError| ProbeError::Map { name, source: Box::new(source) })
        };
        let [process, bulk, file] = RINGS;
        let ring = |name| Ring::open(map(name)?, name);
        let rings = match set.starts_with(&plan::records()) {
            true => Some([ring(process)?, ring(bulk)?, ring(file)?]),
            false => None,
        };
        Ok(Self { set: set.to_owned(), rings, counters: CounterMap::open(map(COUNTERS)?)? })
    }

    /// Which numbering its records have; see [`super::Probe::numbering`].
    pub fn numbering(&self) -> u32 {
        self.counters.id()
    }

    /// Whether this version can read the records that wait in it. If not, they are gaps in their sequences.
    pub fn is_readable(&self) -> bool {
        self.rings.is_some()
    }

    /// As [`super::Probe::drain`].
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        for ring in self.rings.iter_mut().flatten() {
            while let Some(record) = ring.records.next() {
                each(&record);
            }
        }
    }

    /// As [`super::Probe::counters`], without the runs that the kernel skipped: it counts those for all versions together.
    ///
    /// # Errors
    /// When the kernel refuses to read its counters.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        self.counters.read(&[])
    }

    /// Removes it, after all of it was read.
    pub(super) fn forget(&self, pins: &Pins) -> Result<(), ProbeError> {
        let of_set = |pin: &&String| pin.rsplit_once('-').is_some_and(|(_, set)| set == self.set);
        let pinned: Vec<String> = pins.all()?.iter().filter(of_set).cloned().collect();
        // What is asked for to find it goes last.
        let (counters, rings): (Vec<_>, Vec<_>) = pinned.iter().partition(|pin| pin.starts_with(COUNTERS));
        rings.into_iter().chain(counters).try_for_each(|pin| pins.forget(pin))
    }
}

/// A ring buffer, and a descriptor of its own to wait for it.
struct Ring {
    records: RingBuf<MapData>,
    wake: AsyncFd<OwnedFd>,
}

impl Ring {
    fn open(map: MapData, name: &'static str) -> Result<Self, ProbeError> {
        let records = RingBuf::try_from(Map::RingBuf(map))
            .map_err(|source| ProbeError::Map { name, source: Box::new(source) })?;
        let wake = records.as_fd().try_clone_to_owned().and_then(sys::readable);
        Ok(Self { records, wake: wake.map_err(|source| ProbeError::Wait { source })? })
    }
}
