//! Where sealed batches go.

use std::sync::Arc;

use tracing::{error, warn};
use wire::id::{Epoch, Lane};

use super::positions::{Kept, PositionsFile};
use super::stdout::Stdout;
use crate::outbox::{Doubt, Outbox};
use crate::pipeline::{Pipeline, Ready};
use crate::record::{Class, PerClass};

/// The way out.
pub(super) enum Outlet {
    /// Into the outbox, for the uplink.
    Outbox(Shipping),
    /// To standard output.
    Stdout(Stdout),
}

/// What is needed to put batches into the outbox.
pub(super) struct Shipping {
    pub(super) outbox: Arc<Outbox>,
    pub(super) max_bytes: u64,
    pub(super) file: PositionsFile,
    pub(super) kept: Kept,
    /// Events of each lane that were shed by the outbox, as far as the pipeline was told.
    pub(super) shed: [u64; 2],
    pub(super) shedding: bool,
}

/// From which fill of the outbox on bulk events are dropped before they are sealed, and below which no more.
const SHED_FROM_PERCENT: u64 = 95;
const SHED_BELOW_PERCENT: u64 = 80;

impl Outlet {
    /// Hands on what is sealed. `false`: there is nobody left to hand it to.
    pub(super) fn ship(&mut self, pipeline: &mut Pipeline) -> bool {
        while let Some(ready) = pipeline.next_batch() {
            match self {
                Self::Outbox(shipping) => shipping.append(ready),
                Self::Stdout(stdout) => {
                    if stdout.print(&ready).is_err() {
                        return false;
                    }
                }
            }
        }
        if let Self::Outbox(shipping) = self {
            shipping.look_back(pipeline);
        }
        true
    }

    /// Whether a new epoch should begin.
    pub(super) fn wants_new_epoch(&self) -> bool {
        matches!(self, Self::Outbox(shipping) if shipping.outbox.wants_new_epoch())
    }

    /// Begins an epoch; all batches of the one before are shipped.
    pub(super) fn begin(&mut self, epoch: Epoch) {
        if let Self::Outbox(shipping) = self {
            shipping.outbox.begin(epoch);
        }
    }

    /// Epochs before whose end is not known.
    pub(super) fn doubts(&self) -> Vec<Doubt> {
        match self {
            Self::Outbox(shipping) => shipping.outbox.doubts().to_vec(),
            Self::Stdout(_) => Vec::new(),
        }
    }

    /// What is wrong with where batches are kept, for people.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Outbox(shipping) => shipping.outbox.trouble(),
            Self::Stdout(_) => None,
        }
    }

    /// Notes how many skipped program runs are booked; kept with the next batch.
    pub(super) fn note_skipped(&mut self, skipped: PerClass<u64>) {
        if let Self::Outbox(shipping) = self {
            shipping.kept.skipped = skipped;
        }
    }

    /// Notes that everything is sealed and no record is left behind.
    pub(super) fn close(&mut self, pipeline: &Pipeline) {
        if let Self::Outbox(shipping) = self {
            let positions = Class::ALL.map(|class| pipeline.positions(class));
            shipping.kept.positions.sequences = positions;
            shipping.kept.positions.clean = true;
            shipping.keep();
        }
    }
}

impl Shipping {
    fn append(&mut self, ready: Ready) {
        let n_events = ready.batch.n_events;
        if let Err(e) = self.outbox.append(ready.epoch, ready.lane, ready.batch) {
            error!(error = %e, lane = %ready.lane, n_events, "a sealed batch is not taken; its events are missing");
        }
        for (class, positions) in ready.positions {
            *class.of_mut(&mut self.kept.positions.sequences) = positions;
        }
        self.keep();
    }

    /// Writes the positions.
    pub(super) fn keep(&mut self) {
        let written = self.kept.encode().and_then(|bytes| {
            let written = self.file.write(&bytes);
            self.outbox.note_positions(bytes);
            written
        });
        if let Err(e) = written {
            warn!(error = %e, "cannot note how far batches reach: after a crash, too much would be counted as dropped");
        }
    }

    /// What the outbox's state means for the events to come.
    fn look_back(&mut self, pipeline: &mut Pipeline) {
        for (lane, seen) in Lane::ALL.into_iter().zip(&mut self.shed) {
            let shed = self.outbox.totals(lane).shed;
            if shed != *seen {
                *seen = shed;
                pipeline.forget_announced(lane);
            }
        }
        let percent = self.outbox.n_memory_bytes().saturating_mul(100) / self.max_bytes.max(1);
        let shedding = percent >= if self.shedding { SHED_BELOW_PERCENT } else { SHED_FROM_PERCENT };
        if shedding != self.shedding {
            self.shedding = shedding;
            pipeline.set_shedding(shedding);
            if shedding {
                warn!(
                    percent,
                    "outbox is almost full: bulk events are dropped and counted until a collector takes batches"
                );
            } else {
                warn!(percent, "outbox has room again: bulk events are kept");
            }
        }
    }
}
