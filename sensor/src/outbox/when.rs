//! When batches go to disk, and how much of it they may take. Pure.
//!
//! - They go while nothing is acknowledged for [`QUIET`] though something is held (no session, a collector that hangs, a store
//!   that is away: from here all of that is the same), and while memory is half full. A good link never gets there: nothing is
//!   written but a note once a minute.
//! - Then they go every [`PACE`], or as soon as there is a bundle's worth of them: so long a power cut may reach back.
//! - They take at most what is configured, at most [`SHARE_PERCENT`] of the file system, and leave as much of it free for others.

use std::time::Duration;

use wire::time::BootTime;

use crate::spool::Room;

/// How long nothing may be acknowledged.
pub(super) const QUIET: Duration = Duration::from_secs(5);
/// How often batches go to disk, while they do.
pub(super) const PACE: Duration = Duration::from_secs(2);
/// How often it is noted what is durable, while nothing goes to disk.
pub(super) const NOTE: Duration = Duration::from_secs(60);
/// How long nothing is written after the disk said that it is full.
pub(super) const FULL: Duration = Duration::from_secs(1);
/// How long a disk that said so is taken for no larger than what it holds.
pub(super) const TIGHT: Duration = Duration::from_secs(30);
/// The most of a file system that the spool takes, and the least that it leaves free.
pub(super) const SHARE_PERCENT: u64 = 5;
/// What a bundle holds, if there is as much.
pub(super) const BUNDLE_BYTES: u64 = 512 << 10;
/// The most batches in one.
pub(super) const BUNDLE_BATCHES: usize = 1024;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: BootTime,
    /// How often something was acknowledged, ever.
    pub(super) n_acknowledged: u64,
    /// What lies in memory, what lies on disk, and what may lie in memory.
    pub(super) n_memory_bytes: u64,
    pub(super) n_disk_bytes: u64,
    pub(super) max_memory_bytes: u64,
}

/// Whether batches go to disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    quiet_since: BootTime,
    n_acknowledged: u64,
    is_filling: bool,
    went_at: BootTime,
    full_until: BootTime,
    tight_until: BootTime,
}

impl When {
    pub(super) fn new(now: BootTime) -> Self {
        let never = BootTime::default();
        Self {
            quiet_since: now,
            n_acknowledged: 0,
            is_filling: false,
            went_at: now,
            full_until: never,
            tight_until: never,
        }
    }

    /// Whether what lies in memory should go now.
    pub(super) fn look(&mut self, seen: Seen) -> bool {
        if seen.n_acknowledged != self.n_acknowledged || seen.n_memory_bytes + seen.n_disk_bytes == 0 {
            self.n_acknowledged = seen.n_acknowledged;
            self.quiet_since = seen.now;
        }
        let fill_percent = seen.n_memory_bytes.saturating_mul(100) / seen.max_memory_bytes.max(1);
        // Until it is a quarter: else it would go to and fro at the half.
        self.is_filling = fill_percent >= if self.is_filling { 25 } else { 50 };
        let is_quiet = passed(self.quiet_since, seen.now) >= QUIET;
        let is_worth_it = seen.n_memory_bytes >= BUNDLE_BYTES || passed(self.went_at, seen.now) >= PACE;
        (is_quiet || self.is_filling) && seen.n_memory_bytes > 0 && is_worth_it && !self.is_full(seen.now)
    }

    /// Takes note that all that lay in memory went to disk, or found no room there.
    pub(super) fn went(&mut self, now: BootTime) {
        self.went_at = now;
    }

    /// Takes note that the disk said it is full.
    pub(super) fn full(&mut self, now: BootTime) {
        self.full_until = after(now, FULL);
        self.tight_until = after(now, TIGHT);
    }

    /// Whether it said so a moment ago.
    pub(super) fn is_full(&self, now: BootTime) -> bool {
        now < self.full_until
    }

    /// How much the spool may take on a disk where it takes so much now.
    pub(super) fn bound(&self, now: BootTime, max_bytes: u64, room: Room, used: u64) -> u64 {
        let share = room.total_bytes / 100 * SHARE_PERCENT;
        let growth = if now < self.tight_until { 0 } else { room.free_bytes.saturating_sub(share) };
        max_bytes.min(share).min(used.saturating_add(growth))
    }
}

