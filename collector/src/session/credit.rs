//! How much a sensor may have in flight.

use wire::frame::collector::Credit;

/// Allowances counted from the start of the connection.
#[derive(Debug)]
pub(super) struct Ration {
    /// What may be in flight.
    window: Credit,
    /// What the sensor was told.
    granted: Credit,
    received: Credit,
    /// What of it the store has answered.
    resolved: Credit,
}

impl Ration {
    pub(super) fn new(window: Credit) -> Self {
        Self { window, granted: Credit::default(), received: Credit::default(), resolved: Credit::default() }
    }

    pub(super) fn set_window(&mut self, window: Credit) {
        self.window = window;
    }

    /// Books what came; whether it was allowed to. One batch, of at most `max_bytes`, may be begun while some is left;
    /// it may overtake on another data stream what was sent before it, so what it goes beyond is not that batch's alone.
    pub(super) fn receive(&mut self, bytes: u64, max_bytes: u64) -> bool {
        let most = self.granted.bytes.saturating_add(max_bytes);
        let may = self.received.bytes + bytes < most && self.received.batches < self.granted.batches;
        self.received.bytes += bytes;
        self.received.batches += 1;
        may
    }

    /// Books that one batch is out of the way.
    pub(super) fn resolve(&mut self, bytes: u64) {
        self.resolved.bytes += bytes;
        self.resolved.batches += 1;
    }

    /// The new allowance, if it is time to tell: a quarter of the window is free, or the sensor has
    /// none left.
    pub(super) fn due(&mut self) -> Option<Credit> {
        let may = self.allowance();
        let free = |may: u64, granted: u64, received: u64, window: u64| {
            may > granted && (may - granted >= window.div_ceil(4) || received >= granted)
        };
        let is_due = free(may.bytes, self.granted.bytes, self.received.bytes, self.window.bytes)
            || free(may.batches, self.granted.batches, self.received.batches, self.window.batches);
        is_due.then(|| self.grant())
    }

    /// Tells the whole allowance now.
    pub(super) fn grant(&mut self) -> Credit {
        let may = self.allowance();
        // What was granted stays granted when the window shrinks.
        self.granted.bytes = self.granted.bytes.max(may.bytes);
        self.granted.batches = self.granted.batches.max(may.batches);
        self.granted
    }

    fn allowance(&self) -> Credit {
        Credit {
            bytes: self.resolved.bytes.saturating_add(self.window.bytes),
            batches: self.resolved.batches.saturating_add(self.window.batches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_above_the_window_is_in_flight() {
        let mut ration = Ration::new(Credit { bytes: 100, batches: 2 });
        ration.grant();
        assert!(ration.receive(60, 60));
        assert!(ration.receive(60, 60), "one may be begun while some is left");
        assert!(!ration.receive(1, 60));
    }

    #[test]
    fn a_large_batch_that_overtakes_small_ones_is_allowed_and_so_are_they() {
        let mut ration = Ration::new(Credit { bytes: 100, batches: 9 });
        ration.grant();
        // Sent as 70, 20, 60: the last was begun while 10 were left.
        assert!(ration.receive(70, 60) && ration.receive(60, 60) && ration.receive(20, 60));
        assert!(!ration.receive(10, 60), "more than that was not begun within the credit");
    }

    #[test]
    fn credit_follows_the_store_and_is_told_when_it_matters() {
        let mut ration = Ration::new(Credit { bytes: 1000, batches: 8 });
        assert_eq!(ration.grant(), Credit { bytes: 1000, batches: 8 });
        assert!(ration.receive(10, 900));
        ration.resolve(10);
        assert_eq!(ration.due(), None, "too little to be worth a frame");
        assert!(ration.receive(10, 900));
        ration.resolve(10);
        assert_eq!(ration.due(), Some(Credit { bytes: 1020, batches: 10 }));
    }

    #[test]
    fn a_smaller_window_takes_nothing_back() {
        let mut ration = Ration::new(Credit { bytes: 1000, batches: 8 });
        ration.grant();
        ration.set_window(Credit { bytes: 10, batches: 1 });
        assert_eq!(ration.due(), None);
        assert!(ration.receive(900, 900));
        ration.resolve(900);
        assert_eq!(ration.due(), None);
        assert_eq!(ration.grant(), Credit { bytes: 1000, batches: 8 });
    }
}
