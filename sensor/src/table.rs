//! The processes of this host: what each runs, and who forked it with which image.
//!
//! Pure. Seeded from the task iterator, kept by the records of fork, exec and exit. An entry is
//! one image of one process; its parent link points at the entry that forked it, so ancestry
//! keeps the images of that moment. Whatever order the records come in:
//!
//! - A parent's (start, pid) is always below its child's, so no chain of parents can be a cycle.
//! - At most one living process has a given pid: a younger one with the same pid ends the older.
//! - An entry lives while it is a living process's current image, was that until a short while
//!   ago (records of the other ring may still name it), or has an entry that was forked from it.
//! - There are never more than [`Limits::entries`] entries.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use wire::id::{Lane, ProcessKey};
use wire::limits::MAX_ANCESTORS;
use wire::time::BootTime;

use crate::container::names::ContainerNames;
use crate::hash::Hashes;
use crate::record::{Exit, Fork, Image, Task};
use content::Contents;
use living::Living;
use pool::Id;

mod container;
mod content;
mod executable;
mod living;
mod pool;
mod room;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

pub use room::Limits;

/// An entry's place in the table: good until the next record is applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Node(u32);

impl Node {
    const NONE: Node = Node(u32::MAX);
}

/// Every known process of this host.
pub struct Table {
    limits: Limits,
    entries: Vec<Entry>,
    free: Vec<u32>,
    n_entries: usize,
    by_image: HashTable<u32>,
    hasher: RandomState,
    /// The current image of each living process.
    living: Living,
    /// What no longer runs, oldest first, until its grace has passed.
    parting: VecDeque<(BootTime, Node)>,
    contents: Contents,
    hashes: Hashes,
    container_names: ContainerNames,
    census: u8,
    trim_at: usize,
    evict_next: u32,
    n_evicted: u64,
}

/// 32 bytes, so the key's parts stand apart: together they would be padded.
struct Entry {
    start: BootTime,
    pid: u32,
    image: u32,
    parent: Node,
    /// Why it is kept: entries forked from it, and one each for living and parting.
    n_holds: u32,
    content: Id,
    life: Life,
    parting: bool,
    announced: u8,
    census: u8,
}

const _: () = assert!(size_of::<Entry>() == 32);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// The place is free.
    Free,
    /// Only named by others so far: as a parent, or by a record that came before its birth.
    Named,
    /// The current image of a living process.
    Living,
    /// Replaced by another image, or ended.
    Past,
}

impl Entry {
    fn key(&self) -> ProcessKey {
        ProcessKey { start: self.start, pid: self.pid }
    }
}

