//! Whether this program gets to run in time, and so how many handshakes it begins.

use std::time::{Duration, Instant};

use super::ListenerLimits;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Later than this is too late.
const LATE: Duration = Duration::from_millis(250);
/// For how long after the last late beat there is no haste.
const AFTERMATH: Duration = Duration::from_secs(2);

/// A beat that should come every quarter of a second. A late one says that more waits to be done here than is done.
#[derive(Debug)]
pub(super) struct Pulse {
    next: Instant,
    late_at: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + EVERY, late_at: None }
    }

    /// When to call [`Pulse::beat`].
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes note of how late it is.
    pub(super) fn beat(&mut self, now: Instant) {
        if now > self.next + LATE {
            self.late_at = Some(now);
        }
        self.next = now + EVERY;
    }

    /// How many handshakes may be in progress. While late, only so many as are finished before the sensors give them
    /// up: what is begun beyond that costs both sides all of it, for nothing. The others are refused at once, which
    /// costs little, and come back later.
    pub(super) fn most_handshakes(&self, now: Instant, limits: &ListenerLimits) -> usize {
        let is_late = self.late_at.is_some_and(|at| now < at + AFTERMATH);
        if is_late { limits.max_handshakes_late.min(limits.max_handshakes) } else { limits.max_handshakes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_handshakes_begin_while_beats_are_late_and_soon_after() {
        let (start, limits) = (Instant::now(), ListenerLimits::default());
        let mut pulse = Pulse::new(start);
        let most = |pulse: &Pulse, now| pulse.most_handshakes(now, &limits);
        let punctual = start + EVERY;
        pulse.beat(punctual);
        assert_eq!(most(&pulse, punctual), limits.max_handshakes);
        let late = pulse.next() + LATE + Duration::from_millis(1);
        pulse.beat(late);
        assert_eq!(most(&pulse, late), limits.max_handshakes_late);
        pulse.beat(pulse.next());
        assert_eq!(most(&pulse, pulse.next()), limits.max_handshakes_late, "one beat is no proof");
        assert_eq!(most(&pulse, late + AFTERMATH), limits.max_handshakes);
    }
}
