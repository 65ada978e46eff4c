//! Which of the kernel's objects are the sensor's own, so that its programs can tell who gets hold of one.

use aya::maps::{HashMap, Map, MapData, MapError, MapInfo};
use sensor_bpf::event::{EVENT_OBJECT_MAP, EVENT_OBJECT_PROGRAM};

use super::ProbeError;
use super::doors::Door;
use super::pins::Pins;

/// Kind and number, as `struct touch_object` has them.
type Key = [u32; 2];

/// Tells the programs of every map that is pinned, and of every program that is attached or behind a door.
pub(super) fn set(pins: &Pins, doors: &[Door]) -> Result<(), ProbeError> {
    let mut map = open(pins)?;
    let own = own(pins, doors)?;
    let present: Vec<Key> = map.keys().collect::<Result<_, _>>().map_err(failed)?;
    for key in present.iter().filter(|key| !own.contains(key)) {
        map.remove(key).map_err(failed)?;
    }
    own.iter().try_for_each(|key| map.insert(key, 1, 0)).map_err(failed)
}

/// Whether the programs know of all of them.
pub(super) fn are_set(pins: &Pins, doors: &[Door]) -> Result<bool, ProbeError> {
    let map = open(pins)?;
    let own = own(pins, doors)?;
    Ok(own.iter().all(|key| map.get(key, 0).is_ok()))
}

fn open(pins: &Pins) -> Result<HashMap<MapData, Key, u32>, ProbeError> {
    HashMap::try_from(Map::HashMap(pins.map("own_objects")?)).map_err(failed)
}

fn own(pins: &Pins, doors: &[Door]) -> Result<Vec<Key>, ProbeError> {
    let mut own: Vec<Key> = Vec::new();
    for pin in pins.all()?.iter().filter(|pin| !pin.starts_with("link_")) {
        let info = MapInfo::from_pin(pins.path(pin)).map_err(failed)?;
        own.push([EVENT_OBJECT_MAP, info.id()]);
    }
    for door in doors {
        own.extend([[EVENT_OBJECT_PROGRAM, door.id], [EVENT_OBJECT_PROGRAM, door.behind_id]]);
    }
    Ok(own)
}

fn failed(source: MapError) -> ProbeError {
    ProbeError::Map { name: "own_objects", source: Box::new(source) }
}
