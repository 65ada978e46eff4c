//! The programs in the kernel: loading, attaching, pinning, reading and removing them.
//!
//! The only module that names aya. Everything is pinned from the start under
//! `/sys/fs/bpf/vedette/NAME`, so a sensor that dies leaves its programs running and its rings
//! filling, and the next one reads on where it stopped.
//!
//! - [`Probe`]: an open instance: drain, wait, count, filter, seed, unload.
//! - [`hook`]: what is attached where, and whether this kernel has it.
//! - `install`: load and pin; `pins`: the folder; `host`: what the machine must offer.
//! - [`cgroup`]: which hierarchy is read, and which subtree a sensor is confined to.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::ProgramFd;
use tokio::io::unix::AsyncFd;

use crate::sys;

pub mod cgroup;
mod counters;
mod error;
mod filter;
pub mod hook;
mod host;
mod install;
mod pins;
mod seed;
mod trial;

pub use counters::{ClassCounters, Counters, Sequence};
pub use error::ProbeError;
pub use filter::Filter;
pub use host::{KernelVersion, kernel_version};
pub use seed::OwnedImage;
pub use trial::{Need, needs, try_hooks};

use hook::{HOOKS, Hook};
use pins::Pins;

/// The longest a waiting record is left in its ring: the programs wake the sensor only when a
/// ring fills, as a wake-up costs more than a record.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an instance is called, and what it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// The pin folder's name: letters, digits, `-` and `_`. One instance a name.
    pub name: String,
    /// The control group (its directory) outside of which nothing is seen; none: all of the host.
    pub cgroup: Option<PathBuf>,
    /// Size of the ring for process life; rounded up to a power of two of at least a page.
    pub process_ring_bytes: u32,
    /// Size of the ring for everything else.
    pub bulk_ring_bytes: u32,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { name: "sensor".into(), cgroup: None, process_ring_bytes: 8 << 20, bulk_ring_bytes: 4 << 20 }
    }
}

/// An instance of the programs, loaded now or found running.
///
/// Dropping it leaves programs and rings in the kernel; [`Probe::unload`] removes them.
pub struct Probe {
    process: Ring,
    bulk: Ring,
    counters: counters::CounterMap,
    filter: filter::FilterMaps,
    programs: Vec<(&'static Hook, ProgramFd)>,
    pins: Pins,
    reopened: bool,
}

impl Probe {
    /// Opens the instance of this name: reads on where the last one stopped when its programs
    /// are of this very build and configuration, else loads them anew in its place.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When rights, kernel or BPF file system do not allow it, when another sensor runs under
    /// this name, or when the kernel refuses a required program. Each says what to do.
    pub fn open(config: &ProbeConfig) -> Result<Self, ProbeError> {
        host::require_rights()?;
        let version = host::require_kernel()?;
        host::require_bpffs()?;
        let plan = install::Plan::new(config, version)?;
        let pins = Pins::claim(&config.name)?;
        let reopened = pins.identity().is_some_and(|found| found == plan.identity());
        if !reopened {
            pins.clear()?;
            if let Err(error) = install::install(&plan, &pins) {
                // What is half there helps nobody; the first error says more than one of tidying up.
                drop(pins.remove());
                return Err(error);
            }
        }
        Self::attach_to(pins, reopened)
    }

    /// Removes every program, ring and pin of an instance that no sensor holds. True when there
    /// was one.
    ///
    /// # Errors
    /// When a sensor runs under this name, or its pins cannot be removed.
    pub fn unload_named(name: &str) -> Result<bool, ProbeError> {
        if !pins::exists(name)? {
            return Ok(false);
        }
        Pins::claim(name)?.remove()?;
        Ok(true)
    }

    /// The names under which programs are pinned.
    ///
    /// # Errors
    /// When the caller may not look.
    pub fn names() -> Result<Vec<String>, ProbeError> {
        pins::names()
    }

    /// Hands over the records that wait, those of process life first, at most `max`; returns how
    /// many there were.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut n_drained = 0;
        for ring in [&mut self.process, &mut self.bulk] {
            while n_drained < max {
                let Some(record) = ring.records.next() else { break };
                each(&record);
                n_drained += 1;
            }
        }
        n_drained
    }

    /// Waits until a look into the rings is worthwhile: a ring fills, or 100 ms passed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn ready(&self) {
        tokio::select! {
            Ok(mut guard) = self.process.wake.readable() => guard.clear_ready(),
            Ok(mut guard) = self.bulk.wake.readable() => guard.clear_ready(),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    /// What the programs tried to emit since they were loaded, and what found no room.
    ///
    /// # Errors
    /// When the kernel refuses to read its counters.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        self.counters.read(&self.programs)
    }

    /// Replaces what is left out from now on.
    ///
    /// # Errors
    /// When there are more than 1,024 entries of a kind.
    pub fn set_filter(&mut self, filter: &Filter) -> Result<(), ProbeError> {
        self.filter.set(filter)
    }

    /// The processes that live now, as the kernel has them, parents not necessarily first.
    ///
    /// # Errors
    /// When the kernel's iterator cannot be read.
    pub fn seed(&self) -> Result<Vec<OwnedImage>, ProbeError> {
        let mut all = Vec::new();
        self.seed_each(|image| all.push(image.clone()))?;
        Ok(all)
    }

    /// The same, one after another, without keeping them all in memory.
    ///
    /// # Errors
    /// When the kernel's iterator cannot be read.
    pub fn seed_each(&self, take: impl FnMut(&OwnedImage)) -> Result<(), ProbeError> {
        seed::each(&self.pins, take)
    }

    /// The optional hooks this kernel did not take.
    pub fn missing(&self) -> impl Iterator<Item = &'static Hook> {
        HOOKS.iter().filter(|hook| {
            !hook.is_iterator() && self.programs.iter().all(|(loaded, _)| loaded.program != hook.program)
        })
    }

    /// Whether the programs were already running.
    pub fn is_reopened(&self) -> bool {
        self.reopened
    }

    /// Where the instance is pinned.
    pub fn folder(&self) -> &Path {
        self.pins.folder()
    }

    /// Detaches and removes every program, ring and pin of this instance.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn unload(self) -> Result<(), ProbeError> {
        self.pins.remove()
    }

    fn attach_to(pins: Pins, reopened: bool) -> Result<Self, ProbeError> {
        let mut programs = Vec::new();
        for hook in HOOKS {
            if let Some(program) = pins.program(hook)? {
                programs.push((hook, program));
            }
        }
        Ok(Self {
            process: Ring::open(&pins, "ring_process")?,
            bulk: Ring::open(&pins, "ring_bulk")?,
            counters: counters::CounterMap::open(&pins)?,
            filter: filter::FilterMaps::open(&pins)?,
            programs,
            pins,
            reopened,
        })
    }
}

/// A ring buffer, and a descriptor of its own to wait for it.
struct Ring {
    records: RingBuf<MapData>,
    wake: AsyncFd<OwnedFd>,
}

impl Ring {
    fn open(pins: &Pins, name: &'static str) -> Result<Self, ProbeError> {
        let records = RingBuf::try_from(Map::RingBuf(pins.map(name)?))
            .map_err(|source| ProbeError::Map { name, source: Box::new(source) })?;
        let wake = records.as_fd().try_clone_to_owned().and_then(sys::readable);
        Ok(Self { records, wake: wake.map_err(|source| ProbeError::Wait { source })? })
    }
}
