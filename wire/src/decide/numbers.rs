//! Sets of numbers: some values, or all but some.

use std::collections::BTreeSet;

/// Which numbers are accepted, and whether an absent one is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers {
    /// The values that are decided otherwise than the rest.
    values: BTreeSet<u64>,
    otherwise: bool,
    absent: bool,
}

impl Numbers {
    /// Every number, and none at all.
    pub const ANYTHING: Numbers = Numbers { values: BTreeSet::new(), otherwise: true, absent: true };
    /// Every number that is there.
    pub const PRESENT: Numbers = Numbers { values: BTreeSet::new(), otherwise: true, absent: false };

    /// These alone.
    pub(super) fn these(values: impl IntoIterator<Item = u64>) -> Self {
        Self { values: values.into_iter().collect(), otherwise: false, absent: false }
    }

    /// Every number that is there but these.
    pub(super) fn all_but(values: impl IntoIterator<Item = u64>) -> Self {
        Self { values: values.into_iter().collect(), otherwise: true, absent: false }
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// What is in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// Everything else.
    pub(super) fn not(self) -> Self {
        Self { values: self.values, otherwise: !self.otherwise, absent: !self.absent }
    }

    /// The values that are decided otherwise than the rest.
    pub fn values(&self) -> &BTreeSet<u64> {
        &self.values
    }

    /// Whether this number is accepted.
    pub fn accepts(&self, number: u64) -> bool {
        self.otherwise != self.values.contains(&number)
    }

    /// Whether a number is accepted that is none of the values.
    pub fn accepts_others(&self) -> bool {
        self.otherwise
    }

    /// Whether an event without such a number is accepted.
    pub fn accepts_absent(&self) -> bool {
        self.absent
    }

    /// Whether nothing is accepted.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.otherwise && !self.absent
    }

    fn combine(&self, other: &Self, join: fn(bool, bool) -> bool) -> Self {
        let otherwise = join(self.otherwise, other.otherwise);
        let values = self.values.union(&other.values).copied();
        let values = values.filter(|n| join(self.accepts(*n), other.accepts(*n)) != otherwise).collect();
        Self { values, otherwise, absent: join(self.absent, other.absent) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = Numbers> {
        (prop::collection::btree_set(0u64..6, 0..4), any::<bool>(), any::<bool>())
            .prop_map(|(values, otherwise, absent)| Numbers { values, otherwise, absent })
    }

    proptest! {
        #[test]
        fn sets_are_joined_as_their_numbers_are(a in set(), b in set(), n in 0u64..8) {
            prop_assert_eq!(a.and(&b).accepts(n), a.accepts(n) && b.accepts(n));
            prop_assert_eq!(a.or(&b).accepts(n), a.accepts(n) || b.accepts(n));
            prop_assert_eq!(a.clone().not().accepts(n), !a.accepts(n));
            prop_assert_eq!(a.or(&b).absent, a.absent || b.absent);
            prop_assert_eq!(a.or(&a.and(&b)).and(&a), a, "one set has one form");
        }
    }
}
