//! The programs in the kernel: loading, attaching, pinning, reading and removing them.
//!
//! The only module that names aya. Everything is pinned from the start under
//! `/sys/fs/bpf/vedette/NAME`, so a sensor that dies leaves its programs running and its rings
//! filling, and the next one reads on where it stopped.
//!
//! - [`Prepared`]: an instance's maps, before its programs are at work; [`Probe`]: an open instance: drain, wait, count, filter,
//!   seed, unload; [`Earlier`]: what another version's programs have left in their rings.
//! - [`sight`]: what can be seen, and the ways to see it, best first; [`hook`]: one program and its place.
//! - `plan`: what is loaded; `loader`, `install`: how it comes into the kernel; `doors`: what stays while it is replaced;
//!   `pins`: the folder; `host`: what the machine must offer.
//! - [`Counting`]: how often programs run, and how long they take.
//! - [`cgroup`]: which hierarchy is read, and which subtree a sensor is confined to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aya::{Btf, Ebpf};
use tracing::debug;
use wire::time::BootTime;

pub mod cgroup;
mod counters;
mod doors;
mod error;
mod filter;
mod flow;
pub mod hook;
mod host;
mod inspect;
mod install;
mod loader;
mod objects;
mod pins;
mod plan;
mod rings;
mod runs;
mod seed;
pub mod sight;
mod state;
mod syscalls;
mod tables;
mod trial;

pub use counters::{ClassCounters, Counters, Sequence};
pub use error::ProbeError;
pub use filter::Filter;
pub use host::{KernelVersion, host_namespaces, kernel_version};
pub use inspect::Harm;
pub use rings::Earlier;
pub use runs::{Counting, Runs};
pub use seed::OwnedImage;
pub use trial::{Need, Trial, needs, try_sights};

use crate::plan::{Image, Tables};
use crate::record::{Class, PerClass};
use doors::Door;
use hook::Hook;
use pins::{Found, Pins};
use plan::Plan;
use rings::Rings;
use sight::{Sight, Way};
use state::State;

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
    /// Whether what is seen on demand is: system calls ([`Tables::calls`]).
    pub on_demand: bool,
    /// When no sensor has looked into the rings for so long, the programs tell nothing any more and only count; zero: they
    /// always tell.
    pub unread: Duration,
}

/// How many ports of DNS servers the programs look at.
pub const MAX_DNS_PORTS: usize = sensor_bpf::event::EVENT_DNS_PORTS as usize;

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            name: "sensor".into(),
            cgroup: None,
            ring_bytes: [8 << 20, 4 << 20, 4 << 20],
            unread: Duration::from_mins(10),
            flow_idle: Duration::from_secs(30),
            dns_ports: vec![53],
            on_demand: false,
        }
    }
}

/// A time in which nobody read, and so long that the programs stopped to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neglect {
    /// How long it was since somebody had read, on the clock that stands still while the machine sleeps.
    pub passed: Duration,
    /// How many records were passed over.
    pub n_records: u64,
}

/// An instance's maps. Where programs are at work already they go on; else what is set now is what they begin with.
pub struct Prepared {
    plan: Plan,
    pins: Pins,
    state: State,
    filter: filter::FilterMaps,
    tables: tables::TableMaps,
    /// What has to be loaded; none where this very version's programs are at work.
    load: Option<(Ebpf, Btf)>,
    was_there: bool,
    was_changed: bool,
    numbers_go_on: bool,
}

impl Prepared {
    /// See [`Probe::set_filter`].
    ///
    /// # Errors
    /// As there.
    pub fn set_filter(&mut self, filter: &Filter) -> Result<(), ProbeError> {
        self.filter.set(filter)
    }

    /// See [`Probe::set_collection`].
    ///
    /// # Errors
    /// As there.
    pub fn set_collection(&mut self, tables: &Tables) -> Result<u64, ProbeError> {
        self.tables.set(tables)
    }

    /// Leaves everything as it was: maps that nobody uses are removed.
    pub fn give_up(self) {
        if !self.was_there {
            drop(self.pins.remove());
        }
    }

