//! How long it is waited after a failure. Pure.

use std::time::Duration;

use crate::kafka::Meaning;

/// How often it has failed without having worked in between.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    n_failures: u32,
}

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);
/// Settings change seldom.
const SETUP: Duration = Duration::from_secs(5);

impl Backoff {
    /// Notes a failure; how long to wait then.
    pub(super) fn failed(&mut self, meaning: Meaning) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.n_failures.min(8)).min(LONGEST);
        self.n_failures = self.n_failures.saturating_add(1);
        match meaning {
            // Nothing is wrong with Kafka: only this connection is used up.
            Meaning::Broken | Meaning::Refused if self.n_failures <= 1 => Duration::ZERO,
            Meaning::Setup => pause.max(SETUP),
            _ => pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.failed(Meaning::Passing).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(Backoff::default().failed(Meaning::Setup), SETUP);
        let mut backoff = Backoff::default();
        assert_eq!(backoff.failed(Meaning::Broken), Duration::ZERO);
        assert!(backoff.failed(Meaning::Broken) > Duration::ZERO, "one after the other");
    }
}
