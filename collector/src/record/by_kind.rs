//! Tables with a line for each kind of events.

use wire::event::{CATEGORIES, Kind, KindInfo};

/// Kinds that are no system calls have numbers below this.
const N_NUMBERS: usize = 512;

/// A line for each kind of events, found by the kind's number. System calls, which are all alike, have none.
pub struct ByKind<T: 'static>([Option<&'static T>; N_NUMBERS]);

impl<T> ByKind<T> {
    /// No line yet.
    pub const EMPTY: Self = Self([const { None }; N_NUMBERS]);

    /// The line of a kind, if it has one.
    pub fn get(&self, kind: Kind) -> Option<&'static T> {
        self.0.get(usize::from(kind.number())).copied().flatten()
    }

    /// The same with this line for a kind; to be used where the compiler does it.
    ///
    /// # Panics
    /// When the kind's number is of a system call.
    #[must_use]
    pub const fn with(mut self, kind: Kind, line: &'static T) -> Self {
        let (_, from) = self.0.split_at_mut(kind.number() as usize);
        if let [slot, ..] = from {
            *slot = Some(line);
        }
        self
    }

    /// Whether every kind of [`wire::event`] has a line, but for system calls.
    pub const fn covers_all(&self) -> bool {
        let mut categories: &[&[KindInfo]] = &CATEGORIES;
        while let [kinds, others @ ..] = categories {
            categories = others;
            let mut kinds: &[KindInfo] = kinds;
            while let [info, rest @ ..] = kinds {
                kinds = rest;
                let (_, from) = self.0.split_at(info.kind.number() as usize);
                if !matches!(from, [Some(_), ..]) {
                    return false;
                }
            }
        }
        true
    }
}
