//! Which collector to try next, and when.

use std::time::Duration;

use wire::time::BootTime;

/// How long a session must have lived for its end to be no sign of trouble.
const STABLE: Duration = Duration::from_secs(30);
/// The first pause after every collector was tried.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause before the first attempt after a good session: a fleet does not come back at once.
const SPREAD: Duration = Duration::from_secs(1);

/// The list of collectors, and how the attempts went.
///
/// Each is tried once, in turn, without a pause; after a whole round there is one, jittered, twice
/// as long each time, up to 30 s. After a session that lived, it begins again at the next of the
/// list, as the one that ended is the least likely to answer.
#[derive(Debug)]
pub struct Reconnect {
    n_collectors: usize,
    next: usize,
    /// Attempts since the last session that lived.
    failed: u32,
    up_since: Option<BootTime>,
}

/// One attempt to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Which of the list.
    pub collector: usize,
    /// How long to wait before.
    pub pause: Duration,
}

impl Reconnect {
    /// Begins with the first of so many collectors, at once.
    pub fn new(n_collectors: usize) -> Self {
        Self { n_collectors: n_collectors.max(1), next: 0, failed: 0, up_since: None }
    }

    /// A session is live.
    pub fn handle_up(&mut self, now: BootTime) {
        self.up_since = Some(now);
    }

    /// The next attempt; `random` is any number, all equally likely.
    pub fn next_attempt(&mut self, now: BootTime, random: u64) -> Attempt {
        let lived = self.up_since.take().is_some_and(|t| now.ns().saturating_sub(t.ns()) >= nanos(STABLE));
        let pause = if lived {
            self.failed = 0;
            jitter(SPREAD, random)
        } else {
            let rounds = self.failed / u32::try_from(self.n_collectors).unwrap_or(u32::MAX);
            let begins_round = (self.failed as usize).is_multiple_of(self.n_collectors);
            if rounds == 0 || !begins_round {
                Duration::ZERO
            } else {
                let longest = FIRST_PAUSE.saturating_mul(1 << (rounds - 1).min(10)).min(LONGEST_PAUSE);
                longest / 2 + jitter(longest / 2, random)
            }
        };
        let collector = self.next;
        self.next = (self.next + 1) % self.n_collectors;
        self.failed = self.failed.saturating_add(1);
        Attempt { collector, pause }
    }
}

fn jitter(longest: Duration, random: u64) -> Duration {
    Duration::from_nanos(random % nanos(longest).max(1))
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_ns(seconds * 1_000_000_000)
    }

    #[test]
    fn every_collector_is_tried_before_the_first_pause() {
        let mut list = Reconnect::new(3);
        for collector in 0..3 {
            assert_eq!(list.next_attempt(at(0), u64::MAX), Attempt { collector, pause: Duration::ZERO });
        }
        let fourth = list.next_attempt(at(0), 0);
        assert_eq!(fourth, Attempt { collector: 0, pause: Duration::from_millis(250) });
        assert_eq!(list.next_attempt(at(0), 0).pause, Duration::ZERO);
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut list = Reconnect::new(1);
        let pauses: Vec<_> = (0..40).map(|_| list.next_attempt(at(0), u64::MAX).pause).collect();
        assert!(pauses.is_sorted_by_key(|p| p.as_millis() / 100 * 100 / 15_000), "{pauses:?}");
        assert!(pauses.iter().all(|p| *p <= LONGEST_PAUSE));
        assert!(pauses.iter().rev().take(5).all(|p| *p >= LONGEST_PAUSE / 2));
    }

    #[test]
    fn a_session_that_lived_starts_over_at_the_next() {
        let mut list = Reconnect::new(2);
        assert_eq!(list.next_attempt(at(0), 0).collector, 0);
        list.handle_up(at(1));
        let next = list.next_attempt(at(100), u64::MAX);
        assert_eq!(next.collector, 1);
        assert!(next.pause <= SPREAD);
        assert_eq!(list.next_attempt(at(100), 7), Attempt { collector: 0, pause: Duration::ZERO });
    }
}
