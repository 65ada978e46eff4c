//! The collector's clock, measured as NTP does.

use std::collections::VecDeque;

use wire::time::{BootTime, WallTime};

use crate::uplink::ClockOffset;

/// The last measurements; the one with the shortest round trip counts.
///
/// Measured against the boot clock, so a step of this host's wall clock spoils nothing.
#[derive(Debug, Default)]
pub(super) struct ClockFilter {
    last: VecDeque<ClockOffset>,
}

impl ClockFilter {
    const KEPT: usize = 8;

    /// Adds a probe that left at `sent`, came to the collector at `received` (its clock), left it
    /// at `replied` and came back at `now`. Gives the best of the last eight, or `None` if the
    /// times cannot be: a reply before its probe, or a collector slower than the round trip.
    pub(super) fn add(
        &mut self,
        sent: BootTime,
        received: WallTime,
        replied: WallTime,
        now: BootTime,
    ) -> Option<ClockOffset> {
        let [t0, t3] = [sent, now].map(|t| i128::from(t.ns()));
        let [t1, t2] = [received, replied].map(|t| i128::from(t.unix_ns()));
        let round_trip = (t3 - t0) - (t2 - t1);
        if t3 < t0 || t2 < t1 || round_trip < 0 {
            return None;
        }
        let offset = ((t1 - t0) + (t2 - t3)) / 2;
        self.last.push_back(ClockOffset {
            collector_minus_boot_ns: i64::try_from(offset).ok()?,
            uncertainty_ns: u64::try_from(round_trip / 2).ok()?,
            measured: now,
        });
        if self.last.len() > Self::KEPT {
            self.last.pop_front();
        }
        self.last.iter().copied().min_by_key(|one| one.uncertainty_ns)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn boot(ms: u64) -> BootTime {
        BootTime::from_ns(ms * 1_000_000)
    }

    fn wall(ms: i64) -> WallTime {
        WallTime::from_unix_ns(ms * 1_000_000)
    }

    #[test]
    fn shortest_round_trip_of_the_last_eight_counts() {
        let mut filter = ClockFilter::default();
        // The collector's clock reads 1,000,000 ms when ours reads 0.
        let slow = filter.add(boot(0), wall(1_000_300), wall(1_000_300), boot(400)).unwrap();
        assert_eq!(slow.uncertainty_ns, 200_000_000);
        assert_eq!(slow.collector_minus_boot_ns, 1_000_100_000_000);
        let fast = filter.add(boot(1000), wall(1_001_001), wall(1_001_005), boot(1006)).unwrap();
        assert_eq!(fast.collector_minus_boot_ns, 1_000_000_000_000);
        assert_eq!(fast.uncertainty_ns, 1_000_000);
        for i in 0..7 {
            let best = filter.add(boot(2000), wall(1_002_050), wall(1_002_050), boot(2100)).unwrap();
            assert_eq!(best.uncertainty_ns, 1_000_000, "probe {i}");
        }
        let aged = filter.add(boot(2000), wall(1_002_050), wall(1_002_050), boot(2100)).unwrap();
        assert_eq!(aged.uncertainty_ns, 50_000_000);
    }

    #[test]
    fn impossible_times_are_ignored() {
        let mut filter = ClockFilter::default();
        assert_eq!(filter.add(boot(10), wall(5), wall(5), boot(9)), None);
        assert_eq!(filter.add(boot(10), wall(5), wall(4), boot(11)), None);
        assert_eq!(filter.add(boot(10), wall(0), wall(5), boot(11)), None);
        let absurd =
            filter.add(boot(0), WallTime::from_unix_ns(i64::MIN), WallTime::from_unix_ns(i64::MAX), boot(1));
        assert_eq!(absurd, None);
    }
}
