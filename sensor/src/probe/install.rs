//! Loads the programs, attaches them and pins all of it.

use aya::maps::{Array, Map};
use aya::programs::links::FdLink;
use aya::programs::{BtfTracePoint, Iter, Program, ProgramError};
use aya::util::nr_cpus;
use aya::{Btf, Ebpf, EbpfLoader};
use sensor_bpf::event::{EVENT_N_CLASSES, event_config};
use tracing::warn;
use zerocopy::IntoBytes;

use super::cgroup::{self, Confinement};
use super::hook::{HOOKS, Hook, HookKind};
use super::pins::{Identity, Pins};
use super::{KernelVersion, ProbeConfig, ProbeError};

/// Buffers for large records beyond one for each CPU: for runs that preempted others.
const SPARE_SCRATCH: u32 = 8;

/// The first kernel whose atomic instructions can return the old value.
const ATOMIC_FETCH: KernelVersion = KernelVersion { major: 5, minor: 12 };

/// All that decides what is loaded: two equal plans make the same installation.
pub(super) struct Plan {
    object: &'static [u8],
    config: event_config,
    n_cpus: u32,
    process_ring_bytes: u32,
    bulk_ring_bytes: u32,
}

impl Plan {
    pub(super) fn new(config: &ProbeConfig, version: KernelVersion) -> Result<Self, ProbeError> {
        let confined = config.cgroup.as_deref().map(Confinement::to).transpose()?;
        let n_cpus = nr_cpus().map_or(1, |n| n as u32).max(1);
        let ring = |bytes: u32| bytes.clamp(1 << 16, 1 << 30).next_power_of_two();
        let (process_ring_bytes, bulk_ring_bytes) =
            (ring(config.process_ring_bytes), ring(config.bulk_ring_bytes));
        Ok(Self {
            object: if version < ATOMIC_FETCH { sensor_bpf::OBJECT_BEFORE_5_12 } else { sensor_bpf::OBJECT },
            config: event_config {
                confine_cgroup: confined.as_ref().map_or(0, |c| c.id),
                confine_hierarchy: confined.as_ref().map_or(0, |c| c.hierarchy.number()),
                report_hierarchy: cgroup::reported().number(),
                n_cpus,
                n_scratch: n_cpus + SPARE_SCRATCH,
                wake_bytes: [process_ring_bytes / 8, bulk_ring_bytes / 8],
            },
            n_cpus,
            process_ring_bytes,
            bulk_ring_bytes,
        })
    }

    /// A digest of everything that is loaded.
    pub(super) fn identity(&self) -> Identity {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.object).update(self.config.as_bytes());
        hasher.update(&self.process_ring_bytes.to_le_bytes()).update(&self.bulk_ring_bytes.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Creates the maps; no program is loaded yet.
    pub(super) fn load(&self, btf: &Btf) -> Result<Ebpf, ProbeError> {
        EbpfLoader::new()
            .btf(Some(btf))
            .override_global("config", self.config.as_bytes(), true)
            .map_max_entries("ring_process", self.process_ring_bytes)
            .map_max_entries("ring_bulk", self.bulk_ring_bytes)
            .map_max_entries("counters", self.n_cpus * EVENT_N_CLASSES)
            .map_max_entries("scratches", self.config.n_scratch)
            .load(self.object)
            .map_err(|source| ProbeError::Load { source: Box::new(source) })
    }
}

/// The kernel's type information.
pub(super) fn kernel_btf() -> Result<Btf, ProbeError> {
    Btf::from_sys_fs().map_err(|source| ProbeError::Btf { source: Box::new(source) })
}

/// Loads one program without attaching it.
pub(super) fn load_program(ebpf: &mut Ebpf, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(hook.program).ok_or(ProgramError::UnexpectedProgramType)?;
    match hook.kind {
        HookKind::Tracepoint => <&mut BtfTracePoint>::try_from(program)?.load(hook.place, btf),
        HookKind::Iterator => <&mut Iter>::try_from(program)?.load(hook.place, btf),
    }
}

/// Puts everything in place in an empty folder; the identity last.
pub(super) fn install(plan: &Plan, pins: &Pins) -> Result<(), ProbeError> {
    let btf = kernel_btf()?;
    let mut ebpf = plan.load(&btf)?;
    for (name, map) in ebpf.maps() {
        // The compiler's own sections (.rodata) stay with the programs that use them.
        if !name.starts_with('.') {
            let path = pins.path(name);
            map.pin(&path).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })?;
        }
    }
    for hook in HOOKS {
        match load_program(&mut ebpf, hook, &btf) {
            Ok(()) => attach(&mut ebpf, hook, pins)?,
            Err(source) if hook.required => {
                return Err(ProbeError::Program { program: hook.program, source: Box::new(source) });
            }
            Err(error) => {
                warn!(program = hook.program, %error, "this kernel does not take {}: {}", hook.section(), hook.without)
            }
        }
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
        Program::Iter(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)?
        }
        _ => return Err(refused(ProgramError::UnexpectedProgramType)),
    };
    let path = pins.link_path(hook);
    link.pin(&path).map(drop).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })
}
