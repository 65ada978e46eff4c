//! The doors: what stays attached to the kernel while the programs behind it are replaced by another version's.
//!
//! A door is a program that does nothing but to lead on to the one in its map `to_NAME` (`bpf/door.h`). That is one entry, so
//! a version takes over between two events: each is told by exactly one, and at whatever step a sensor is killed there is a program behind each
//! door. Pinned are the link, which keeps the door attached, and the map, without which it leads nowhere.
//!
//! A map is pinned with a digest of the door's place: a program that another version attaches elsewhere gets another door.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd as _;

use aya::maps::{Array, Map, MapData, ProgramArray};
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::{
    CgroupAttachMode, CgroupSkbAttachType, Program, ProgramError, ProgramFd, ProgramInfo, loaded_programs,
};
use aya::{Btf, Ebpf, EbpfLoader};

use super::hook::Hook;
use super::inspect::inode;
use super::loader::load_program;
use super::pins::{Pins, TO};
use super::{ProbeError, cgroup};
use crate::sys;

/// As many threads let doors go.
const CLOSED_AT_ONCE: usize = 16;

/// An attached door.
pub(super) struct Door {
    pub(super) hook: &'static Hook,
    /// Keeps it attached though its pin be removed; none after that could not be pinned again.
    link: Option<FdLink>,
    link_id: u32,
    /// The inode of its pin.
    pub(super) inode: u64,
    /// The door's own program: that of which the kernel counts the runs it skipped.
    pub(super) program: ProgramFd,
    pub(super) id: u32,
    /// What is behind it: the program's number.
    to: Array<MapData, u32>,
    /// That program, as it should be.
    pub(super) behind: ProgramFd,
    pub(super) behind_id: u32,
}

impl Door {
    /// Leads to the program that it should lead to.
    pub(super) fn lead(&self, pins: &Pins) -> Result<(), ProbeError> {
        lead(pins, self.hook, &self.behind)
    }

    /// The number of the program that it leads to.
    pub(super) fn leads_to(&self) -> Result<u32, ProbeError> {
        self.to.get(&0, 0).map_err(|source| ProbeError::Map { name: "to", source: Box::new(source) })
    }

    /// Pins its link, whatever stands in the place of the pin.
    pub(super) fn pin_again(&mut self, pins: &Pins) -> Result<(), ProbeError> {
        let path = pins.link_path(self.hook);
        pins.forget(&format!("link_{}", self.hook.program))?;
        let link = self.link.take().ok_or(ProbeError::Sight { name: self.hook.program })?;
        let pinned = link.pin(&path).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })?;
        self.link = Some(pinned.into());
        Ok(())
    }

    /// Whether a link to a control group was detached, which whoever has it may do (BPF_LINK_DETACH): then the kernel shows it
    /// without a group.
    pub(super) fn is_detached(&self) -> bool {
        let of_link = format!("link_id:\t{}\n", self.link_id);
        let infos = fs::read_dir("/proc/self/fdinfo").into_iter().flatten().flatten();
        let texts = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
        texts.filter(|text| text.contains(&of_link)).any(|text| text.contains("cgroup_id:\t0\n"))
    }
}

/// Where the map that says what is behind a door is pinned.
pub(super) fn map_pin(hook: &Hook) -> String {
    let digest = blake3::hash(hook.section().as_bytes()).to_hex();
    format!("{TO}{}-{}", hook.program, digest.get(..8).unwrap_or_default())
}

/// Whether a hook's door is there and attached.
pub(super) fn is_there(pins: &Pins, hook: &Hook) -> bool {
    pins.link_path(hook).exists() && pins.path(&map_pin(hook)).exists()
}

/// Opens the doors of these hooks that are there.
pub(super) fn open(pins: &Pins, hooks: &[&'static Hook]) -> Result<Vec<Door>, ProbeError> {
    let programs: HashMap<u32, ProgramInfo> =
        loaded_programs().flatten().map(|program| (program.id(), program)).collect();
    let there = hooks.iter().filter(|hook| !hook.is_iterator() && is_there(pins, hook));
    there
        .map(|hook| {
            let refused = |source| ProbeError::Program { program: hook.program, source: Box::new(source) };
            let not_kept = |source| ProbeError::Link { program: hook.program, source: Box::new(source) };
            let program = |id: u32| match programs.get(&id) {
                Some(program) => program.fd().map_err(refused),
                None => Err(refused(ProgramError::NotLoaded)),
            };
            let link = FdLink::from(PinnedLink::from_pin(pins.link_path(hook)).map_err(not_kept)?);
            let failed = |source| ProbeError::Map { name: "to", source: Box::new(source) };
            let to = MapData::from_pin(pins.path(&map_pin(hook))).map_err(failed)?;
            let to = Array::try_from(Map::Array(to)).map_err(failed)?;
            let behind_id = to.get(&0, 0).map_err(failed)?;
            let info = link.info().map_err(not_kept)?;
            Ok(Door {
                hook,
                program: program(info.program_id())?,
                id: info.program_id(),
                link: Some(link),
                link_id: info.id(),
                inode: inode(pins, &format!("link_{}", hook.program)).unwrap_or(0),
                to,
                behind: program(behind_id)?,
                behind_id,
            })
        })
        .collect()
}

/// Puts a program behind a door that is there.
pub(super) fn lead(pins: &Pins, hook: &Hook, program: &ProgramFd) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Map { name: "to", source: Box::new(source) };
    let map = MapData::from_pin(pins.path(&map_pin(hook))).map_err(failed)?;
    ProgramArray::try_from(Map::ProgramArray(map)).and_then(|mut map| map.set(0, program, 0)).map_err(failed)
}

