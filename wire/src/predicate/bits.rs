//! Sets of small numbers: the events, subjects or strings that pass.

/// A set of numbers below a bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// The empty set of numbers below `len`.
    pub(super) fn none(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// The set of all numbers below `len`.
    pub(super) fn all(len: usize) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(64)], len };
        bits.trim();
        bits
    }

    /// Puts a number in, if it is below the bound.
    pub(super) fn set(&mut self, n: usize) {
        if n < self.len
            && let Some(word) = self.words.get_mut(n / 64)
        {
            *word |= 1 << (n % 64);
        }
    }

    /// Keeps what is in both.
    pub(super) fn intersect(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Adds what is in the other.
    pub(super) fn unite(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes out what is in the other.
    pub(super) fn subtract(&mut self, other: &Bits) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn get(&self, n: usize) -> bool {
        self.words.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// What is in it, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }

    fn trim(&mut self) {
        if let (Some(last), over @ 1..) = (self.words.last_mut(), self.len % 64) {
            *last &= (1 << over) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_do_what_sets_do() {
        let mut evens = Bits::none(130);
        (0..200).step_by(2).for_each(|n| evens.set(n));
        assert_eq!(evens.iter().count(), 65);
        let mut odds = Bits::all(130);
        odds.subtract(&evens);
        assert_eq!(odds.iter().collect::<Vec<_>>(), (1..130).step_by(2).collect::<Vec<_>>());
        odds.intersect(&evens);
        assert!(odds.is_empty() && !odds.get(1) && evens.get(128) && !evens.get(130));
        odds.unite(&evens);
        assert_eq!(odds, evens);
        assert!(Bits::all(0).is_empty());
    }
}
