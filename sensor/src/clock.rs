//! The host's two clocks.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use wire::time::{BootTime, Clock, WallTime};

/// Both clocks at (almost) one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// `CLOCK_BOOTTIME`.
    pub boot: BootTime,
    /// `CLOCK_REALTIME`.
    pub wall: WallTime,
}

impl Reading {
    /// Reads both clocks: the wall clock between two readings of the boot clock, so that being
    /// interrupted in between shows; the closest of three tries counts.
    ///
    /// # Errors
    /// When the kernel has no such clock (`CLOCK_BOOTTIME` came with 2.6.39).
    pub fn now() -> nix::Result<Self> {
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..3 {
            let before = boot_time()?;
            let wall = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME)?).as_nanos();
            let after = boot_time()?;
            let apart = after.ns().saturating_sub(before.ns());
            let reading = Self {
                boot: BootTime::from_ns(before.ns() + apart / 2),
                wall: WallTime::from_unix_ns(i64::try_from(wall).unwrap_or(i64::MAX)),
            };
            if best.is_none_or(|(least, _)| apart < least) {
                best = Some((apart, reading));
            }
        }
        best.map(|(_, reading)| reading).ok_or(nix::Error::EINVAL)
    }

    /// The wall clock minus the boot clock, in ns.
    pub fn boot_to_wall_ns(&self) -> i64 {
        let boot_ns = i64::try_from(self.boot.ns()).unwrap_or(i64::MAX);
        self.wall.unix_ns().saturating_sub(boot_ns)
    }

    /// What a batch sealed now carries while the collector's clock is not known.
    pub fn clock(&self) -> Clock {
        Clock { boot_to_wall_ns: self.boot_to_wall_ns(), offset_ns: 0, uncertainty_ns: u64::MAX }
    }
}

/// The boot clock now.
///
/// # Errors
/// When the kernel has no such clock.
pub fn boot_time() -> nix::Result<BootTime> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?).as_nanos();
    Ok(BootTime::from_ns(u64::try_from(now).unwrap_or(u64::MAX)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_reading_turns_boot_times_into_wall_times() {
        let reading = Reading::now().unwrap();
        assert_eq!(reading.clock().sensor_time(reading.boot), reading.wall);
        let unix_now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let apart = (unix_now.as_nanos() as i64).abs_diff(reading.wall.unix_ns());
        assert!(apart < 60_000_000_000, "{apart}");
        assert!(boot_time().unwrap() >= reading.boot);
    }
}