/// How much the spool may take of an idle disk, in bytes, if so much is configured.
pub fn most_on_disk(max_bytes: u64, room: Room) -> u64 {
    When::new(BootTime::default()).bound(BootTime::from_ns(1), max_bytes, room, 0)
}

/// How long ago `then` was.
pub(super) fn passed(then: BootTime, now: BootTime) -> Duration {
    Duration::from_nanos(now.ns().saturating_sub(then.ns()))
}

fn after(t: BootTime, d: Duration) -> BootTime {
    BootTime::from_ns(t.ns().saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime::from_ns(100_000_000_000 + ms * 1_000_000)
    }

    fn seen(ms: u64, n_acknowledged: u64, n_memory_bytes: u64) -> Seen {
        Seen { now: at(ms), n_acknowledged, n_memory_bytes, n_disk_bytes: 0, max_memory_bytes: 64 << 20 }
    }

    #[test]
    fn a_link_that_acknowledges_keeps_everything_in_memory() {
        let mut when = When::new(at(0));
        assert!((0..1000).all(|n| !when.look(seen(n * 1000, n, 20 << 20))), "busy");
        assert!((0..1000).all(|n| !when.look(seen(1_000_000 + n * 1000, 1000, 0))), "idle");
    }

    #[test]
    fn silence_sends_batches_to_disk_again_and_again_until_something_is_acknowledged() {
        let mut when = When::new(at(0));
        assert!(!when.look(seen(0, 0, 1000)));
        assert!(!when.look(seen(4_900, 0, 1000)));
        assert!(when.look(seen(5_100, 0, 1000)));
        when.went(at(5_100));
        let held = |ms, n_memory_bytes| Seen { n_disk_bytes: 9000, ..seen(ms, 0, n_memory_bytes) };
        assert!(!when.look(held(6_000, 1000)), "not at once");
        assert!(when.look(held(6_000, BUNDLE_BYTES)), "unless it is a lot");
        assert!(when.look(held(7_200, 1000)), "after a while");
        assert!(!when.look(held(7_200, 0)), "if there is anything");
        let heard = Seen { n_acknowledged: 1, ..held(7_300, BUNDLE_BYTES) };
        assert!(!when.look(heard), "a collector is there");
        assert!(!when.look(Seen { now: at(12_000), ..heard }));
        assert!(when.look(Seen { now: at(12_400), ..heard }), "and is gone again");
    }

    #[test]
    fn memory_that_is_half_full_goes_to_disk_whatever_is_acknowledged() {
        let mut when = When::new(at(0));
        assert!(!when.look(seen(10, 1, 31 << 20)));
        assert!(when.look(seen(20, 2, 32 << 20)));
        assert!(when.look(seen(30, 3, 17 << 20)), "until it is a quarter");
        assert!(!when.look(seen(40, 4, 15 << 20)));
        assert!(!when.look(seen(50, 5, 17 << 20)));
    }

    #[test]
    fn a_disk_is_left_to_others() {
        const MIB: u64 = 1 << 20;
        let mut when = When::new(at(0));
        let room = |total, free| Room { total_bytes: total * MIB, free_bytes: free * MIB };
        let bound = |when: &When, total, free, used| {
            when.bound(at(0), 512 * MIB, room(total, free), used * MIB) / MIB
        };
        assert_eq!(bound(&when, 100_000, 50_000, 0), 512, "what is configured");
        assert_eq!(bound(&when, 1000, 500, 0), 50, "5 % of a small one");
        assert_eq!(bound(&when, 1000, 70, 10), 30, "5 % stay free");
        assert_eq!(bound(&when, 1000, 20, 10), 10, "what is there stays, and takes turns");
        when.full(at(0));
        assert_eq!(bound(&when, 1000, 500, 10), 10, "whatever it says of its room");
        assert!(!when.look(seen(900, 0, 60 << 20)) && when.look(seen(1_000, 0, 60 << 20)));
    }
}
