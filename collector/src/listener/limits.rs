//! What a listener lets in.

use std::time::Duration;

use wire::frame::collector::Credit;

use crate::session::Limits;

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// The bounds of each session; its window is the most any session gets.
    pub session: Limits,
    /// What all sessions together may have in flight; shared out evenly.
    pub in_flight: Credit,
    /// The least window a session gets, however many there are.
    pub least_window: Credit,
    /// Connections, whether they have shown who they are or not.
    pub max_connections: usize,
    /// Handshakes in progress.
    pub max_handshakes: usize,
    /// Handshakes in progress while this program gets too little CPU.
    pub max_handshakes_late: usize,
    /// Handshakes of clients with unproven addresses in progress above which addresses have to be proven first.
    pub retry_above: usize,
    /// How long a handshake may take: as long as the most patient sensor waits, as one given up has cost both all
    /// the same.
    pub handshake: Duration,
    /// Sessions of one host.
    pub max_sessions_per_host: usize,
    /// The least rate, in bytes a second, of a frame that has begun.
    pub least_rate: u32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            session: Limits::default(),
            in_flight: Credit { bytes: 256 << 20, batches: 64 << 10 },
            least_window: Credit { bytes: 64 << 10, batches: 8 },
            max_connections: 20_000,
            max_handshakes: 512,
            max_handshakes_late: 32,
            retry_above: 64,
            handshake: Duration::from_secs(12),
            max_sessions_per_host: 4,
            least_rate: 2 << 10,
        }
    }
}

impl ListenerLimits {
    /// What each of so many sessions may have in flight.
    pub(super) fn window(&self, n_sessions: usize) -> Credit {
        let n = u64::try_from(n_sessions.max(1)).unwrap_or(u64::MAX);
        let share = |all: u64, least: u64, most: u64| (all / n).clamp(least.min(most), most);
        Credit {
            bytes: share(self.in_flight.bytes, self.least_window.bytes, self.session.window.bytes),
            batches: share(self.in_flight.batches, self.least_window.batches, self.session.window.batches),
        }
    }
}
