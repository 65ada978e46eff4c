//! How many events over time.

use wire::time::WallTime;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Widths that people can read off.
const WIDTHS: [i64; 17] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    28 * DAY,
];

/// How many events a stretch of time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it starts; it ends where the next one does.
    pub start: WallTime,
    /// How many.
    pub count: u64,
}

/// Stretches of equal length over a range of time, on round boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    start: i64,
    width: i64,
    n: usize,
}

impl Scale {
    /// At most about `n` stretches that cover `since` to `until`.
    pub(super) fn new(since: WallTime, until: WallTime, n: u32) -> Self {
        let n = i128::from(n.max(1));
        let (since, until) = (since.unix_ns(), until.unix_ns().max(since.unix_ns()));
        let length = i128::from(until) - i128::from(since) + 1;
        let least = (length + n - 1) / n;
        let width = WIDTHS.into_iter().find(|width| i128::from(*width) >= least);
        let width = width.unwrap_or_else(|| {
            let day = i128::from(DAY);
            i64::try_from((least + day - 1) / day * day).unwrap_or(i64::MAX)
        });
        let start = i128::from(since).div_euclid(i128::from(width)) * i128::from(width);
        let n = (i128::from(until) - start) / i128::from(width) + 1;
        // Below the least time there is, the first stretch is cut short.
        Self { start: i64::try_from(start).unwrap_or(i64::MIN), width, n: usize::try_from(n).unwrap_or(1) }
    }

    /// The stretch that holds `time`, if any does.
    pub(super) fn place(&self, time: WallTime) -> Option<usize> {
        let at = (i128::from(time.unix_ns()) - i128::from(self.start)).div_euclid(i128::from(self.width));
        usize::try_from(at).ok().filter(|at| *at < self.n)
    }

    pub(super) fn len(&self) -> usize {
        self.n
    }

    /// The stretches with their counts.
    pub(super) fn buckets(&self, counts: &[u64]) -> Vec<Bucket> {
        let start = |at: usize| {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            WallTime::from_unix_ns(self.start.saturating_add(self.width.saturating_mul(at)))
        };
        (0..self.n)
            .map(|at| Bucket { start: start(at), count: counts.get(at).copied().unwrap_or_default() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_in_sixty_is_half_hours_on_the_hour() {
        let until = WallTime::from_unix_ns(1_700_000_000 * SECOND);
        let scale = Scale::new(until.saturating_add_ns(-DAY), until, 60);
        assert_eq!((scale.width, scale.n), (30 * MINUTE, 49));
        assert_eq!(scale.buckets(&[])[0].start.to_string(), "2023-11-13T22:00:00Z");
    }

    proptest! {
        #[test]
        fn every_moment_of_the_range_has_a_place(a: i64, b: i64, t: i64, n in 1u32..500) {
            let (since, until) = (a.min(b), a.max(b));
            let scale = Scale::new(WallTime::from_unix_ns(since), WallTime::from_unix_ns(until), n);
            prop_assert!(scale.n <= n as usize + 2);
            for t in [since, until, t.clamp(since, until)] {
                prop_assert!(scale.place(WallTime::from_unix_ns(t)).is_some());
            }
            prop_assert_eq!(scale.buckets(&[]).len(), scale.n);
        }
    }
}
