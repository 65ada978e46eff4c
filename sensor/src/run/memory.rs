//! When to give memory back that is free but lies between pieces in use: after the number of processes has
//! changed by much. A steady host, however busy, never pays for it.

/// So many entries of the process table more or less are worth a look: about a megabyte.
const MUCH: usize = 4096;

/// How many entries there were when memory was given back last.
#[derive(Debug)]
pub(super) struct GiveBack {
    n_entries: usize,
}

impl GiveBack {
    /// To be made when memory was just given back.
    pub(super) fn new(n_entries: usize) -> Self {
        Self { n_entries }
    }

    /// Whether it is time again, now that the table has so many entries.
    pub(super) fn is_due(&mut self, n_entries: usize) -> bool {
        let due = n_entries.abs_diff(self.n_entries) >= MUCH;
        if due {
            self.n_entries = n_entries;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_after_growth_and_after_shrinking_but_not_between() {
        let mut give_back = GiveBack::new(100);
        let due: Vec<bool> = [200, 4_195, 4_196, 4_300, 100, 0].map(|n| give_back.is_due(n)).into();
        assert_eq!(due, [false, false, true, false, true, false]);
    }
}
