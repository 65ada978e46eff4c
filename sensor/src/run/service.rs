//! What the service manager is told, if one has started the sensor: that it watches, and, as long as it asks, that it lives.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;
use wire::time::BootTime;

/// The service that this process is, to systemd.
pub(super) struct Service {
    /// How long it waits for a sign of life before it ends the sensor; none: it does not ask.
    patience: Option<Duration>,
    last_beat: BootTime,
}

impl Service {
    pub(super) fn new() -> Self {
        Self { patience: sd_notify::watchdog_enabled(), last_beat: BootTime::default() }
    }

    /// Says that what happens from now on is seen.
    pub(super) fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// Says that the rings are being read; called by who reads them, about once a second.
    pub(super) fn beat(&mut self, now: BootTime) {
        if is_due(self.patience, self.last_beat, now) {
            self.last_beat = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Four times as often as would do.
fn is_due(patience: Option<Duration>, last: BootTime, now: BootTime) -> bool {
    let passed = Duration::from_nanos(now.ns().saturating_sub(last.ns()));
    patience.is_some_and(|patience| passed >= patience / 4)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager cannot be told how the sensor is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_come_well_before_they_are_missed() {
        let at = |seconds: u64| BootTime::from_ns(seconds * 1_000_000_000);
        let patience = Some(Duration::from_secs(60));
        assert!(!is_due(patience, at(100), at(114)));
        assert!(is_due(patience, at(100), at(115)));
        assert!(!is_due(None, at(0), at(1000)), "nobody asks");
    }
}
