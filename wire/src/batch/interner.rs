//! Distinct strings as they come while a batch is built.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Gives each distinct byte string a number, from 1.
#[derive(Default)]
pub(super) struct Interner {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The string's number, the same for the same bytes.
    pub(super) fn number(&mut self, string: &[u8]) -> u32 {
        let Self { bytes, ends, numbers, hasher } = self;
        let hash = hasher.hash_one(string);
        if let Some(&number) = numbers.find(hash, |&number| slice(bytes, ends, number) == string) {
            return number;
        }
        bytes.extend_from_slice(string);
        ends.push(bytes.len() as u32);
        let number = ends.len() as u32;
        numbers.insert_unique(hash, number, |&number| hasher.hash_one(slice(bytes, ends, number)));
        number
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.numbers.clear();
    }

    /// How many distinct strings there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have together.
    pub(super) fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn get(&self, number: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, number)
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let end = |number: u32| match (number as usize).checked_sub(1) {
        Some(at) => ends.get(at).copied().unwrap_or_default() as usize,
        None => 0,
    };
    bytes.get(end(number.saturating_sub(1))..end(number)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_get_the_same_number() {
        let mut interner = Interner::default();
        let numbers = [&b"a"[..], b"", b"bc", b"a", b""].map(|s| interner.number(s));
        assert_eq!(numbers, [1, 2, 3, 1, 2]);
        assert_eq!((interner.get(1), interner.get(2), interner.get(3)), (&b"a"[..], &b""[..], &b"bc"[..]));
        assert_eq!((interner.len(), interner.n_bytes()), (3, 3));
        interner.clear();
        assert_eq!(interner.number(b"bc"), 1);
    }
}
