//! Whether a frame that has begun comes fast enough.

use std::time::{Duration, Instant};

use crate::session::OVERSLEPT;

/// Over which time the rate is measured.
const SPAN: Duration = Duration::from_secs(10);

/// Counts what came against the least rate, span by span.
#[derive(Debug)]
pub(super) struct Pace {
    least_bytes: usize,
    /// When this span ends.
    until: Instant,
    /// What came in it.
    n_bytes: usize,
}

impl Pace {
    /// Begins the first span. The rate is in bytes a second.
    pub(super) fn new(now: Instant, least_rate: u32) -> Self {
        let least = least_rate.saturating_mul(u32::try_from(SPAN.as_secs()).unwrap_or(u32::MAX));
        Self { least_bytes: least as usize, until: now + SPAN, n_bytes: 0 }
    }

    /// Books what came.
    pub(super) fn take(&mut self, n_bytes: usize) {
        self.n_bytes = self.n_bytes.saturating_add(n_bytes);
    }

    /// When to ask [`Pace::is_too_slow`].
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Ends the span: whether too little came in it. When it ends much too late we did not run, and what came may still
    /// wait to be read: that span does not count.
    pub(super) fn is_too_slow(&mut self, now: Instant) -> bool {
        let is_slow = self.n_bytes < self.least_bytes && now < self.until + OVERSLEPT;
        (self.until, self.n_bytes) = (now + SPAN, 0);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_has_to_bring_enough() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 2);
        pace.take(20);
        assert!(!pace.is_too_slow(start + SPAN));
        assert_eq!(pace.until(), start + SPAN * 2);
        pace.take(19);
        assert!(pace.is_too_slow(start + SPAN * 2));
    }

    #[test]
    fn a_span_in_which_we_did_not_run_says_nothing() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 2);
        let late = start + SPAN + OVERSLEPT;
        assert!(!pace.is_too_slow(late));
        assert!(pace.is_too_slow(late + SPAN), "the next one counts");
    }
}
