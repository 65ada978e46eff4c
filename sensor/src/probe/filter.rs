//! What the kernel leaves out before it copies anything.

use std::collections::BTreeSet;

use aya::Pod;
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use sensor_bpf::event::{EVENT_FILTER_CGROUP, EVENT_FILTER_EXECUTABLE, EVENT_FILTER_UID};

use super::ProbeError;
use super::pins::Pins;

const MAX_ENTRIES: usize = 1024;
const MAX_SOCKETS: usize = 64;

/// What is not wanted. A record is left out when its acting process has any of these; for a
/// fork that is the child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Real user ids.
    pub uids: BTreeSet<u32>,
    /// Control groups by id, as [`crate::record::Image::cgroup_id`] has it; groups below are not meant.
    pub cgroups: BTreeSet<u64>,
    /// Executables by device and inode, as [`crate::record::Image`] and `stat` have them.
    pub executables: BTreeSet<(u64, u64)>,
}

pub(super) struct FilterMaps {
    kinds: Array<MapData, u32>,
    uids: HashMap<MapData, u32, u32>,
    cgroups: HashMap<MapData, u64, u32>,
    executables: HashMap<MapData, [u64; 2], u32>,
    /// What was set last, by this sensor.
    set: Option<Filter>,
}

impl FilterMaps {
    pub(super) fn open(pins: &Pins) -> Result<Self, ProbeError> {
        Ok(Self {
            kinds: Array::try_from(Map::Array(pins.map("filter")?)).map_err(failed)?,
            uids: HashMap::try_from(Map::HashMap(pins.map("filter_uid")?)).map_err(failed)?,
            cgroups: HashMap::try_from(Map::HashMap(pins.map("filter_cgroup")?)).map_err(failed)?,
            executables: HashMap::try_from(Map::HashMap(pins.map("filter_executable")?)).map_err(failed)?,
            set: None,
        })
    }

    pub(super) fn set(&mut self, filter: &Filter) -> Result<(), ProbeError> {
        for (what, found) in [
            ("users", filter.uids.len()),
            ("control groups", filter.cgroups.len()),
            ("executables", filter.executables.len()),
        ] {
            if found > MAX_ENTRIES {
                return Err(ProbeError::FilterTooLong { what, found });
            }
        }
        replace(&mut self.uids, filter.uids.iter().copied())?;
        replace(&mut self.cgroups, filter.cgroups.iter().copied())?;
        replace(
            &mut self.executables,
            filter.executables.iter().map(|&(device, inode)| [kernel_device(device), inode]),
        )?;
        self.kinds.set(0, kinds(filter), 0).map_err(failed)?;
        self.set = Some(filter.clone());
        Ok(())
    }

    /// Whether the maps hold what was set; not `thorough`: as far as one look tells.
    pub(super) fn is_intact(&self, thorough: bool) -> Result<bool, ProbeError> {
        let Some(filter) = &self.set else { return Ok(true) };
        if self.kinds.get(&0, 0).map_err(failed)? != kinds(filter) {
            return Ok(false);
        }
        let executables = filter.executables.iter().map(|&(device, inode)| [kernel_device(device), inode]);
        Ok(!thorough
            || (holds(&self.uids, filter.uids.iter().copied())?
                && holds(&self.cgroups, filter.cgroups.iter().copied())?
                && holds(&self.executables, executables)?))
    }

    /// Sets what was set last once more.
    pub(super) fn set_again(&mut self) -> Result<(), ProbeError> {
        match self.set.take() {
            Some(filter) => self.set(&filter),
            None => Ok(()),
        }
    }
}

/// Whether a map has these keys and no others.
fn holds<K: Pod + Ord>(
    map: &HashMap<MapData, K, u32>,
    wanted: impl Iterator<Item = K>,
) -> Result<bool, ProbeError> {
    let present = map.keys().collect::<Result<BTreeSet<K>, _>>().map_err(failed)?;
    Ok(present == wanted.collect())
}

/// The sockets of container runtimes.
pub(super) struct SocketMap(HashMap<MapData, [u64; 2], u32>);

impl SocketMap {
    pub(super) fn open(pins: &Pins) -> Result<Self, ProbeError> {
        Ok(Self(HashMap::try_from(Map::HashMap(pins.map("runtime_sockets")?)).map_err(failed)?))
    }

    pub(super) fn set(&mut self, sockets: &BTreeSet<(u64, u64)>) -> Result<(), ProbeError> {
        let keys = sockets.iter().take(MAX_SOCKETS).map(|&(device, inode)| [kernel_device(device), inode]);
        replace(&mut self.0, keys)
    }
}

/// Which tables the programs need to look into.
fn kinds(filter: &Filter) -> u32 {
    let bit = |is_empty: bool, bit: u32| if is_empty { 0 } else { bit };
    bit(filter.uids.is_empty(), EVENT_FILTER_UID)
        | bit(filter.cgroups.is_empty(), EVENT_FILTER_CGROUP)
        | bit(filter.executables.is_empty(), EVENT_FILTER_EXECUTABLE)
}

/// Old entries go first, as the new ones may need their room.
fn replace<K: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, u32>,
    wanted: impl Iterator<Item = K> + Clone,
) -> Result<(), ProbeError> {
    let present = map.keys().collect::<Result<Vec<K>, _>>().map_err(failed)?;
    for key in present.iter().filter(|key| wanted.clone().all(|wanted| wanted != **key)) {
        map.remove(key).map_err(failed)?;
    }
    wanted.clone().try_for_each(|key| map.insert(key, 1, 0)).map_err(failed)
}

fn failed(source: MapError) -> ProbeError {
    ProbeError::Map { name: "filter", source: Box::new(source) }
}

/// A device number as `stat` shows it (`new_encode_dev`), as the kernel has it: 20 bits of minor.
fn kernel_device(device: u64) -> u64 {
    let major = device >> 8 & 0xfff;
    let minor = (device & 0xff) | (device >> 12 & 0xf_ff00);
    major << 20 | minor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_turned_into_the_kernels() {
        assert_eq!(kernel_device(0x300801), 8 << 20 | 0x301);
        assert_eq!(kernel_device(0xfe00), 254 << 20);
    }

    #[test]
    fn only_tables_with_entries_are_looked_into() {
        assert_eq!(kinds(&Filter::default()), 0);
        let filter = Filter { uids: [7].into(), executables: [(1, 2)].into(), ..Filter::default() };
        assert_eq!(kinds(&filter), EVENT_FILTER_UID | EVENT_FILTER_EXECUTABLE);
    }
}
