//! Which collector to try next, when, and how patiently.

use std::time::Duration;

use wire::frame::Code;
use wire::time::BootTime;

/// How long a session must have lived for its end to be no sign of trouble.
const STABLE: Duration = Duration::from_secs(30);
/// The first pause after every collector was tried.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause before going back to the only collector there is, after a session that lived: thousands of
/// handshakes cost it seconds.
const SPREAD: Duration = Duration::from_secs(12);
/// The same before going to another of the list: its hosts are not gone all at once.
const SPREAD_ELSEWHERE: Duration = Duration::from_secs(2);
/// The most patience there is.
const MOST_PATIENCE: u32 = 4;
/// How many times as long as usual the only collector there is may be silent: to leave it gains nothing, and a fleet that
/// leaves one that is only short of CPU takes all of that for handshakes.
const SILENCE_OF_THE_ONLY_ONE: u32 = 3;

/// The list of collectors, and how the attempts went.
///
/// Each is tried once, in turn, without a pause; after a whole round there is one, jittered, twice as long each time,
/// up to 30 s. A session that lived for less than 30 s is an attempt that failed: so pauses grow across sessions that
/// begin and end again. After one that lived, it begins again at the next of the list, as the one that ended is the
/// least likely to answer; when it ended because somebody was too slow, patience and pauses begin one step further.
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
    /// How many times as long as usual a handshake may take: who was given up as too slow is given more time, as
    /// another handshake costs it more than an answer.
    pub patience: u32,
    /// The same for how long the collector may be silent.
    pub silence: u32,
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

    /// What ended, or never began, ended with this code; the next attempt. `random` is any number, all equally likely.
    pub fn next_attempt(&mut self, now: BootTime, ended: Option<Code>, random: u64) -> Attempt {
        let n = u32::try_from(self.n_collectors).unwrap_or(u32::MAX);
        let lived = self.up_since.take().is_some_and(|t| now.ns().saturating_sub(t.ns()) >= nanos(STABLE));
        let pause = if lived {
            let was_slow = ended.is_some_and(|code| [Code::TOO_SLOW, Code::BUSY].contains(&code));
            self.failed = if was_slow { n } else { 0 };
            jitter(if n > 1 { SPREAD_ELSEWHERE } else { SPREAD }, random)
        } else {
            let begins_round = self.failed.is_multiple_of(n);
            match self.failed / n {
                0 => Duration::ZERO,
                _ if !begins_round => Duration::ZERO,
                rounds => {
                    let longest = FIRST_PAUSE.saturating_mul(1 << (rounds - 1).min(10)).min(LONGEST_PAUSE);
                    longest / 2 + jitter(longest / 2, random)
                }
            }
        };
        let patience = (1 + self.failed / n).min(MOST_PATIENCE);
        let silence = patience.max(if n > 1 { 1 } else { SILENCE_OF_THE_ONLY_ONE });
        let attempt = Attempt { collector: self.next, pause, patience, silence };
        self.next = (self.next + 1) % self.n_collectors;
        self.failed = self.failed.saturating_add(1);
        attempt
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

    /// The attempt after one that came to nothing.
    fn again(list: &mut Reconnect, random: u64) -> Attempt {
        list.next_attempt(at(0), None, random)
    }

    #[test]
    fn every_collector_is_tried_before_the_first_pause() {
        let mut list = Reconnect::new(3);
        for collector in 0..3 {
            let attempt = Attempt { collector, pause: Duration::ZERO, patience: 1, silence: 1 };
            assert_eq!(again(&mut list, u64::MAX), attempt);
        }
        let fourth = Attempt { collector: 0, pause: Duration::from_millis(500), patience: 2, silence: 2 };
        assert_eq!(again(&mut list, 0), fourth);
        assert_eq!(again(&mut list, 0).pause, Duration::ZERO);
    }

    #[test]
    fn pauses_and_patience_grow_and_stay_bounded() {
        let mut list = Reconnect::new(1);
        let attempts: Vec<_> = (0..40).map(|_| again(&mut list, u64::MAX)).collect();
        let half_seconds = |a: &Attempt| a.pause.as_millis() / 500 * 500 / 15_000;
        assert!(attempts.is_sorted_by_key(half_seconds), "{attempts:?}");
        assert!(attempts.is_sorted_by_key(|a| a.patience), "{attempts:?}");
        assert!(attempts.iter().all(|a| a.pause <= LONGEST_PAUSE && a.patience <= MOST_PATIENCE));
        assert!(attempts.iter().rev().take(5).all(|a| a.pause >= LONGEST_PAUSE / 2));
    }

    #[test]
    fn a_session_that_lived_starts_over_at_the_next() {
        let mut list = Reconnect::new(2);
        assert_eq!(again(&mut list, 0).collector, 0);
        list.handle_up(at(1));
        let next = list.next_attempt(at(100), Some(Code::SHUTDOWN), u64::MAX);
        assert_eq!((next.collector, next.patience), (1, 1));
        assert!(next.pause <= SPREAD_ELSEWHERE);
        let other = Attempt { collector: 0, pause: Duration::ZERO, patience: 1, silence: 1 };
        assert_eq!(list.next_attempt(at(100), None, 7), other);
    }

    #[test]
    fn pauses_grow_across_sessions_that_do_not_live() {
        let mut list = Reconnect::new(1);
        let mut pause = |second| {
            let attempt = list.next_attempt(at(second), Some(Code::TOO_SLOW), 0);
            list.handle_up(at(second));
            attempt.pause
        };
        let pauses: Vec<_> = (0..60).step_by(10).map(|second| pause(second).as_millis()).collect();
        assert_eq!(pauses, [0, 500, 1_000, 2_000, 4_000, 8_000]);
    }

    #[test]
    fn a_fleet_that_was_cut_off_comes_back_over_seconds_and_a_host_soon() {
        let pause_of = |random| {
            let mut list = Reconnect::new(1);
            again(&mut list, 0);
            list.handle_up(at(1));
            list.next_attempt(at(100), Some(Code::SHUTDOWN), random).pause
        };
        let pauses: Vec<Duration> = (0..6_000).map(|n| pause_of(n * nanos(SPREAD) / 6_000)).collect();
        let in_second = |s| pauses.iter().filter(|pause| pause.as_secs() == s).count();
        assert_eq!((0..12).map(in_second).collect::<Vec<_>>(), [500; 12]);
        assert!(pauses.iter().sum::<Duration>() / 6_000 <= Duration::from_secs(6));
    }

    #[test]
    fn who_was_too_slow_after_a_long_time_is_given_more_time() {
        let mut list = Reconnect::new(1);
        again(&mut list, 0);
        list.handle_up(at(1));
        assert_eq!(list.next_attempt(at(100), Some(Code::TOO_SLOW), 0).patience, 2);
        list.handle_up(at(101));
        let after = list.next_attempt(at(200), Some(Code::SHUTDOWN), 0);
        assert_eq!((after.patience, after.silence), (1, SILENCE_OF_THE_ONLY_ONE));
    }
}