    /// Sets this version's programs to work, each in the place of another version's if there is one: every event is told by
    /// exactly one of them.
    ///
    /// # Errors
    /// When the kernel refuses a required program. Where none were at work nothing stays then.
    pub fn attach(mut self) -> Result<Probe, ProbeError> {
        let reopened = self.load.is_none();
        if let Some((ebpf, btf)) = self.load.take() {
            if let Err(error) = install::install(&self.plan, ebpf, &btf, &self.pins) {
                if !self.was_there {
                    // What is half there helps nobody; the first error says more than one of tidying up.
                    drop(self.pins.remove());
                }
                return Err(error);
            }
            // What runs of replaced programs still write into their rings is there then.
            tables::wait_for_runs();
            self.state.begin()?;
        }
        let hooks = sight::hooks();
        let doors = doors::open(&self.pins, &hooks)?;
        objects::set(&self.pins, &doors)?;
        let kept = inspect::Kept::all(&self.pins)?;
        let is_there = |hook: &&'static Hook| hook.is_iterator() && self.pins.link_path(hook).exists();
        Ok(Probe {
            rings: Rings::open(&self.pins)?,
            earlier: Earlier::all(&self.pins)?,
            read: Vec::new(),
            iterators: hooks.iter().copied().filter(is_there).collect(),
            doors,
            state: self.state,
            sockets: filter::SocketMap::open(&self.pins)?,
            flows: flow::FlowMaps::open(&self.pins, self.plan.flow_idle())?,
            filter: self.filter,
            tables: self.tables,
            kept,
            plan: self.plan,
            pins: self.pins,
            reopened,
            numbers_go_on: self.numbers_go_on,
            was_changed: self.was_changed,
        })
    }
}

/// An instance of the programs, loaded now or found running.
///
/// Dropping it leaves programs and rings in the kernel; [`Probe::unload`] removes them.
pub struct Probe {
    rings: Rings,
    earlier: Vec<Earlier>,
    read: Vec<Earlier>,
    doors: Vec<Door>,
    iterators: Vec<&'static Hook>,
    state: State,
    filter: filter::FilterMaps,
    sockets: filter::SocketMap,
    flows: flow::FlowMaps,
    tables: tables::TableMaps,
    kept: Vec<inspect::Kept>,
    plan: Plan,
    pins: Pins,
    reopened: bool,
    was_changed: bool,
    numbers_go_on: bool,
}

impl Probe {
    /// Opens the instance of this name without changing what is left out and what is shipped: [`Probe::prepare`] and
    /// [`Prepared::attach`].
    ///
    /// # Errors
    /// As those.
    pub fn open(config: &ProbeConfig) -> Result<Self, ProbeError> {
        Self::prepare(config)?.attach()
    }

    /// Takes an instance over, or makes it: maps that hold what this version's hold are taken as they are, so records that
    /// wait in the rings are read next. Programs that are at work go on as they are; to be set to work are those that
    /// are not of this very build and configuration.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When rights, kernel or BPF file system do not allow it, or when another sensor runs under this name. Each says what
    /// to do.
    pub fn prepare(config: &ProbeConfig) -> Result<Prepared, ProbeError> {
        host::require_rights()?;
        let version = host::require_kernel()?;
        host::require_bpffs()?;
        let plan = Plan::new(config, version)?;
        let pins = Pins::claim(&config.name)?.knowing(plan.pins());
        let was_there = !pins.attached()?.is_empty();
        let numbers_go_on = pins.map_path(plan::COUNTERS).exists();
        let found = pins.found(plan.identity())?;
        let load = match found {
            Found::Whole => None,
            Found::Other | Found::Changed => {
                let btf = install::kernel_btf()?;
                Some((plan.load(&btf, Some(&pins))?, btf))
            }
        };
        Ok(Prepared {
            state: State::take_over(&pins, config.unread)?,
            filter: filter::FilterMaps::open(&pins)?,
            tables: tables::TableMaps::open(&pins)?,
            plan,
            pins,
            load,
            was_there,
            numbers_go_on,
            was_changed: found == Found::Changed,
        })
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
    pub fn drain(&mut self, max: usize, each: impl FnMut(&[u8])) -> usize {
        if let Err(error) = self.state.beat() {
            debug!(%error, "cannot tell the programs that they are read");
        }
        self.rings.drain(max, each)
    }

    /// Waits until a look into the rings is worthwhile: a ring fills, or 100 ms passed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn ready(&self) {
        drop(tokio::time::timeout(LOOK_EVERY, self.rings.filling()).await);
    }

