//! Sets of what a file was opened or mapped for.

/// What `file.access` may name, in the order of the bits that stand for them in the kernel.
pub const ACCESS: [&str; 3] = ["read", "write", "exec"];

/// The combinations of [`ACCESS`] that are accepted. The one of nothing stands for an event without `file.access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Accesses(u8);

impl Accesses {
    /// Every combination, and none.
    pub const ANYTHING: Accesses = Accesses(!0);
    /// How many combinations there are.
    pub const N: u8 = 8;

    /// Those that have any of these bits.
    pub(super) fn having(bits: u8) -> Self {
        Self((0..Self::N).filter(|mask| mask & bits != 0).fold(0, |set, mask| set | 1 << mask))
    }

    /// What is in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Everything else.
    pub(super) fn not(self) -> Self {
        Self(!self.0)
    }

    /// Whether this combination of bits is accepted.
    pub fn accepts(self, mask: u8) -> bool {
        mask < Self::N && self.0 & 1 << mask != 0
    }

    /// Whether nothing is accepted.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_matches_when_any_of_it_does() {
        let write = Accesses::having(0b010);
        let accepted = |set: Accesses| (0..8).filter(|mask| set.accepts(*mask)).collect::<Vec<_>>();
        assert_eq!(accepted(write), [2, 3, 6, 7]);
        assert_eq!(accepted(write.not()), [0, 1, 4, 5]);
        assert_eq!(accepted(write.or(Accesses::having(0b111).not())), [0, 2, 3, 6, 7]);
        assert_eq!(accepted(write.and(Accesses::having(0b001))), [3, 7]);
    }
}
