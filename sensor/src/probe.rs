//! The programs in the kernel: loading, attaching, pinning, reading and removing them.
//!
//! The only module that names aya. Everything is pinned from the start under
//! `/sys/fs/bpf/vedette/NAME`, so a sensor that dies leaves its programs running and its rings
//! filling, and the next one reads on where it stopped.
//!
//! - [`Probe`]: an open instance: drain, wait, count, filter, seed, unload.
//! - [`sight`]: what can be seen, and the ways to see it, best first; [`hook`]: one program and its place.
//! - `install`: load and pin; `pins`: the folder; `host`: what the machine must offer.
//! - [`cgroup`]: which hierarchy is read, and which subtree a sensor is confined to.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::ProgramFd;
use tokio::io::unix::AsyncFd;
use wire::time::BootTime;

use crate::sys;

pub mod cgroup;
mod counters;
mod error;
mod filter;
mod flow;
pub mod hook;
mod host;
mod install;
mod pins;
mod seed;
pub mod sight;
mod syscalls;
mod tables;
mod trial;

pub use counters::{ClassCounters, Counters, Sequence};
pub use error::ProbeError;
pub use filter::Filter;
pub use host::{KernelVersion, host_namespaces, kernel_version};
pub use seed::OwnedImage;
pub use trial::{Need, Trial, needs, try_sights};

use crate::plan::{Image, Tables};
use crate::record::PerClass;
use hook::Hook;
use pins::Pins;
use sight::{Sight, Way};

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
    /// Sizes of the rings; rounded up to powers of two of at least a page.
    pub ring_bytes: PerClass<u32>,
    /// Datagrams that a socket and a peer exchange are one flow while they come closer together than this.
    pub flow_idle: Duration,
    /// Where DNS servers listen; at most [`MAX_DNS_PORTS`] are looked at.
    pub dns_ports: Vec<u16>,
}

/// How many ports of DNS servers the programs look at.
pub const MAX_DNS_PORTS: usize = sensor_bpf::event::EVENT_DNS_PORTS as usize;

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            name: "sensor".into(),
            cgroup: None,
            ring_bytes: [8 << 20, 4 << 20, 4 << 20],
            flow_idle: Duration::from_secs(30),
            dns_ports: vec![53],
        }
    }
}

/// An instance of the programs, loaded now or found running.
///
/// Dropping it leaves programs and rings in the kernel; [`Probe::unload`] removes them.
pub struct Probe {
    rings: PerClass<Ring>,
    counters: counters::CounterMap,
    filter: filter::FilterMaps,
    sockets: filter::SocketMap,
    flows: flow::FlowMaps,
    tables: tables::TableMaps,
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
        Self::attach_to(pins, reopened, config.flow_idle)
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

    /// Hands over the records that wait, those of process life first, files last, at most `max`; returns how
    /// many there were.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
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

    /// Waits until a look into the rings is worthwhile: a ring fills, or 100 ms passed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn ready(&self) {
        let [process, bulk, file] = &self.rings;
        tokio::select! {
            Ok(mut guard) = process.wake.readable() => guard.clear_ready(),
            Ok(mut guard) = bulk.wake.readable() => guard.clear_ready(),
            Ok(mut guard) = file.wake.readable() => guard.clear_ready(),
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

    /// Has the ends of flows of datagrams told that are over by now, at most 8,192 at a time. Call it about once a second,
    /// and drain the rings then. Returns how many there were.
    ///
    /// # Errors
    /// When the kernel does not let its flows be read, or be ended.
    pub fn end_flows(&mut self, now: BootTime) -> Result<usize, ProbeError> {
        self.flows.end(now)
    }

    /// Replaces what is left out from now on.
    ///
    /// # Errors
    /// When there are more than 1,024 entries of a kind.
    pub fn set_filter(&mut self, filter: &Filter) -> Result<(), ProbeError> {
        self.filter.set(filter)
    }

    /// Replaces what the programs take for a container runtime's socket, by device and inode as `stat` has them. At most 64; what is
    /// more is left out.
    ///
    /// # Errors
    /// When the kernel refuses to change its map.
    pub fn set_runtime_sockets(&mut self, sockets: &BTreeSet<(u64, u64)>) -> Result<(), ProbeError> {
        self.sockets.set(sockets)
    }

    /// Makes a collection decide what is shipped from now on: a run of a program sees all of the one before, or all of
    /// this one. Takes some tens of ms. Returns its generation, which is higher than any before.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read or written; the collection before decides on then.
    pub fn set_collection(&mut self, tables: &Tables) -> Result<u64, ProbeError> {
        self.tables.set(tables)
    }

    /// What decides now, as it stands in the kernel. `None`: no collection was set, and everything is shipped.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read.
    pub fn collection(&self) -> Result<Option<Image>, ProbeError> {
        self.tables.read()
    }

    /// Puts a collection where it decides nothing yet. [`Probe::set_collection`] does this too; alone it leaves what a sensor
    /// leaves that dies before it switches.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read or written.
    pub fn fill_idle(&mut self, tables: &Tables) -> Result<u64, ProbeError> {
        self.tables.fill_idle(tables)
    }

    /// How many keys belong to the collection that does not decide: none, but after a sensor that died while it switched.
    ///
    /// # Errors
    /// When the kernel's maps cannot be read.
    pub fn n_left_over(&self) -> Result<usize, ProbeError> {
        self.tables.n_left_over()
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

    /// What can be seen, and the way in which it is; `None` where this kernel shows it in no way.
    pub fn sights(&self) -> impl Iterator<Item = (&'static Sight, Option<&'static Way>)> {
        let is_attached = |hook: &Hook| self.programs.iter().any(|(there, _)| there.program == hook.program);
        Sight::all().map(move |sight| (sight, sight.way(is_attached)))
    }

    /// What this kernel does not show.
    pub fn missing(&self) -> impl Iterator<Item = &'static Sight> {
        self.sights().filter(|(_, way)| way.is_none()).map(|(sight, _)| sight)
    }

    /// Every program that is attached.
    pub fn attached(&self) -> impl Iterator<Item = &'static Hook> {
        self.programs.iter().map(|(hook, _)| *hook)
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

    fn attach_to(pins: Pins, reopened: bool, flow_idle: Duration) -> Result<Self, ProbeError> {
        let mut programs = Vec::new();
        for hook in sight::hooks() {
            if let Some(program) = pins.program(hook)? {
                programs.push((hook, program));
            }
        }
        Ok(Self {
            rings: [
                Ring::open(&pins, "ring_process")?,
                Ring::open(&pins, "ring_bulk")?,
                Ring::open(&pins, "ring_file")?,
            ],
            counters: counters::CounterMap::open(&pins)?,
            filter: filter::FilterMaps::open(&pins)?,
            sockets: filter::SocketMap::open(&pins)?,
            flows: flow::FlowMaps::open(&pins, flow_idle)?,
            tables: tables::TableMaps::open(&pins)?,
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
