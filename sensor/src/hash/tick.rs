//! How exact change times are.
//!
//! Pure. File systems stamp with a clock that goes on in steps of 1 to 10 ms, so two changes within one step have the
//! same time. From 6.13 on the kernel tells them apart once somebody has asked; before, the step must have passed.

/// The length of such a step, in ns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tick(i64);

/// Clocks are not read at the very same moment.
const SLACK_NS: i64 = 1_000_000;

impl Tick {
    /// A step of so many ns.
    pub(super) fn new(ns: i64) -> Self {
        Self(ns.saturating_add(SLACK_NS))
    }

    /// Whether a file that was last seen to change at this time may have been changed after the other one without
    /// showing it. Both in ns on the wall clock.
    pub(super) fn may_hide_a_change(self, changed_ns: i64, after_ns: i64) -> bool {
        changed_ns.saturating_add(self.0) >= after_ns
    }

    /// How long to wait until every further change will show, in ns. A change in the future is not waited for.
    pub(super) fn rest_ns(self, changed_ns: i64, now_ns: i64) -> u64 {
        let rest = changed_ns.saturating_add(self.0).saturating_sub(now_ns);
        if (1..=self.0).contains(&rest) { rest.unsigned_abs() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn only_a_change_that_is_a_step_ago_hides_none() {
        let tick = Tick::new(4 * MS);
        assert!(tick.may_hide_a_change(100 * MS, 100 * MS));
        assert!(tick.may_hide_a_change(100 * MS, 105 * MS));
        assert!(!tick.may_hide_a_change(100 * MS, 106 * MS));
        assert!(tick.may_hide_a_change(i64::MAX, 0), "of the future");
    }

    #[test]
    fn the_rest_of_a_step_is_waited_for_and_no_more() {
        let tick = Tick::new(4 * MS);
        let rest = |now| tick.rest_ns(100 * MS, now * MS);
        assert_eq!([rest(100), rest(103), rest(105), rest(200)], [5_000_000, 2_000_000, 0, 0]);
        assert_eq!(rest(50), 0, "the clock was set back");
        assert_eq!(tick.rest_ns(i64::MAX, 0), 0);
    }
}