/// Takes a door away: its place in the kernel calls nothing any more.
pub(super) fn remove(pins: &Pins, program: &str) -> Result<(), ProbeError> {
    pins.forget(&format!("link_{program}"))?;
    let is_map = |pin: &&String| {
        pin.strip_prefix(TO).and_then(|rest| rest.strip_prefix(program)).is_some_and(|r| r.starts_with('-'))
    };
    pins.all()?.iter().filter(is_map).try_for_each(|pin| pins.forget(pin))
}

/// Lets doors go whose pins are removed. For each the kernel waits until nobody runs its program any more: for many at once,
/// if they go at once.
pub(super) fn close(mut doors: Vec<Door>) {
    let of_thread = doors.len().div_ceil(CLOSED_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        while !doors.is_empty() {
            let some = doors.split_off(doors.len().saturating_sub(of_thread));
            scope.spawn(|| drop(some));
        }
    });
}

/// Makes doors.
pub(super) struct Maker<'a> {
    btf: &'a Btf,
    doors: Option<Ebpf>,
    /// Of which of them doors were made.
    made: Vec<&'static str>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(btf: &'a Btf) -> Self {
        Self { btf, doors: None, made: Vec::new() }
    }

    /// Makes and attaches a hook's door; the program is behind it from the first event on.
    pub(super) fn make(
        &mut self,
        pins: &Pins,
        hook: &'static Hook,
        behind: &ProgramFd,
    ) -> Result<(), ProbeError> {
        let refused = |source| ProbeError::Program { program: hook.program, source: Box::new(source) };
        remove(pins, hook.program)?;
        if self.made.contains(&hook.program) {
            // It was taken away again, with a way that did not attach: another one takes another object.
            (self.doors, self.made) = (None, Vec::new());
        }
        self.made.push(hook.program);
        let btf = self.btf;
        let ebpf = self.loaded()?;
        load_program(ebpf, hook, btf).map_err(refused)?;
        let failed = |source| ProbeError::Map { name: "to", source: Box::new(source) };
        let map = ebpf.map_mut(&format!("to_{}", hook.program));
        let map = map.ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
        let path = pins.path(&map_pin(hook));
        map.pin(&path).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })?;
        ProgramArray::try_from(map).and_then(|mut map| map.set(0, behind, 0)).map_err(failed)?;
        let path = pins.link_path(hook);
        let link = attach(ebpf, hook, pins)?;
        link.pin(&path).map(drop).map_err(|source| ProbeError::Pin { path, source: Box::new(source) })
    }

    fn loaded(&mut self) -> Result<&mut Ebpf, ProbeError> {
        if self.doors.is_none() {
            let mut loader = EbpfLoader::new();
            let doors = loader.btf(Some(self.btf)).load(sensor_bpf::DOORS);
            self.doors = Some(doors.map_err(|source| ProbeError::Load { source: Box::new(source) })?);
        }
        self.doors.as_mut().ok_or(ProbeError::NoBtf)
    }
}

/// The control group of which all others are part.
fn root() -> Result<File, ProbeError> {
    match cgroup::v2_root() {
        Ok(path) => File::open(&path).map_err(|source| ProbeError::Folder { path, source }),
        Err(absent) => cgroup::v2_root_unmounted().map_err(|_| absent),
    }
}

/// Attaches a loaded program to its place.
pub(super) fn attach(ebpf: &mut Ebpf, hook: &Hook, pins: &Pins) -> Result<FdLink, ProbeError> {
    let refused = |source| ProbeError::Program { program: hook.program, source: Box::new(source) };
    let not_kept = |source: LinkError| ProbeError::Link { program: hook.program, source: Box::new(source) };
    let program =
        ebpf.program_mut(hook.program).ok_or_else(|| refused(ProgramError::UnexpectedProgramType))?;
    match program {
        Program::BtfTracePoint(program) => {
            let id = program.attach().map_err(refused)?;
            Ok(program.take_link(id).map_err(refused)?.into())
        }
        Program::FEntry(program) => {
            let id = program.attach().map_err(refused)?;
            Ok(program.take_link(id).map_err(refused)?.into())
        }
        Program::FExit(program) => {
            let id = program.attach().map_err(refused)?;
            Ok(program.take_link(id).map_err(refused)?.into())
        }
        Program::CgroupSkb(program) => {
            let direction = match hook.place {
                "ingress" => CgroupSkbAttachType::Ingress,
                _ => CgroupSkbAttachType::Egress,
            };
            // Links stand beside those of others, whatever the mode says.
            let id = program.attach(root()?, direction, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)
        }
        Program::CgroupSock(program) => {
            let id = program.attach(root()?, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)
        }
        Program::CgroupSockAddr(program) => {
            let id = program.attach(root()?, CgroupAttachMode::Single).map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)
        }
        Program::CgroupSysctl(program) => {
            // Of such a link only a pin can be had.
            let at = pins.path("new");
            pins.forget("new")?;
            let program = program.fd().map_err(refused)?;
            sys::pin_cgroup_link(program.as_fd(), root()?.as_fd(), sys::CGROUP_SYSCTL, &at)
                .map_err(|source| ProbeError::Attach { program: hook.program, source })?;
            let pinned = PinnedLink::from_pin(&at).map_err(not_kept)?;
            pinned.unpin().map_err(|source| ProbeError::Folder { path: at, source })
        }
        Program::Iter(program) => {
            let id = program.attach().map_err(refused)?;
            program.take_link(id).map_err(refused)?.try_into().map_err(not_kept)
        }
        _ => Err(refused(ProgramError::UnexpectedProgramType)),
    }
}
