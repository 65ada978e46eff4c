//! Who stays in the table, who goes, and what happens when it is full.

use super::pool::Id;
use super::{Entry, Life, Node, Table};
use crate::record::Task;

/// What the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most entries; beyond, living processes without living descendants are forgotten.
    pub entries: usize,
    /// From how many entries of the past on it is looked which ones no descendant needs.
    pub trim_entries: usize,
    /// How long an image is kept after its end, in ns: records of the other ring may still name it.
    pub grace_ns: u64,
    /// The most images kept for that reason alone.
    pub parting: usize,
    /// From how many bytes of distinct strings on less is kept of each; from four times as many on, little.
    pub string_bytes: usize,
    /// The largest executable that is hashed, in bytes; 0: none is.
    pub hash_file_bytes: u64,
    /// Whether there is somebody to ask for the names of containers.
    pub container_names: bool,
}

/// How many bytes of an image's strings are kept.
pub(super) struct Keep {
    /// Of the executable's, the control group's and the terminal's path.
    pub(super) path_bytes: usize,
    /// Of the arguments.
    pub(super) args_bytes: usize,
    /// Of the working directory and the script.
    pub(super) other_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1 << 18,
            trim_entries: 4096,
            grace_ns: 2_000_000_000,
            parting: 1 << 13,
            string_bytes: 4 << 20,
            hash_file_bytes: 64 << 20,
            container_names: false,
        }
    }
}

impl Limits {
    /// What is kept of a new image, given the bytes that all strings take by now.
    pub(super) fn keep(&self, string_bytes: usize) -> Keep {
        match string_bytes {
            n if n < self.string_bytes => Keep { path_bytes: 4096, args_bytes: 4096, other_bytes: 4096 },
            n if n < self.string_bytes.saturating_mul(4) => {
                Keep { path_bytes: 512, args_bytes: 256, other_bytes: 256 }
            }
            _ => Keep { path_bytes: 256, args_bytes: 0, other_bytes: 0 },
        }
    }
}

impl Table {
    /// A new entry that nothing holds yet.
    pub(super) fn insert(&mut self, task: Task) -> Node {
        self.make_room();
        let entry = Entry {
            start: task.key.start,
            pid: task.key.pid,
            image: task.image,
            parent: Node::NONE,
            n_holds: 0,
            content: Id::NONE,
            life: Life::Named,
            parting: false,
            announced: 0,
            census: self.census,
        };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.entries.get_mut(at as usize) {
                    *place = entry;
                }
                at
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.n_entries += 1;
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_at = |at: &u32| entries.get(*at as usize).map_or(0, |e| hash(hasher, e.key(), e.image));
        self.by_image.insert_unique(hash(hasher, task.key, task.image), at, hash_at);
        Node(at)
    }

    /// One more reason to keep it.
    pub(super) fn hold(&mut self, node: Node) {
        if let Some(entry) = self.entry_mut(node) {
            entry.n_holds += 1;
        }
    }

    /// One reason less, without letting it go yet: the caller is about to find another one, or to
    /// [`Table::settle`] it.
    pub(super) fn unhold(&mut self, node: Node) {
        if let Some(entry) = self.entry_mut(node) {
            entry.n_holds = entry.n_holds.saturating_sub(1);
        }
    }

    /// One reason less; what nothing holds goes, and so do its ancestors that only it held.
    pub fn let_go(&mut self, node: Node) {
        self.unhold(node);
        self.settle(node);
    }

    /// Removes it if nothing holds it, and its ancestors that only it held.
    pub(super) fn settle(&mut self, mut node: Node) {
        while self.entry(node).is_some_and(|entry| entry.n_holds == 0) {
            let parent = self.remove(node);
            self.unhold(parent);
            node = parent;
        }
    }

    /// Drops the ancestors of which no living or parting image is within reach of a walk.
    pub(super) fn trim(&mut self) {
        let mut needed = vec![false; self.entries.len()];
        for (at, entry) in self.entries.iter().enumerate() {
            if entry.life != Life::Living && !entry.parting {
                continue;
            }
            let own = Node(at as u32);
            for node in std::iter::once(own).chain(self.ancestors(own)) {
                if let Some(mark) = needed.get_mut(node.0 as usize) {
                    *mark = true;
                }
            }
        }
        let is_needed = |node: Node| needed.get(node.0 as usize).copied().unwrap_or(false);
        for at in 0..self.entries.len() as u32 {
            let Some(parent) = self.parent(Node(at)) else { continue };
            if is_needed(Node(at)) && !is_needed(parent) {
                if let Some(entry) = self.entry_mut(Node(at)) {
                    entry.parent = Node::NONE;
                }
                self.let_go(parent);
            }
        }
        self.trim_at = self.limits.trim_entries.max(2 * self.n_past());
    }

    /// Entries that are kept for their grace or their descendants only.
    pub(super) fn n_past(&self) -> usize {
        self.n_entries.saturating_sub(self.living.len())
    }

    fn make_room(&mut self) {
        if self.n_past() >= self.trim_at.max(2 * self.living.len()) {
            self.trim();
        }
        if self.n_entries < self.limits.entries {
            return;
        }
        while let Some((_, node)) = self.parting.pop_front() {
            if let Some(entry) = self.entry_mut(node) {
                entry.parting = false;
            }
            self.let_go(node);
            if self.n_entries < self.limits.entries {
                return;
            }
        }
        self.evict();
    }

    /// Forgets a living process that holds up nothing else; the next one in the order of places.
    fn evict(&mut self) {
        let n = self.entries.len();
        let start = self.evict_next as usize;
        let leaf = (0..n).map(|i| (start + i) % n).find(|&at| {
            self.entries.get(at).is_some_and(|entry| entry.life == Life::Living && entry.n_holds == 1)
        });
        let Some(leaf) = leaf else { return };
        self.evict_next = (leaf + 1) as u32;
        if let Some(pid) = self.entries.get(leaf).map(|entry| entry.pid) {
            self.living.remove(&self.entries, pid);
        }
        self.n_evicted += 1;
        self.let_go(Node(leaf as u32));
    }

    fn remove(&mut self, node: Node) -> Node {
        let Some(entry) = self.entry_mut(node) else { return Node::NONE };
        entry.life = Life::Free;
        let (key, image, parent, content) = (entry.key(), entry.image, entry.parent, entry.content);
        self.contents.release(content);
        if let Ok(found) = self.by_image.find_entry(hash(&self.hasher, key, image), |at| *at == node.0) {
            found.remove();
        }
        self.free.push(node.0);
        self.n_entries -= 1;
        parent
    }
}

fn hash(hasher: &std::hash::RandomState, key: wire::id::ProcessKey, image: u32) -> u64 {
    use std::hash::BuildHasher;
    hasher.hash_one((key, image))
}
