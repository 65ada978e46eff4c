//! What the rest of the sensor may know of the link.

use std::sync::Arc;

use tokio::sync::watch;
use wire::authority::{Authorities, AuthorityId};
use wire::time::{BootTime, Clock};

/// The link's state, watched by whoever seals batches and reports health.
#[derive(Debug)]
pub struct Link {
    state: watch::Sender<State>,
    offset: watch::Sender<Option<ClockOffset>>,
    authorities: watch::Sender<Option<Arc<Authorities>>>,
    trusts: watch::Sender<Vec<AuthorityId>>,
}

/// Whether a collector is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Not since the start.
    #[default]
    Never,
    /// A session is live.
    Up {
        /// Which collector of the list.
        collector: String,
        /// Since when.
        since: BootTime,
    },
    /// The session ended; others are tried.
    Down {
        /// Since when.
        since: BootTime,
        /// Why, for a person.
        reason: String,
    },
}

/// The collector's clock against this host's boot clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockOffset {
    /// The collector's wall clock minus this host's boot clock, in ns.
    pub collector_minus_boot_ns: i64,
    /// Half the round trip it was measured with, in ns.
    pub uncertainty_ns: u64,
    /// When it was measured.
    pub measured: BootTime,
}

impl ClockOffset {
    /// The clock of a batch sealed now, given this host's wall clock minus its boot clock.
    pub fn clock(self, boot_to_wall_ns: i64) -> Clock {
        let offset_ns = self.collector_minus_boot_ns.saturating_sub(boot_to_wall_ns);
        Clock { boot_to_wall_ns, offset_ns, uncertainty_ns: self.uncertainty_ns }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Never),
            offset: watch::Sender::new(None),
            authorities: watch::Sender::new(None),
            trusts: watch::Sender::default(),
        }
    }
}

impl Link {
    /// The state, and its changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The clock as last measured; `None` before the first measurement. It stays, with a growing
    /// age, while the link is down.
    pub fn offset(&self) -> Option<ClockOffset> {
        *self.offset.borrow()
    }

    /// What a collector last said of the fleet's authorities, and what comes.
    pub fn authorities(&self) -> watch::Receiver<Option<Arc<Authorities>>> {
        self.authorities.subscribe()
    }

    /// The authorities that this host trusts, as the next session tells its collector.
    pub(crate) fn trusts(&self) -> Vec<AuthorityId> {
        self.trusts.borrow().clone()
    }

    /// The same, and its changes.
    pub(crate) fn trusts_changes(&self) -> watch::Receiver<Vec<AuthorityId>> {
        self.trusts.subscribe()
    }

    pub(crate) fn set_authorities(&self, authorities: Authorities) {
        self.authorities.send_replace(Some(Arc::new(authorities)));
    }

    pub(crate) fn set_trusts(&self, trusts: Vec<AuthorityId>) {
        self.trusts.send_if_modified(|before| {
            let is_new = *before != trusts;
            *before = trusts;
            is_new
        });
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(crate) fn set_offset(&self, offset: ClockOffset) {
        self.offset.send_replace(Some(offset));
    }
}
