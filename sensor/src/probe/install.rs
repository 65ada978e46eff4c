//! Loads the programs, attaches them and pins all of it: of each sight the first way that this kernel takes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;

use aya::maps::{Array, Map};
use aya::programs::links::FdLink;
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, CgroupSysctl,
    FEntry, FExit, Iter, Program, ProgramError,
};
use aya::util::nr_cpus;
use aya::{Btf, Ebpf, EbpfLoader};
use sensor_bpf::event::{EVENT_DNS_PORTS, EVENT_N_CLASSES, event_config};
use tracing::{debug, warn};
use zerocopy::IntoBytes;

use super::cgroup::{self, Confinement};
use super::hook::{Hook, HookKind};
use super::pins::{Identity, Pins};
use super::sight::{Sight, Way};
use super::{KernelVersion, ProbeConfig, ProbeError, flow, host, syscalls};
use crate::record::PerClass;
use crate::sys;

/// Buffers for large records beyond one for each CPU: for runs that preempted others.
const SPARE_SCRATCH: u32 = 8;

/// The first kernel whose atomic instructions can return the old value.
const ATOMIC_FETCH: KernelVersion = KernelVersion { major: 5, minor: 12 };

/// The first kernel that can be asked to loop.
const LOOP: KernelVersion = KernelVersion { major: 5, minor: 17 };

/// All that decides what is loaded: two equal plans make the same installation.
pub(super) struct Plan {
    object: &'static [u8],
    config: event_config,
    n_cpus: u32,
    ring_bytes: PerClass<u32>,
}

/// The rings, in the order of [`Class::ALL`].
pub(super) const RINGS: PerClass<&str> = ["ring_process", "ring_bulk", "ring_file"];

impl Plan {
    pub(super) fn new(config: &ProbeConfig, version: KernelVersion) -> Result<Self, ProbeError> {
        let confined = config.cgroup.as_deref().map(Confinement::to).transpose()?;
        let n_cpus = nr_cpus().map_or(1, |n| n as u32).max(1);
        let ring_bytes = config.ring_bytes.map(|bytes| bytes.clamp(1 << 16, 1 << 30).next_power_of_two());
        Ok(Self {
            object: match version {
                version if version < ATOMIC_FETCH => sensor_bpf::OBJECT_BEFORE_5_12,
                version if version < LOOP => sensor_bpf::OBJECT_BEFORE_5_17,
                _ => sensor_bpf::OBJECT,
            },
            config: event_config {
                confine_cgroup: confined.as_ref().map_or(0, |c| c.id),
                confine_hierarchy: confined.as_ref().map_or(0, |c| c.hierarchy.number()),
                report_hierarchy: cgroup::reported().number(),
                n_cpus,
                n_scratch: n_cpus + SPARE_SCRATCH,
                wake_bytes: ring_bytes.map(|bytes| bytes / 8),
                host_mnt_ns: host::host_namespaces().mnt,
                flow_idle_ns: u64::try_from(config.flow_idle.as_nanos()).unwrap_or(u64::MAX),
                dns_ports: ports(&config.dns_ports),
            },
            n_cpus,
            ring_bytes,
        })
    }

    /// A digest of everything that is loaded.
    pub(super) fn identity(&self) -> Identity {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.object).update(self.config.as_bytes());
        for bytes in self.ring_bytes {
            hasher.update(&bytes.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Creates the maps; no program is loaded yet.
    pub(super) fn load(&self, btf: &Btf) -> Result<Ebpf, ProbeError> {
        let mut loader = EbpfLoader::new();
        for (ring, bytes) in RINGS.into_iter().zip(self.ring_bytes) {
            loader.map_max_entries(ring, bytes);
        }
        loader
            .btf(Some(btf))
            .override_global("config", self.config.as_bytes(), true)
            .map_max_entries("counters", self.n_cpus * EVENT_N_CLASSES)
            .map_max_entries("scratches", self.config.n_scratch)
            .load(self.object)
            .map_err(|source| ProbeError::Load { source: Box::new(source) })
    }
}

/// As the programs have them: as many as there is room for.
fn ports(given: &[u16]) -> [u16; EVENT_DNS_PORTS as usize] {
    let mut ports = [0; EVENT_DNS_PORTS as usize];
    ports.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
    ports
}

/// The kernel's type information.
pub(super) fn kernel_btf() -> Result<Btf, ProbeError> {
    Btf::from_sys_fs().map_err(|source| ProbeError::Btf { source: Box::new(source) })
}

/// Programs on their way into the kernel, each loaded at most once.
pub(super) struct Loader<'a> {
    ebpf: Ebpf,
    btf: &'a Btf,
    refused: HashMap<&'static str, ProgramError>,
    loaded: Vec<&'static str>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(ebpf: Ebpf, btf: &'a Btf) -> Self {
        Self { ebpf, btf, refused: HashMap::new(), loaded: Vec::new() }
    }

    /// Loads a program without attaching it, if that was not tried before. Whether the kernel took it.
    pub(super) fn load(&mut self, hook: &'static Hook) -> bool {
        if self.loaded.contains(&hook.program) {
            return true;
        }
        if self.refused.contains_key(hook.program) {
            return false;
        }
        match self.load_now(hook) {
            Ok(()) => self.loaded.push(hook.program),
            Err(error) => drop(self.refused.insert(hook.program, error)),
        }
        self.loaded.contains(&hook.program)
    }

    /// The program that ends flows.
    fn keep_flows(&mut self, pins: &Pins) -> Result<(), ProbeError> {
        let refused = |source| ProbeError::Program { program: flow::ENDED, source: Box::new(source) };
        let program = self.ebpf.program_mut(flow::ENDED);
        let program = program.ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
        flow::keep(program.try_into().map_err(refused)?, pins)
    }

