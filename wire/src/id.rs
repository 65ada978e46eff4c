//! Identities: who sent it, which process, which event.
//!
//! Every id is parsed once, at the edge; a value that exists is well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::BootTime;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is already known to name such a thing.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(s: &str) -> Result<Self, IdError> {
                Uuid::parse_str(s)
                    .map(Self)
                    .map_err(|_| IdError::new(s, "a UUID such as 0197c1de-93b4-7f00-8000-000000000000"))
            }
        }
    };
}

uuid_id! {
    /// A host, from its enrolment on: the UUID in its certificate. Never taken from a message.
    HostId
}
uuid_id! {
    /// One boot of a host: `/proc/sys/kernel/random/boot_id`.
    BootId
}
uuid_id! {
    /// One run of a sensor's numbering (a UUIDv7): new at every start of the sensor and after
    /// every outage that left a backlog.
    Epoch
}

impl HostId {
    /// The number of shards that every stored key is spread over.
    pub const N_BUCKETS: u16 = 64;

    /// The shard this host's rows belong to, in `0..N_BUCKETS`: fixed for ever, as it is stored in
    /// every key. The first two bytes of `blake3(host id bytes)`, modulo 64.
    pub fn bucket(self) -> i16 {
        let hash = blake3::hash(self.0.as_bytes());
        let [a, b, ..] = *hash.as_bytes();
        (u16::from_le_bytes([a, b]) % Self::N_BUCKETS) as i16
    }
}

/// Which of a sensor's two flows an event travels in; neither can delay or evict the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Lane {
    /// Process life, verdicts, findings and the sensor's own events.
    Critical = 0,
    /// Everything else.
    Bulk = 1,
}

impl Lane {
    /// Both lanes, in the order of their numbers.
    pub const ALL: [Lane; 2] = [Lane::Critical, Lane::Bulk];

    /// The lane with this number, if there is one.
    pub fn from_number(n: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| *lane as u8 == n)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::Critical => "critical",
            Lane::Bulk => "bulk",
        })
    }
}

impl FromStr for Lane {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        match s {
            "critical" => Ok(Lane::Critical),
            "bulk" => Ok(Lane::Bulk),
            _ => Err(IdError::new(s, "critical or bulk")),
        }
    }
}

/// One numbered sequence of events: a host's epoch and lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct StreamId {
    /// The host, as its certificate says.
    pub host: HostId,
    /// The run of the sensor's numbering.
    pub epoch: Epoch,
    /// The lane within that run.
    pub lane: Lane,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.host, self.epoch, self.lane)
    }
}

/// The name of one event for ever: `host.epoch.lane.sequence`, the same after a resend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId {
    /// The stream that carried the event.
    pub stream: StreamId,
    /// Its number in that stream, from 0, without gaps.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.seq)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::new(s, "an event id such as HOST.EPOCH.critical.42");
        let mut parts = s.split('.');
        let (Some(host), Some(epoch), Some(lane), Some(seq), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        Ok(Self {
            stream: StreamId {
                host: host.parse().map_err(|_| bad())?,
                epoch: epoch.parse().map_err(|_| bad())?,
                lane: lane.parse().map_err(|_| bad())?,
            },
            seq: seq.parse().map_err(|_| bad())?,
        })
    }
}

/// A process within one boot of one host: when it started and its thread-group id.
///
/// The same before and after exec, and before and after a sensor's restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ProcessKey {
    /// `task_struct::start_boottime` of the thread-group leader (ns on the boot clock).
    pub start: BootTime,
    /// Thread-group id in the host's pid namespace (what user space calls the pid).
    pub pid: u32,
}

impl ProcessKey {
    /// The fleet-wide name of this process.
    pub fn entity(self, host: HostId, boot: BootId) -> EntityId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(host.uuid().as_bytes());
        hasher.update(boot.uuid().as_bytes());
        hasher.update(&self.start.ns().to_le_bytes());
        hasher.update(&self.pid.to_le_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        EntityId(u64::from_le_bytes(bytes))
    }
}

/// `process.entity_id`: the first 64 bits of `blake3(host, boot, start ns, pid)`, little endian, shown as 16 hex digits.
///
/// Unique within a host for all practical purposes (about 3 in a million that any two of ten
/// million processes collide); stored keys always carry the host beside it, so a collision
/// between hosts, chosen or not, joins nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(u64);

impl EntityId {
    /// Wraps a stored hash.
    pub const fn new(hash: u64) -> Self {
        Self(hash)
    }

    /// The hash itself.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({self})")
    }
}

impl FromStr for EntityId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let bad = || IdError::new(s, "an entity id: 16 hex digits");
        if s.len() != 16 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u64::from_str_radix(s, 16).map(Self).map_err(|_| bad())
    }
}

/// A text that should have been an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid id {found:?}, expected {expected}")]
pub struct IdError {
    found: String,
    expected: &'static str,
}

impl IdError {
    fn new(found: &str, expected: &'static str) -> Self {
        Self { found: found.chars().take(64).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_id_survives_a_round_trip() {
        let id = EventId {
            stream: StreamId {
                host: HostId::new(Uuid::from_u128(1)),
                epoch: Epoch::new(Uuid::from_u128(2)),
                lane: Lane::Bulk,
            },
            seq: 42,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn entity_differs_by_every_part() {
        let key = ProcessKey { start: BootTime::from_ns(7), pid: 9 };
        let (host, boot) = (HostId::new(Uuid::from_u128(1)), BootId::new(Uuid::from_u128(2)));
        let one = key.entity(host, boot);
        assert_eq!(one, key.entity(host, boot));
        assert_ne!(one, key.entity(HostId::new(Uuid::from_u128(3)), boot));
        assert_ne!(one, key.entity(host, BootId::new(Uuid::from_u128(3))));
        assert_ne!(one, ProcessKey { pid: 10, ..key }.entity(host, boot));
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn bucket_is_what_it_was_when_first_stored() {
        assert_eq!(HostId::new(Uuid::from_u128(1)).bucket(), HostId::new(Uuid::from_u128(1)).bucket());
        assert!((0..64).contains(&HostId::new(Uuid::from_u128(77)).bucket()));
    }
}
