//! Two clocks and the correction between them.
//!
//! Kernel events are stamped on the host's boot clock (`CLOCK_BOOTTIME`, which never jumps). A
//! batch carries, frozen when it was sealed, what turns that into the sensor's wall clock and
//! into the collector's; nothing is ever recomputed afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment on a host's boot clock: nanoseconds since boot, sleep included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// A moment this many nanoseconds after boot.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since boot.
    pub const fn ns(self) -> u64 {
        self.0
    }
}

/// A moment on a wall clock: nanoseconds since 1970-01-01T00:00:00Z, before or after.
///
/// Spans 1677 to 2262; arithmetic saturates at both ends, as hosts may claim any time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(i64);

impl WallTime {
    /// A moment this many nanoseconds after (or, negative, before) the Unix epoch.
    pub const fn from_unix_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn unix_ns(self) -> i64 {
        self.0
    }

    /// This moment moved by `ns`, stopping at the ends of what can be said.
    pub const fn saturating_add_ns(self, ns: i64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// How far `self` is after `earlier`, in nanoseconds, saturating.
    pub const fn ns_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for WallTime {
    /// RFC 3339 in UTC, to the nanosecond where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(t) => t.fmt(f),
            Err(_) => write!(f, "@{}ns", self.0),
        }
    }
}

/// What turns a host's boot clock into wall-clock times, frozen when a batch was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    /// The sensor's wall clock minus its boot clock, in ns.
    pub boot_to_wall_ns: i64,
    /// The collector's wall clock minus the sensor's, in ns, as last measured; 0 if never.
    pub offset_ns: i64,
    /// Half the round trip that `offset_ns` was measured with, in ns; `u64::MAX` if never measured.
    pub uncertainty_ns: u64,
}

impl Clock {
    /// What the host's own wall clock showed (`event.sensor_time`).
    pub fn sensor_time(&self, t: BootTime) -> WallTime {
        let ns = i128::from(t.ns()) + i128::from(self.boot_to_wall_ns);
        WallTime(clamp(ns))
    }

    /// The time corrected to the collector's clock (`@timestamp`).
    pub fn timestamp(&self, t: BootTime) -> WallTime {
        let ns = i128::from(t.ns()) + i128::from(self.boot_to_wall_ns) + i128::from(self.offset_ns);
        WallTime(clamp(ns))
    }
}

fn clamp(ns: i128) -> i64 {
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// The time an event is found by: its corrected time, or the time of receipt where the two are
/// more than a day apart, so that a host in 2262 does not head every search.
pub fn indexed_time(timestamp: WallTime, received: WallTime) -> WallTime {
    const DAY_NS: i64 = 86_400_000_000_000;
    let apart = timestamp.ns_since(received);
    if apart.unsigned_abs() > DAY_NS as u64 { received } else { timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_far_in_the_future_is_indexed_at_receipt() {
        let now = WallTime::from_unix_ns(1_800_000_000_000_000_000);
        assert_eq!(indexed_time(WallTime::from_unix_ns(i64::MAX), now), now);
        assert_eq!(indexed_time(WallTime::from_unix_ns(i64::MIN), now), now);
        let hour_back = now.saturating_add_ns(-3_600_000_000_000);
        assert_eq!(indexed_time(hour_back, now), hour_back);
    }

    #[test]
    fn absurd_clocks_saturate() {
        let clock = Clock { boot_to_wall_ns: i64::MAX, offset_ns: i64::MAX, uncertainty_ns: 0 };
        assert_eq!(clock.timestamp(BootTime::from_ns(u64::MAX)).unix_ns(), i64::MAX);
    }
}
