//! Messages that a process sends, or gets, again and again.
//!
//! The first is told at once. Those like it are counted for a second, and then told as one, which says how many it stands
//! for: so a loop makes an event a second, however fast it is, and the numbers still add up.

use hashbrown::HashMap;
use wire::field::Field;
use wire::time::BootTime;

use super::Told;

/// How long messages that are alike are told as one, in ns.
const WINDOW_NS: u64 = 1_000_000_000;
/// So many different ones are remembered; of more each is told.
const MAX_WINDOWS: usize = 1024;

/// What makes messages alike: a hash of it.
pub(super) type Likeness = [u8; 16];

/// The messages of the last second.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    windows: HashMap<Likeness, Window>,
}

#[derive(Debug)]
struct Window {
    since: BootTime,
    n_untold: u64,
    last: Option<Told>,
}

impl Repeats {
    /// Gives the event back if it is to be told now.
    pub(super) fn take(&mut self, likeness: Likeness, mut told: Told, now: BootTime) -> Option<Told> {
        let n_windows = self.windows.len();
        match self.windows.get_mut(&likeness) {
            Some(window) if !window.is_over(now) => {
                window.n_untold += 1;
                window.last = Some(told);
                None
            }
            Some(window) => {
                let n = window.n_untold + 1;
                *window = Window::from(now);
                if n > 1 {
                    told.event.row.set(Field::DnsRepeats, n);
                }
                Some(told)
            }
            None => {
                if n_windows < MAX_WINDOWS {
                    self.windows.insert(likeness, Window::from(now));
                }
                Some(told)
            }
        }
    }

    /// What has not been told within a second.
    pub(super) fn expire(&mut self, now: BootTime) -> Vec<Told> {
        let mut all = Vec::new();
        self.windows.retain(|_, window| {
            if !window.is_over(now) {
                return true;
            }
            let untold = window.untold();
            *window = Window::from(now);
            all.extend(untold.iter().cloned());
            untold.is_some()
        });
        all
    }

    /// What has not been told.
    pub(super) fn finish(&mut self) -> Vec<Told> {
        self.windows.drain().filter_map(|(_, mut window)| window.untold()).collect()
    }
}

impl Window {
    fn from(since: BootTime) -> Self {
        Self { since, n_untold: 0, last: None }
    }

    fn is_over(&self, now: BootTime) -> bool {
        now.ns().saturating_sub(self.since.ns()) >= WINDOW_NS
    }

    fn untold(&mut self) -> Option<Told> {
        let mut told = self.last.take()?;
        told.event.row.set(Field::DnsRepeats, self.n_untold);
        Some(told)
    }
}
