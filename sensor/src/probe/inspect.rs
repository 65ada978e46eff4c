//! Whether the kernel still holds what the sensor has put there, and putting it right.
//!
//! The sensor keeps a descriptor of every link and map, so what is pinned can be taken away from under it without anything
//! being detached or lost while it runs; but the next sensor would find nothing. What a map holds can be changed by whoever gets
//! hold of it, and a door can be made to lead nowhere.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use aya::maps::MapData;
use tracing::debug;

use super::hook::HookKind;
use super::pins::{Found, Pins};
use super::{Probe, ProbeError, doors, install, objects, syscalls};

/// Something of the sensor's own was not as it had left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// What: `link process_exec`, `map filter`.
    pub what: String,
    /// What was wrong with it.
    pub how: &'static str,
    /// Whether it is right again.
    pub repaired: bool,
}

/// A pinned map, kept open so that it can be pinned again.
pub(super) struct Kept {
    pin: String,
    map: MapData,
    inode: u64,
}

impl Kept {
    /// Every map of this version, and those of the doors.
    pub(super) fn all(pins: &Pins) -> Result<Vec<Self>, ProbeError> {
        let is_ours =
            |pin: &String| pin.starts_with(super::pins::TO) || pins.maps().values().any(|own| own == pin);
        let pinned = pins.all()?.into_iter().filter(is_ours);
        pinned
            .map(|pin| {
                let failed = |source| ProbeError::Map { name: "pinned", source: Box::new(source) };
                let map = MapData::from_pin(pins.path(&pin)).map_err(failed)?;
                Ok(Self { inode: inode(pins, &pin).unwrap_or(0), pin, map })
            })
            .collect()
    }
}

/// The inode of a pin; `None` where there is none.
pub(super) fn inode(pins: &Pins, pin: &str) -> Option<u64> {
    fs::symlink_metadata(pins.path(pin)).ok().map(|pin| pin.ino())
}

const REMOVED: &str = "its pin was removed";
const REPLACED: &str = "another pin stands in its place";

/// What is wrong with a pin, if anything is.
fn wrong(pins: &Pins, pin: &str, inode_then: u64) -> Option<&'static str> {
    match inode(pins, pin) {
        None => Some(REMOVED),
        Some(now) if now != inode_then => Some(REPLACED),
        Some(_) => None,
    }
}

impl Probe {
    /// Looks whether programs, links and maps are as they were left, and puts right what is not. `thorough`: all that maps
    /// hold too, which takes some ms.
    pub fn inspect(&mut self, thorough: bool) -> Vec<Harm> {
        let mut harms = Vec::new();
        self.inspect_maps(&mut harms);
        self.inspect_doors(&mut harms);
        self.inspect_contents(thorough, &mut harms);
        if self.pins.found(self.plan.identity()).is_ok_and(|found| found != Found::Whole) {
            let repaired = self.pins.identify(Some(self.plan.identity())).is_ok();
            if harms.is_empty() {
                harms.push(Harm { what: "map identity".into(), how: WRITTEN, repaired });
            }
        }
        harms
    }

    fn inspect_maps(&mut self, harms: &mut Vec<Harm>) {
        for Kept { pin, map, inode: then } in &mut self.kept {
            let Some(how) = wrong(&self.pins, pin, *then) else { continue };
            let pinned = self.pins.forget(pin).is_ok() && map.pin(self.pins.path(pin)).is_ok();
            *then = inode(&self.pins, pin).unwrap_or(0);
            let name = pin.rsplit_once('-').map_or(pin.as_str(), |(name, _)| name);
            harms.push(Harm { what: format!("map {name}"), how, repaired: pinned });
        }
    }

    fn inspect_doors(&mut self, harms: &mut Vec<Harm>) {
        let mut lost = Vec::new();
        for door in &mut self.doors {
            let name = door.hook.program;
            let pin = format!("link_{name}");
            if let Some(how) = wrong(&self.pins, &pin, door.inode) {
                let repaired = door.pin_again(&self.pins).is_ok();
                door.inode = inode(&self.pins, &pin).unwrap_or(0);
                harms.push(Harm { what: format!("link {name}"), how, repaired });
            }
            if door.hook.kind == HookKind::Packets && door.is_detached() {
                lost.push(door.hook);
                continue;
            }
            let how = match door.leads_to() {
                Ok(id) if id == door.behind_id => continue,
                Ok(_) => "another program was put behind its door",
                Err(_) => "it was taken away from behind its door",
            };
            let repaired = door.lead(&self.pins).is_ok();
            harms.push(Harm { what: format!("program {name}"), how, repaired });
        }
        for hook in lost {
            let repaired = self.attach_again(hook);
            if let Err(error) = &repaired {
                debug!(program = hook.program, error = %wire::cause::chain(error), "cannot attach it again");
            }
            harms.push(Harm {
                what: format!("link {}", hook.program),
                how: "it was detached",
                repaired: repaired.is_ok(),
            });
        }
    }

    fn attach_again(&mut self, hook: &'static super::Hook) -> Result<(), ProbeError> {
        let Some(at) = self.doors.iter().position(|door| door.hook == hook) else { return Ok(()) };
        let btf = install::kernel_btf()?;
        let door = self.doors.swap_remove(at);
        doors::Maker::new(&btf).make(&self.pins, hook, &door.behind)?;
        self.doors.extend(doors::open(&self.pins, &[hook])?);
        self.kept = Kept::all(&self.pins)?;
        Ok(())
    }

    fn inspect_contents(&mut self, thorough: bool, harms: &mut Vec<Harm>) {
        let mut look = |what: &str,
                        is_intact: Result<bool, ProbeError>,
                        mend: &mut dyn FnMut() -> Result<(), ProbeError>| {
            if is_intact.unwrap_or(false) {
                return;
            }
            let repaired = mend().is_ok();
            harms.push(Harm { what: format!("map {what}"), how: WRITTEN, repaired });
        };
        look("sensor", self.state.is_intact(), &mut || self.state.write());
        look("filter", self.filter.is_intact(thorough), &mut || self.filter.set_again());
        look("match", self.tables.is_intact(thorough), &mut || self.tables.set_again());
        if thorough {
            let shapes = || self.pins.map("syscall_shapes");
            let (pins, doors) = (&self.pins, &self.doors);
            let is_attached = |hook: &super::Hook| doors.iter().any(|door| door.hook.program == hook.program);
            let is_intact = shapes().and_then(|map| syscalls::is_intact(map, is_attached));
            look("syscall_shapes", is_intact, &mut || syscalls::fill(shapes()?, is_attached));
            look("own_objects", objects::are_set(pins, doors), &mut || objects::set(pins, doors));
        }
    }
}

const WRITTEN: &str = "somebody has written into it";
