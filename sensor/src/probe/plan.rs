//! All that decides what is loaded.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aya::util::nr_cpus;
use aya::{Btf, Ebpf, EbpfLoader};
use sensor_bpf::Object;
use sensor_bpf::event::{EVENT_DNS_PORTS, EVENT_N_CLASSES, event_config};
use zerocopy::IntoBytes;

use super::cgroup::{self, Confinement};
use super::pins::{Half, Pins};
use super::sight::Sight;
use super::{KernelVersion, ProbeConfig, ProbeError, host};
use crate::record::PerClass;

/// Buffers for large records beyond one for each CPU: for runs that preempted others.
const SPARE_SCRATCH: u32 = 8;

/// The first kernel whose atomic instructions can return the old value.
const ATOMIC_FETCH: KernelVersion = KernelVersion { major: 5, minor: 12 };

/// The first kernel that can be asked to loop.
const LOOP: KernelVersion = KernelVersion { major: 5, minor: 17 };

/// The rings, in the order of [`crate::record::Class::ALL`].
pub(super) const RINGS: PerClass<&str> = ["ring_process", "ring_bulk", "ring_file"];

/// What numbers the records in them.
pub(super) const COUNTERS: &str = "counters";

/// Two equal plans put the same programs behind the doors, with the same maps.
pub(super) struct Plan {
    object: Object,
    config: event_config,
    n_cpus: u32,
    ring_bytes: PerClass<u32>,
    on_demand: bool,
}

impl Plan {
    pub(super) fn new(config: &ProbeConfig, version: KernelVersion) -> Result<Self, ProbeError> {
        let confined = config.cgroup.as_deref().map(Confinement::to).transpose()?;
        let n_cpus = nr_cpus().map_or(1, |n| n as u32).max(1);
        let ring_bytes = config.ring_bytes.map(|bytes| bytes.clamp(1 << 16, 1 << 30).next_power_of_two());
        Ok(Self {
            object: match version {
                version if version < ATOMIC_FETCH => sensor_bpf::BEFORE_5_12,
                version if version < LOOP => sensor_bpf::BEFORE_5_17,
                _ => sensor_bpf::CURRENT,
            },
            config: event_config {
                confine_cgroup: confined.as_ref().map_or(0, |c| c.id),
                unread_ns: u64::try_from(config.unread.as_nanos()).unwrap_or(u64::MAX),
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
            on_demand: config.on_demand,
        })
    }

    /// How long nothing must come for a flow of datagrams to have ended.
    pub(super) fn flow_idle(&self) -> Duration {
        Duration::from_nanos(self.config.flow_idle_ns)
    }

    /// Whether something is to be seen.
    pub(super) fn wants(&self, sight: &Sight) -> bool {
        self.on_demand || !sight.is_on_demand()
    }

    /// A digest of everything that is loaded.
    pub(super) fn identity(&self) -> Half {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.object.bytes).update(self.config.as_bytes()).update(&[self.on_demand.into()]);
        for bytes in self.ring_bytes {
            hasher.update(&bytes.to_le_bytes());
        }
        let mut identity = Half::default();
        hasher.finalize_xof().fill(&mut identity);
        identity
    }

    /// How each map is pinned: by its name and a digest of what it holds and how much of that. Maps that are read together
    /// have the digest of all of them; that of rings begins with the digest of the records.
    pub(super) fn pins(&self) -> BTreeMap<&'static str, String> {
        let sizes = self.sizes();
        let digest = |of: &str| {
            let mut hasher = blake3::Hasher::new();
            for (name, digest) in self.object.maps.iter().filter(|(name, _)| group(name) == of) {
                hasher.update(digest).update(&sizes.get(name).copied().unwrap_or(0).to_le_bytes());
            }
            let mut short = [0; 8];
            hasher.finalize_xof().fill(&mut short);
            hex::encode(short)
        };
        let pin = |name: &'static str| match (group(name), digest(group(name))) {
            (GROUP_OF_RINGS, digest) => {
                (name, format!("{name}-{}{}", records(), digest.get(..8).unwrap_or_default()))
            }
            (_, digest) => (name, format!("{name}-{digest}")),
        };
        self.object.maps.iter().map(|(name, _)| pin(name)).collect()
    }

    /// Creates the maps, or takes those that are pinned already and pins the others; no program is loaded yet. Without pins
    /// none is kept.
    pub(super) fn load(&self, btf: &Btf, pins: Option<&Pins>) -> Result<Ebpf, ProbeError> {
        let mut loader = EbpfLoader::new();
        for (map, entries) in self.sizes() {
            loader.map_max_entries(map, entries);
        }
        for name in pins.iter().flat_map(|pins| pins.maps().keys()) {
            loader.map_pin_path(name, pins.map(|pins| pins.map_path(name)).unwrap_or_default());
        }
        loader
            .btf(Some(btf))
            .override_global("config", self.config.as_bytes(), true)
            .load(self.object.bytes)
            .map_err(|source| ProbeError::Load { source: Box::new(source) })
    }

    /// The maps whose size is not that of their definition.
    fn sizes(&self) -> HashMap<&'static str, u32> {
        let rings = RINGS.into_iter().zip(self.ring_bytes);
        let others = [(COUNTERS, self.n_cpus * EVENT_N_CLASSES), ("scratches", self.config.n_scratch)];
        rings.chain(others).collect()
    }
}

/// As the programs have them: as many as there is room for.
fn ports(given: &[u16]) -> [u16; EVENT_DNS_PORTS as usize] {
    let mut ports = [0; EVENT_DNS_PORTS as usize];
    ports.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
    ports
}

/// What the digest of rings begins with whose records this version can read.
pub(super) fn records() -> String {
    let mut digest = hex::encode(sensor_bpf::RECORDS);
    digest.truncate(8);
    digest
}

/// What rings and the counters of their records are called together.
const GROUP_OF_RINGS: &str = "ring";

/// Which maps make sense only together.
fn group(map: &str) -> &str {
    match map {
        COUNTERS => GROUP_OF_RINGS,
        _ if RINGS.contains(&map) => GROUP_OF_RINGS,
        _ if map.starts_with("match_") => "match_",
        _ if map.starts_with("filter") => "filter",
        _ if map.starts_with("unserved") => "unserved",
        map => map,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn pins(config: &ProbeConfig) -> BTreeMap<&'static str, String> {
        Plan::new(config, KernelVersion { major: 6, minor: 1 }).unwrap().pins()
    }

    #[test]
    fn only_what_holds_something_else_is_another_map() {
        let config = ProbeConfig::default();
        let (one, same) = (pins(&config), pins(&ProbeConfig { name: "other".into(), ..config.clone() }));
        assert_eq!(one, same);
        let other = pins(&ProbeConfig { ring_bytes: [1 << 20, 1 << 21, 1 << 22], ..config });
        let differ: Vec<_> = one.iter().filter(|(name, pin)| other.get(*name) != Some(pin)).collect();
        let names: Vec<_> = differ.iter().map(|(name, _)| **name).collect();
        assert_eq!(names, ["counters", "ring_bulk", "ring_file", "ring_process"]);
        let set = |pins: &BTreeMap<_, String>, name| {
            pins.get(name).and_then(|pin| pin.rsplit_once('-')).map(|(_, set)| set.to_owned())
        };
        assert_eq!(set(&one, "counters"), set(&one, "ring_file"));
        assert!(
            set(&other, "counters").unwrap().starts_with(&records()),
            "their records can be read all the same"
        );
    }
}
