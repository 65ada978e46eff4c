//! Which kinds of event a kernel decides on, and what they may have.

use std::sync::LazyLock;

use crate::event::Kind;
use crate::event::syscall::END;
use crate::field::{Field, Place};

/// A set of kinds that this version knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kinds([u64; WORDS]);

/// Enough for a bit of each kind's number.
const WORDS: usize = (END as usize).div_ceil(64);

impl Kinds {
    /// Every kind that this version knows.
    pub(super) fn known() -> Self {
        static KNOWN: LazyLock<Kinds> = LazyLock::new(|| Kind::known().map(|info| info.kind).collect());
        *KNOWN
    }

    /// Those of them that are system calls.
    pub(super) fn calls() -> Self {
        static CALLS: LazyLock<Kinds> =
            LazyLock::new(|| Kinds::known().iter().filter(|kind| kind.is_call()).collect());
        *CALLS
    }

    /// Whether it has this kind.
    pub fn contains(&self, kind: Kind) -> bool {
        let (word, bit) = place(kind);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Its kinds, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Kind> {
        (0..).zip(self.0).flat_map(|(n, word)| {
            let bits = (0..u64::BITS as u16).filter(move |bit| word & 1 << bit != 0);
            bits.map(move |bit| Kind::new(n * u64::BITS as u16 + bit))
        })
    }

    /// How many it has.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// What is in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// What is in this one alone.
    pub(super) fn without(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    fn combine(self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        let mut joined = self;
        joined.0.iter_mut().zip(other.0).for_each(|(word, other)| *word = join(*word, other));
        joined
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            let (word, bit) = place(kind);
            set.0.iter_mut().skip(word).take(1).for_each(|word| *word |= bit);
        }
        set
    }
}

fn place(kind: Kind) -> (usize, u64) {
    let number = usize::from(kind.number());
    (number / 64, 1 << (number % 64))
}

/// Whether events of this kind are shipped whatever a collection says: the life of processes, as every other event
/// names its process by it, that of containers, and what a sensor says of itself.
pub fn is_always_shipped(kind: Kind) -> bool {
    let is_life = matches!(kind, Kind::FORK | Kind::EXEC | Kind::EXIT);
    is_life || matches!(kind, Kind::CONTAINER_START | Kind::CONTAINER_STOP) || is_own(kind)
}

/// Whether an event of this kind can have this field.
pub(super) fn may_have(kind: Kind, field: Field) -> bool {
    match field.place() {
        Place::Event => kind.info().is_some_and(|info| info.columns.contains(&field)),
        Place::Subject => !is_own(kind),
        _ => true,
    }
}

/// Whether it is a sensor's own: those have no subject.
fn is_own(kind: Kind) -> bool {
    kind.info().is_some_and(|info| info.category == "sensor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_kind_has_a_bit() {
        let known: Vec<Kind> = Kinds::known().iter().collect();
        assert_eq!(known.len(), Kind::known().count());
        assert_eq!(known.len(), Kinds::known().len());
        assert!(Kind::known().all(|info| Kinds::known().contains(info.kind)));
        assert!(!Kinds::known().contains(Kind::new(u16::MAX)));
    }

    #[test]
    fn sets_are_joined_as_their_kinds_are() {
        let calls = Kinds::calls();
        let some: Kinds = [Kind::FILE_OPEN, Kind::EXEC, Kind::nameless_call(511)].into_iter().collect();
        assert_eq!(some.and(&calls).iter().collect::<Vec<_>>(), [Kind::nameless_call(511)]);
        assert_eq!(some.without(&calls).len(), 2);
        assert_eq!(some.or(&calls).len(), calls.len() + 2);
        assert!(Kinds::default().is_empty() && !some.is_empty());
    }
}
