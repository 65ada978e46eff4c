//! The current image of each living process, by pid.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Entry, Node};

/// Places of entries. Their pids stand in the entries, so all methods are given these.
#[derive(Default)]
pub(super) struct Living {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Living {
    /// Makes this entry the current one of its pid; the answer is the one before.
    pub(super) fn insert(&mut self, entries: &[Entry], pid: u32, node: Node) -> Option<Node> {
        let hash = self.hasher.hash_one(pid);
        if let Some(at) = self.places.find_mut(hash, |at| pid_of(entries, *at) == Some(pid)) {
            return Some(Node(std::mem::replace(at, node.0)));
        }
        let hasher = &self.hasher;
        let rehash = |at: &u32| pid_of(entries, *at).map_or(0, |pid| hasher.hash_one(pid));
        self.places.insert_unique(hash, node.0, rehash);
        None
    }

    /// Nobody lives by this pid any more.
    pub(super) fn remove(&mut self, entries: &[Entry], pid: u32) {
        let hash = self.hasher.hash_one(pid);
        if let Ok(found) = self.places.find_entry(hash, |at| pid_of(entries, *at) == Some(pid)) {
            found.remove();
        }
    }

    /// Who lives by this pid.
    pub(super) fn get(&self, entries: &[Entry], pid: u32) -> Option<Node> {
        let hash = self.hasher.hash_one(pid);
        self.places.find(hash, |at| pid_of(entries, *at) == Some(pid)).map(|at| Node(*at))
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Node> {
        self.places.iter().map(|at| Node(*at))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

fn pid_of(entries: &[Entry], at: u32) -> Option<u32> {
    entries.get(at as usize).map(|entry| entry.pid)
}
