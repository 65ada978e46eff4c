//! A token bucket with the time passed in.

use std::time::{Duration, Instant};

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How often at once.
    pub burst: u32,
    /// How often for long.
    pub per_second: u32,
}

/// Counts against a [`Rate`].
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, full_at: now }
    }

    /// Whether it may happen now; it counts if so.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let cost = Duration::from_secs(1) / self.rate.per_second.max(1);
        let full_at = self.full_at.max(now) + cost;
        let may = full_at.duration_since(now) <= cost * self.rate.burst;
        if may {
            self.full_at = full_at;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now, Rate { burst: 3, per_second: 2 });
        let at = |ms| now + Duration::from_millis(ms);
        let took: Vec<bool> =
            [0, 0, 0, 0, 499, 500, 501, 5000, 5000, 5000, 5000].map(|ms| bucket.take(at(ms))).into();
        assert_eq!(took, [true, true, true, false, false, true, false, true, true, true, false]);
    }
}
