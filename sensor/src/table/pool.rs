//! Values stored once, however many entries share them.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;

/// A shared value's place in its pool, from 1, so that what holds one may be absent at no cost; [`Id::NONE`] stands for the
/// empty value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Id(NonZeroU32);

impl Id {
    /// The empty value, which takes no place.
    pub(super) const NONE: Id = Id(NonZeroU32::MAX);

    fn at(place: u32) -> Self {
        NonZeroU32::new(place.wrapping_add(1)).map_or(Self::NONE, Self)
    }

    fn place(self) -> u32 {
        self.0.get() - 1
    }
}

/// Values with a count of their users; a value goes when its last user does.
///
/// The hash is keyed (SipHash), because whoever runs processes chooses the values.
pub(super) struct Pool<T> {
    values: Vec<Option<T>>,
    /// How many users each has. Apart, as beside a pointer they would be padded.
    n_users: Vec<u32>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            n_users: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<T: Hash + Eq> Pool<T> {
    /// Counts one more user of the value, storing it (made by `make`) when it is new. The flag
    /// tells whether it was.
    pub(super) fn intern<Q>(&mut self, value: &Q, make: impl FnOnce() -> T) -> (Id, bool)
    where
        T: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(value);
        let found = self.index.find(hash, |&at| holds(&self.values, at, value)).copied();
        if let Some(at) = found {
            self.retain(Id::at(at));
            return (Id::at(at), false);
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            self.n_users.push(0);
            (self.values.len() - 1) as u32
        });
        if let (Some(place), Some(n)) = (self.values.get_mut(at as usize), self.n_users.get_mut(at as usize))
        {
            (*place, *n) = (Some(make()), 1);
        }
        let (values, hasher) = (&self.values, &self.hasher);
        self.index.insert_unique(hash, at, |&at| match values.get(at as usize) {
            Some(Some(value)) => hasher.hash_one(value),
            _ => 0,
        });
        (Id::at(at), true)
    }

    /// Counts one more user of a value that is there.
    pub(super) fn retain(&mut self, id: Id) {
        if let Some(n_users) = self.n_users.get_mut(id.place() as usize) {
            *n_users += 1;
        }
    }

    /// Counts one user less; hands the value out when that was the last.
    pub(super) fn release(&mut self, id: Id) -> Option<T> {
        let n_users = self.n_users.get_mut(id.place() as usize)?;
        *n_users = n_users.saturating_sub(1);
        if *n_users > 0 {
            return None;
        }
        let value = self.values.get_mut(id.place() as usize)?.take()?;
        let hash = self.hasher.hash_one(&value);
        if let Ok(entry) = self.index.find_entry(hash, |&at| at == id.place()) {
            entry.remove();
        }
        self.free.push(id.place());
        Some(value)
    }

    /// The value.
    pub(super) fn get(&self, id: Id) -> Option<&T> {
        self.values.get(id.place() as usize)?.as_ref()
    }

    /// How many distinct values it holds.
    #[cfg(test)]
    pub(super) fn n_values(&self) -> usize {
        self.index.len()
    }
}

fn holds<T: Borrow<Q>, Q: Eq + ?Sized>(values: &[Option<T>], at: u32, value: &Q) -> bool {
    matches!(values.get(at as usize), Some(Some(v)) if v.borrow() == value)
}

/// Byte strings stored once, and how many bytes they take.
#[derive(Default)]
pub(super) struct Strings {
    pool: Pool<Box<[u8]>>,
    n_bytes: usize,
}

impl Strings {
    /// Counts one more user of the string.
    pub(super) fn intern(&mut self, string: &[u8]) -> Id {
        if string.is_empty() {
            return Id::NONE;
        }
        let (id, new) = self.pool.intern(string, || Box::from(string));
        if new {
            self.n_bytes += string.len();
        }
        id
    }

    /// Counts one user less.
    pub(super) fn release(&mut self, id: Id) {
        if let Some(string) = self.pool.release(id) {
            self.n_bytes -= string.len();
        }
    }

    /// Counts one more user of a string that is there.
    pub(super) fn retain(&mut self, id: Id) {
        self.pool.retain(id);
    }

    /// The string; empty for [`Id::NONE`].
    pub(super) fn get(&self, id: Id) -> &[u8] {
        self.pool.get(id).map_or(&[], |string| string)
    }

    /// How many bytes all strings take together.
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// How many distinct strings it holds.
    #[cfg(test)]
    pub(super) fn n_values(&self) -> usize {
        self.pool.n_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_goes_with_its_last_user() {
        let mut strings = Strings::default();
        let a = strings.intern(b"/bin/sh");
        assert_eq!(strings.intern(b"/bin/sh"), a);
        assert_eq!(strings.n_bytes(), 7);
        strings.release(a);
        assert_eq!(strings.get(a), b"/bin/sh");
        strings.release(a);
        assert_eq!((strings.get(a), strings.n_bytes(), strings.n_values()), (&b""[..], 0, 0));
        assert_eq!(strings.intern(b"/bin/ls"), a, "its place is used again");
        assert_eq!(strings.intern(b""), Id::NONE);
    }

    #[test]
    fn a_value_that_is_gone_can_be_released_again_without_harm() {
        let mut strings = Strings::default();
        let a = strings.intern(b"x");
        strings.release(a);
        strings.release(a);
        strings.release(Id::NONE);
        assert_eq!(strings.n_bytes(), 0);
    }
}
