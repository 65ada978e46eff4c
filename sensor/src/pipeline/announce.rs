//! Telling of every living process now and then, though nothing happens to it.
//!
//! After the start of a stream everyone is told of, a few thousand with each batch; later everyone
//! once a day, a share with each minute's heartbeat. So a search for a daemon's children finds the
//! daemon, however short the retention.

use wire::time::BootTime;

use crate::seal::Sealer;
use crate::table::Table;
use crate::user::Names;

/// The most processes told of in one batch.
const PER_BATCH: usize = 2_000;
const MINUTES_A_DAY: usize = 24 * 60;

/// How far the round has come.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    /// The next place of the table.
    place: usize,
    /// How many more may be told of before the next minute; the first round has no limit.
    allowance: Option<usize>,
}

impl Announcer {
    /// Grants the share of a minute.
    pub(super) fn minute(&mut self, n_entries: usize) {
        if let Some(allowance) = &mut self.allowance {
            *allowance += n_entries.div_ceil(MINUTES_A_DAY);
        }
    }

    /// Tells of the next ones in the batch that is about to be sealed.
    pub(super) fn announce(&mut self, sealer: &mut Sealer, table: &mut Table, names: &Names, now: BootTime) {
        let n = self.allowance.unwrap_or(usize::MAX).min(PER_BATCH);
        for _ in 0..n {
            if sealer.is_overfull() {
                return;
            }
            let Some((node, next)) = table.living_from(self.place) else {
                self.place = 0;
                self.allowance = Some(0);
                return;
            };
            sealer.announce(node, table, names, now);
            self.place = next;
            if let Some(allowance) = &mut self.allowance {
                *allowance -= 1;
            }
        }
    }
}
