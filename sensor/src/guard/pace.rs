//! Whether the sensor was kept from running.

/// It works about once a second: what is longer is no busy machine any more.
const TOO_LONG_NS: u64 = 15_000_000_000;

/// When it ran last, on the clock that stands still while the machine sleeps.
#[derive(Debug)]
pub struct Pace {
    last_ns: u64,
}

impl Pace {
    /// It runs now.
    pub fn new(now_ns: u64) -> Self {
        Self { last_ns: now_ns }
    }

    /// It runs again; for how long it had not, if that was too long: it was stopped, its control group was frozen, or it
    /// got no time.
    pub fn step(&mut self, now_ns: u64) -> Option<u64> {
        let passed = now_ns.saturating_sub(self.last_ns);
        self.last_ns = now_ns;
        (passed >= TOO_LONG_NS).then_some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_once() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.step(14_000_000_000), None);
        assert_eq!(pace.step(40_000_000_000), Some(26_000_000_000));
        assert_eq!(pace.step(41_000_000_000), None);
    }
}