    /// Why the kernel did not take a program, if it was tried and refused.
    pub(super) fn refusal(&self, hook: &Hook) -> Option<&ProgramError> {
        self.refused.get(hook.program)
    }

    fn load_now(&mut self, hook: &Hook) -> Result<(), ProgramError> {
        let program = self.ebpf.program_mut(hook.program).ok_or(ProgramError::UnexpectedProgramType)?;
        match hook.kind {
            HookKind::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(hook.place, self.btf),
            HookKind::Entry => <&mut FEntry>::try_from(program)?.load(hook.place, self.btf),
            HookKind::Return => <&mut FExit>::try_from(program)?.load(hook.place, self.btf),
            HookKind::Packets => <&mut CgroupSkb>::try_from(program)?.load(),
            HookKind::Settings => <&mut CgroupSysctl>::try_from(program)?.load(),
            HookKind::Socket => <&mut CgroupSock>::try_from(program)?.load(),
            HookKind::Address => <&mut CgroupSockAddr>::try_from(program)?.load(),
            HookKind::Iterator => <&mut Iter>::try_from(program)?.load(hook.place, self.btf),
        }
    }

    /// The first way whose programs all load and attach; those are pinned.
    fn take(&mut self, sight: &Sight, pins: &Pins) -> Result<Option<&'static Way>, ProbeError> {
        'ways: for way in sight.ways {
            if !way.hooks.iter().all(|hook| self.load(hook)) {
                continue;
            }
            for (n, hook) in way.hooks.iter().enumerate() {
                if pins.program_path(hook).exists() {
                    continue;
                }
                if let Err(error) = attach(&mut self.ebpf, hook, pins) {
                    warn!(program = hook.program, error = %wire::cause::chain(&error), "cannot attach to {}", hook.section());
                    for attached in way.hooks.iter().take(n + 1) {
                        drop(fs::remove_file(pins.link_path(attached)));
                        drop(fs::remove_file(pins.program_path(attached)));
                    }
                    continue 'ways;
                }
            }
            return Ok(Some(way));
        }
        if !sight.required {
            return Ok(None);
        }
        let mut hooks = sight.ways.iter().flat_map(|way| way.hooks);
        match hooks.find_map(|hook| Some((hook.program, self.refused.remove(hook.program)?))) {
            Some((program, source)) => Err(ProbeError::Program { program, source: Box::new(source) }),
            None => Err(ProbeError::Sight { name: sight.name }),
        }
    }
}

/// The control group of which all others are part.
fn root() -> Result<File, ProbeError> {
    match cgroup::v2_root() {
        Ok(path) => File::open(&path).map_err(|source| ProbeError::Folder { path, source }),
        Err(absent) => cgroup::v2_root_unmounted().map_err(|_| absent),
    }
}

/// Puts everything in place in an empty folder; the identity last.
pub(super) fn install(plan: &Plan, pins: &Pins) -> Result<(), ProbeError> {
    let btf = kernel_btf()?;
    let ebpf = plan.load(&btf)?;
    for (name, map) in ebpf.maps() {
        // The compiler's own sections (.rodata) stay with the programs that use them.
        if !name.starts_with('.') {
            let path = pins.path(name);
            map.pin(&path).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })?;
        }
    }
    syscalls::fill(pins.map("syscall_shapes")?)?;
    let mut loader = Loader::new(ebpf, &btf);
    for sight in Sight::all() {
        match loader.take(sight, pins)? {
            Some(way) => debug!(sight = sight.name, "{} by {}", sight.name, way.sections()),
            None => warn!(sight = sight.name, "this kernel does not show {}: {}", sight.shows, sight.without),
        }
    }
    if let Err(error) = loader.keep_flows(pins) {
        warn!(error = %wire::cause::chain(&error), "flows of datagrams are not told to end");
    }
    let failed = |source| ProbeError::Map { name: "identity", source: Box::new(source) };
    let mut identity = Array::<_, Identity>::try_from(Map::Array(pins.map("identity")?)).map_err(failed)?;
    identity.set(0, plan.identity(), 0).map_err(failed)
}

fn attach(ebpf: &mut Ebpf, hook: &Hook, pins: &Pins) -> Result<(), ProbeError> {
    let refused = |source| ProbeError::Program { program: hook.program, source: Box::new(source) };
    let not_kept = |source| ProbeError::Link { program: hook.program, source: Box::new(source) };
    let program =
        ebpf.program_mut(hook.program).ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
    let path = pins.program_path(hook);
    program.pin(&path).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })?;
    let link: FdLink = match program {
        Program::BtfTracePoint(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.into()
        }
        Program::FEntry(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.into()
        }
        Program::FExit(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.into()
        }
        Program::CgroupSock(program) => {
            let id = program.attach(root()?, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)?
        }
        Program::CgroupSkb(program) => {
            let direction = match hook.place {
                "ingress" => CgroupSkbAttachType::Ingress,
                _ => CgroupSkbAttachType::Egress,
            };
            // Links stand beside those of others, whatever the mode says.
            let id = program.attach(root()?, direction, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)?
        }
        Program::CgroupSockAddr(program) => {
            let id = program.attach(root()?, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)?
        }
        Program::CgroupSysctl(program) => {
            let root = root()?;
            let link = pins.link_path(hook);
            let program = program.fd().map_err(refused)?;
            return sys::pin_cgroup_link(program.as_fd(), root.as_fd(), sys::CGROUP_SYSCTL, &link)
                .map_err(|source| ProbeError::Attach { program: hook.program, source });
        }
        Program::Iter(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)?
        }
        _ => return Err(refused(ProgramError::UnexpectedProgramType)),
    };
    let path = pins.link_path(hook);
    link.pin(&path).map(drop).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })
}
