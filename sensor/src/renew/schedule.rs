//! When to renew. Pure: the clock and the dice are parameters.

use std::time::Duration;

use crate::identity::Validity;

/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1800));

/// The state of renewing.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The host's clock, in seconds since the Unix epoch.
    pub now: i64,
    /// Failures since the last success.
    pub n_failures: u32,
    /// Not to be tried again before this, in seconds since the Unix epoch.
    pub not_before: i64,
    /// Any number: spreads a fleet that was enrolled at once.
    pub jitter: u64,
    /// When a collector has asked for it, if it has: then it is due at the latest.
    pub asked: Option<i64>,
}

/// How long to wait before renewing; zero: now.
///
/// A certificate is renewed between 45 and 55 % of its life. One that has ended, or begins in the future (the
/// clock was wrong then or is wrong now), is renewed at once.
pub fn next(validity: Validity, attempt: Attempt) -> Duration {
    let Validity { not_before, not_after } = validity;
    let life = not_after.saturating_sub(not_before);
    let spread = (life / 10).max(1);
    let offset = i64::try_from(attempt.jitter % spread.unsigned_abs()).unwrap_or(0);
    let due =
        if attempt.now < not_before { attempt.now } else { not_before + life / 2 - spread / 2 + offset };
    let due = attempt.asked.map_or(due, |asked| due.min(asked));
    // After a failure the pause decides; a clock that jumped back must not make it endless.
    let held = if attempt.n_failures == 0 {
        due
    } else {
        attempt.not_before.min(attempt.now + PAUSE.1.as_secs().cast_signed())
    };
    Duration::from_secs(u64::try_from(held.saturating_sub(attempt.now)).unwrap_or(0))
}

/// How long to wait after the `n`th failure in a row: doubling, with a half of it left to chance.
pub(super) fn pause(n: u32, jitter: u64) -> Duration {
    let (first, most) = PAUSE;
    let whole = first.saturating_mul(1 << n.saturating_sub(1).min(16)).min(most);
    let half = whole.as_secs() / 2;
    Duration::from_secs(half + jitter % (half + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Validity = Validity { not_before: 0, not_after: 86_400 };

    fn attempt(now: i64) -> Attempt {
        Attempt { now, n_failures: 0, not_before: 0, jitter: 0, asked: None }
    }

    #[test]
    fn it_is_due_about_half_way() {
        for jitter in [0, 1, 4321, u64::MAX] {
            let wait = next(DAY, Attempt { jitter, ..attempt(0) }).as_secs();
            assert!((38_880..=47_520).contains(&wait), "{wait}");
        }
        assert_eq!(next(DAY, attempt(50_000)), Duration::ZERO);
    }

    #[test]
    fn an_ended_certificate_and_one_of_the_future_are_due_now() {
        assert_eq!(next(DAY, attempt(10_000_000)), Duration::ZERO);
        assert_eq!(next(DAY, attempt(-5)), Duration::ZERO);
    }

    #[test]
    fn a_collector_can_ask_for_it_earlier_but_not_later() {
        let asked = |at| next(DAY, Attempt { asked: Some(at), ..attempt(100) }).as_secs();
        assert_eq!(asked(160), 60);
        assert_eq!(asked(50), 0);
        assert_eq!(asked(i64::MAX), next(DAY, attempt(100)).as_secs());
    }

    #[test]
    fn failures_make_it_wait_longer_but_not_for_ever() {
        assert!((7..=15).contains(&pause(1, 3).as_secs()));
        assert!((900..=1800).contains(&pause(40, u64::MAX).as_secs()));
        let failed = Attempt { n_failures: 3, not_before: 50_060, ..attempt(50_000) };
        assert_eq!(next(DAY, failed), Duration::from_secs(60));
        let jumped = Attempt { n_failures: 3, not_before: 50_000_000, ..attempt(50_000) };
        assert_eq!(next(DAY, jumped), Duration::from_secs(1800));
    }
}