    /// What the programs tried to emit since they were loaded, and what found no room.
    ///
    /// # Errors
    /// When the kernel refuses to read its counters.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        self.rings.counters(&self.doors)
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

    /// What is to be seen, and the way in which it is; `None` where this kernel shows it in no way.
    pub fn sights(&self) -> impl Iterator<Item = (&'static Sight, Option<&'static Way>)> {
        let is_attached = |hook: &Hook| self.attached().any(|there| there.program == hook.program);
        let wanted = Sight::all().filter(|sight| self.plan.wants(sight));
        wanted.map(move |sight| (sight, sight.way(is_attached)))
    }

    /// What this kernel does not show.
    pub fn missing(&self) -> impl Iterator<Item = &'static Sight> {
        self.sights().filter(|(_, way)| way.is_none()).map(|(sight, _)| sight)
    }

    /// Every program that is attached.
    pub fn attached(&self) -> impl Iterator<Item = &'static Hook> {
        self.doors.iter().map(|door| door.hook).chain(self.iterators.iter().copied())
    }

    /// Whether programs of this very build and configuration were at work already.
    pub fn is_reopened(&self) -> bool {
        self.reopened
    }

    /// Says which thread now does what must be told whatever is left out; `None`: none.
    ///
    /// # Errors
    /// When the kernel's map cannot be written.
    pub fn set_canary(&mut self, thread: Option<u32>) -> Result<(), ProbeError> {
        self.state.canary(thread)
    }

    /// The pid of the sensor that read before this one, if one did.
    pub fn sensor_before(&self) -> Option<u32> {
        self.state.before()
    }

    /// Whether somebody had removed or added pins while no sensor ran. They are right again.
    pub fn was_changed(&self) -> bool {
        self.was_changed
    }

    /// Whether records are numbered on from where they were: the rings are those of an instance before. Else they begin at 0.
    pub fn numbers_go_on(&self) -> bool {
        self.numbers_go_on
    }

    /// Which numbering the records have: another one begins at 0 with rings of another make. Unique within a boot.
    pub fn numbering(&self) -> u32 {
        self.rings.numbering()
    }

    /// What programs of other versions have left, oldest first: to be read before this version's rings.
    pub fn earlier(&mut self) -> &mut [Earlier] {
        &mut self.earlier
    }

    /// Leaves out of [`Probe::earlier`] what was read already, by its numbering. It is removed all the same.
    pub fn skip_earlier(&mut self, finished: &[u32]) {
        let is_read = |earlier: &mut Earlier| finished.contains(&earlier.numbering());
        self.read.extend(self.earlier.extract_if(.., is_read));
    }

    /// Removes what programs of other versions have left.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn forget_earlier(&mut self) -> Result<(), ProbeError> {
        let mut all = self.earlier.drain(..).chain(self.read.drain(..));
        all.try_for_each(|earlier| earlier.forget(&self.pins))
    }

    /// For how long nobody had looked into the rings, if that was so long that the programs told nothing any more, and how
    /// many records they passed over. Told once.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read or noted.
    pub fn take_neglect(&mut self) -> Result<Option<Neglect>, ProbeError> {
        let Some(passed) = self.state.take_neglected() else { return Ok(None) };
        let counters = self.counters()?;
        let unread = Class::ALL.iter().map(|class| counters.of(*class).unread).sum::<u64>();
        let n_records = unread.saturating_sub(self.state.told());
        self.state.tell(unread)?;
        Ok(Some(Neglect { passed, n_records }))
    }

    /// Where an instance of this name is pinned.
    ///
    /// # Errors
    /// When it is no name.
    pub fn folder_of(name: &str) -> Result<PathBuf, ProbeError> {
        pins::folder(name)
    }

    /// Where the instance is pinned.
    pub fn folder(&self) -> &Path {
        self.pins.folder()
    }

    /// Detaches and removes every program, ring and pin of this instance. None of its programs runs any more when it
    /// returns.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn unload(mut self) -> Result<(), ProbeError> {
        self.pins.remove()?;
        doors::close(std::mem::take(&mut self.doors));
        Ok(())
    }
}