impl Table {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            trim_at: limits.trim_entries,
            limits,
            entries: Vec::new(),
            free: Vec::new(),
            n_entries: 0,
            by_image: HashTable::new(),
            hasher: RandomState::new(),
            living: Living::default(),
            parting: VecDeque::new(),
            contents: Contents::default(),
            hashes: Hashes::new(limits.hash_file_bytes),
            container_names: ContainerNames::new(limits.container_names),
            census: 0,
            evict_next: 0,
            n_evicted: 0,
        }
    }

    /// A process was born; the answer is the child.
    pub fn fork(&mut self, fork: &Fork, now: BootTime) -> Node {
        let parent = self.find(fork.parent).unwrap_or_else(|| self.name(fork.parent));
        let content = self.entry(parent).map_or(Id::NONE, |entry| entry.content);
        let child = match self.find(fork.child) {
            Some(child) => child,
            None => {
                // The new entry could push its own parent out when the table is full: hold it.
                self.hold(parent);
                let child = self.insert(fork.child);
                self.unhold(parent);
                child
            }
        };
        if self.entry(child).is_some_and(|entry| entry.content == Id::NONE) {
            let content = self.contents.moved(content, fork.cgroup_id);
            self.set_content(child, content);
        }
        self.adopt(child, parent);
        self.adopt_current(fork.child.key, parent);
        self.make_current(child, now);
        self.settle(parent);
        child
    }

    /// A process runs a new image, or was found running one; the answer is that image.
    pub fn image(&mut self, image: &Image<'_>, now: BootTime) -> Option<Node> {
        let task = image.task?;
        let node = match self.find(task) {
            Some(node) => node,
            None => self.insert(task),
        };
        let content = self.contents.intern(image, &self.limits);
        self.set_content(node, content);
        if self.parent(node).is_none() {
            // Its birth tells better than the record who forked it: a parent that ended since then
            // has left its children to another process.
            self.hold(node);
            let forked_by = self.previous(task).and_then(|previous| self.parent(previous));
            match (forked_by, image.parent) {
                (Some(parent), _) => self.adopt(node, parent),
                (None, Some(parent)) if parent.key.pid != 0 => {
                    let parent = self.find(parent).unwrap_or_else(|| self.name(parent));
                    self.adopt(node, parent);
                    self.settle(parent);
                }
                (None, _) => {}
            }
            self.unhold(node);
        }
        self.make_current(node, now);
        Some(node)
    }

    /// A process ended; the answer is its last image.
    pub fn exit(&mut self, exit: &Exit, now: BootTime) -> Node {
        let node = self.find(exit.task).unwrap_or_else(|| self.name(exit.task));
        self.part(node, now);
        let current = self.lives(exit.task.key.pid);
        if let Some(current) = current.filter(|at| self.entry(*at).is_some_and(|e| e.key() == exit.task.key))
        {
            self.part(current, now);
        }
        node
    }

    /// The entry of a process that a record names. One that was not known stays for its grace
    /// only: whether it lives, the records of its own life tell.
    pub fn named(&mut self, task: Task, now: BootTime) -> Node {
        if let Some(node) = self.find(task) {
            return node;
        }
        let node = self.name(task);
        self.linger(node, now);
        node
    }

    /// Lets go of what no longer runs and whose grace has passed.
    pub fn expire(&mut self, now: BootTime) {
        while let Some(&(until, node)) = self.parting.front() {
            if until > now && self.parting.len() <= self.limits.parting {
                break;
            }
            self.parting.pop_front();
            if let Some(entry) = self.entry_mut(node) {
                entry.parting = false;
            }
            self.let_go(node);
        }
    }

    /// Starts to compare the table with the kernel's list of tasks: seed it anew, then call
    /// [`Table::end_census`].
    pub fn begin_census(&mut self) {
        self.census = self.census.wrapping_add(1);
    }

    /// Ends every process that no record and no seed has named since [`Table::begin_census`]: their
    /// exits were lost. Returns how many.
    pub fn end_census(&mut self, now: BootTime) -> usize {
        let census = self.census;
        let gone: Vec<Node> = self
            .living
            .iter()
            .filter(|at| self.entry(*at).is_some_and(|entry| entry.census != census))
            .collect();
        for node in &gone {
            self.part(*node, now);
        }
        gone.len()
    }

    /// Notes that the lane's stream has named this image; the answer is whether it is the first time.
    pub fn announce(&mut self, node: Node, lane: Lane) -> bool {
        let bit = 1 << lane as u8;
        let Some(entry) = self.entry_mut(node) else { return false };
        let first = entry.announced & bit == 0;
        entry.announced |= bit;
        first
    }

    /// Forgets what the lane's stream has named: a new stream begins, or part of the old was shed.
    pub fn forget_announced(&mut self, lane: Lane) {
        for entry in &mut self.entries {
            entry.announced &= !(1 << lane as u8);
        }
    }

    /// The living process at or after this place, and the place after it; `None` past the last one.
    /// For walking through all of them in steps.
    pub fn living_from(&self, place: usize) -> Option<(Node, usize)> {
        let rest = self.entries.get(place..)?;
        let skip = rest.iter().position(|entry| entry.life == Life::Living)?;
        Some((Node((place + skip) as u32), place + skip + 1))
    }

    /// The image of a process, if it is known.
    pub fn find(&self, task: Task) -> Option<Node> {
        let hash = self.hasher.hash_one((task.key, task.image));
        let is =
            |at: &u32| self.entry(Node(*at)).is_some_and(|e| e.key() == task.key && e.image == task.image);
        self.by_image.find(hash, is).map(|at| Node(*at))
    }

    /// Which image of which process it is.
    pub fn task(&self, node: Node) -> Option<Task> {
        self.entry(node).map(|entry| Task { key: entry.key(), image: entry.image })
    }

    /// What it runs; `None` for a process that is only known by name.
    pub fn view(&self, node: Node) -> Option<Image<'_>> {
        self.contents.image(self.entry(node)?.content, self.task(node)?)
    }

    /// What it runs: the executable's path only.
    pub fn executable(&self, node: Node) -> &[u8] {
        self.entry(node).map_or(&[], |entry| self.contents.executable(entry.content))
    }

    /// The image that forked it.
    pub fn parent(&self, node: Node) -> Option<Node> {
        let parent = self.entry(node)?.parent;
        (parent != Node::NONE).then_some(parent)
    }

    /// Its parent, that one's parent, and so on, at most [`MAX_ANCESTORS`].
    pub fn ancestors(&self, node: Node) -> impl Iterator<Item = Node> {
        std::iter::successors(self.parent(node), |at| self.parent(*at)).take(MAX_ANCESTORS)
    }

    /// How many processes are known to live.
    pub fn n_living(&self) -> usize {
        self.living.len()
    }

    /// How many entries there are: images living, parting and kept for their descendants.
    pub fn n_entries(&self) -> usize {
        self.n_entries
    }

    /// How many living processes had to be forgotten because the table was full.
    pub fn n_evicted(&self) -> u64 {
        self.n_evicted
    }

    /// The bytes of all distinct strings.
    pub fn string_bytes(&self) -> usize {
        self.contents.string_bytes()
    }

    /// The current image of the process that lives by this pid.
    fn lives(&self, pid: u32) -> Option<Node> {
        self.living.get(&self.entries, pid)
    }

    /// An earlier image of the same process: the one before, or the current one.
    fn previous(&self, task: Task) -> Option<Node> {
        let before = Task { image: task.image.wrapping_sub(1), ..task };
        let current = || {
            let current = self.lives(task.key.pid)?;
            self.entry(current).is_some_and(|e| e.key() == task.key).then_some(current)
        };
        self.find(before).or_else(current)
    }

    /// Makes an entry of which no more is known than its name (and its birth, if another image of
    /// the same process tells).
    fn name(&mut self, task: Task) -> Node {
        let node = self.insert(task);
        let forked_by = self.previous(task).filter(|at| *at != node).and_then(|at| self.parent(at));
        if let Some(parent) = forked_by {
            self.adopt(node, parent);
        }
        node
    }

    /// Links a child to its parent, unless it has one or the parent is not older.
    fn adopt(&mut self, child: Node, parent: Node) {
        let (Some(c), Some(p)) = (self.entry(child), self.entry(parent)) else { return };
        let older = (p.start, p.pid) < (c.start, c.pid);
        if c.parent != Node::NONE || !older {
            return;
        }
        self.hold(parent);
        if let Some(entry) = self.entry_mut(child) {
            entry.parent = parent;
        }
    }

    /// Repairs a process whose exec was seen before its fork.
    fn adopt_current(&mut self, key: ProcessKey, parent: Node) {
        let current = self.lives(key.pid);
        if let Some(current) = current.filter(|at| self.entry(*at).is_some_and(|e| e.key() == key)) {
            self.adopt(current, parent);
        }
    }

    /// Makes it the living image of its process, unless a younger image or process has its pid.
    fn make_current(&mut self, node: Node, now: BootTime) {
        let Some(task) = self.task(node) else { return };
        let census = self.census;
        if let Some(entry) = self.entry_mut(node) {
            entry.census = census;
        }
        let ended = |at: Node| self.entry(at).is_some_and(|e| e.life == Life::Past);
        let before = self.find(Task { image: task.image.wrapping_sub(1), ..task });
        let current = self.lives(task.key.pid);
        if let Some(current) = current.filter(|at| *at != node) {
            let Some(rival) = self.entry(current) else { return };
            let younger = (task.key.start, task.image) > (rival.start, rival.image);
            self.part(if younger { current } else { node }, now);
            if !younger {
                return;
            }
        } else if current.is_none() && (ended(node) || before.is_some_and(ended)) {
            // A late record of a process that has ended.
            self.part(node, now);
            return;
        }
        if self.living.insert(&self.entries, task.key.pid, node).is_none_or(|old| old != node) {
            self.hold(node);
        }
        if let Some(entry) = self.entry_mut(node) {
            entry.life = Life::Living;
        }
    }

    /// Ends an image: it is kept for its grace, and then as long as descendants need it.
    fn part(&mut self, node: Node, now: BootTime) {
        let Some(entry) = self.entry_mut(node) else { return };
        let (was, key) = (entry.life, entry.key());
        entry.life = Life::Past;
        if was != Life::Past || entry.n_holds == 0 {
            self.linger(node, now);
        }
        if was == Life::Living && self.lives(key.pid) == Some(node) {
            self.living.remove(&self.entries, key.pid);
            self.let_go(node);
        }
    }

    /// Keeps an entry for its grace.
    fn linger(&mut self, node: Node, now: BootTime) {
        let until = BootTime::from_ns(now.ns().saturating_add(self.limits.grace_ns));
        let Some(entry) = self.entry_mut(node).filter(|entry| !entry.parting) else { return };
        entry.parting = true;
        entry.n_holds += 1;
        // Deadlines stay in order even if the caller's clock does not.
        let last = self.parting.back().map_or(until, |(last, _)| until.max(*last));
        self.parting.push_back((last, node));
    }

    fn set_content(&mut self, node: Node, content: Id) {
        let Some(entry) = self.entry_mut(node) else { return };
        let old = std::mem::replace(&mut entry.content, content);
        if old == Id::NONE {
            // What was told of it before was only its name.
            entry.announced = 0;
        }
        self.contents.release(old);
    }

    fn entry(&self, node: Node) -> Option<&Entry> {
        self.entries.get(node.0 as usize).filter(|entry| entry.life != Life::Free)
    }

    fn entry_mut(&mut self, node: Node) -> Option<&mut Entry> {
        self.entries.get_mut(node.0 as usize).filter(|entry| entry.life != Life::Free)
    }
}
