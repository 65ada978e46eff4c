//! Which containers run, and which process was their first.
//!
//! Pure. A container's control group fills, and empties: both the kernel tells. What fills it is the runtime's own
//! process, which makes the container's world and executes itself once more while at it; the container has started when
//! a program is executed in the group in another mount namespace than the runtime's. It has stopped when the group is
//! empty. A container that was never seen to start, because it is older than the sensor, stops as any other.

use lru::LruCache;
use wire::id::ProcessKey;
use wire::time::BootTime;

use crate::record::{Exit, Image};
use crate::table::{Node, Table};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

/// The containers that live, by their ids.
#[derive(Debug)]
pub struct Running {
    lives: LruCache<Box<[u8]>, Life>,
    census: u8,
}

/// A container whose group is not empty.
#[derive(Debug, Default)]
struct Life {
    /// The mount namespace of the runtime that filled it, until the first program is executed in another one.
    filled_from: Option<u32>,
    first: Option<First>,
    census: u8,
}

/// A container's first process, as far as it is known. Its image is kept in the table until it is
/// [let go](Table::let_go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// Its image, the latest that was seen.
    pub node: Node,
    /// Which process it is.
    pub key: ProcessKey,
    /// How it ended, if it was seen to.
    pub exit_code: Option<u32>,
}

/// What it means that a container's group is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// The container has stopped. The caller lets go of its first process.
    Stopped(First),
    /// Nothing was ever executed in it.
    NeverStarted,
    /// It was not known to run.
    Unknown,
}

/// The most containers that are remembered; beyond, those of which nothing was heard for longest are forgotten.
const MAX_LIVES: usize = 4096;

impl Default for Running {
    fn default() -> Self {
        // Bounded by hand, as a bounded one takes all its memory at once.
        Self { lives: LruCache::unbounded(), census: 0 }
    }
}

impl Running {
    /// The container's group has its first process, put there from this mount namespace.
    pub fn filled(&mut self, id: &[u8], mnt_ns: u32, at: BootTime, table: &mut Table) {
        let mut life = self.lives.pop(id).unwrap_or_default();
        // A process that is younger was found in it by now; an older one is of a life whose end was not seen.
        if let Some(old) = life.first.take_if(|first| first.key.start < at) {
            table.let_go(old.node);
        }
        life.filled_from = Some(mnt_ns);
        self.put(id, life, table);
    }

    /// A process was found to run in it.
    pub fn found(&mut self, id: &[u8], node: Node, table: &mut Table) {
        let mut life = self.lives.pop(id).unwrap_or_default();
        if life.first.is_none() && life.filled_from.is_none() {
            life.first = first(node, table);
        }
        self.put(id, life, table);
    }

    /// A program is executed in it. Whether that is its start.
    pub fn executed(&mut self, id: &[u8], image: &Image<'_>, node: Node, table: &mut Table) -> bool {
        let mut life = self.lives.pop(id).unwrap_or_default();
        let starts = life.filled_from.is_some_and(|mnt_ns| mnt_ns != image.namespaces.mnt);
        let is_first = match life.first {
            Some(first) => image.task.is_some_and(|task| task.key == first.key),
            None => life.filled_from.is_none(),
        };
        if starts || is_first {
            life.filled_from = None;
            if let Some(old) = std::mem::replace(&mut life.first, first(node, table)) {
                table.let_go(old.node);
            }
        }
        self.put(id, life, table);
        starts
    }

    /// A process of it has ended.
    pub fn exited(&mut self, id: &[u8], exit: &Exit) {
        let life = self.lives.peek_mut(id).and_then(|life| life.first.as_mut());
        if let Some(first) = life.filter(|first| first.key == exit.task.key) {
            first.exit_code = Some(exit.code);
        }
    }

    /// The container's group has lost its last process.
    pub fn emptied(&mut self, id: &[u8], at: BootTime) -> Emptied {
        match self.lives.peek(id) {
            // What was found in it lives in it only since then.
            Some(Life { first: Some(first), .. }) if first.key.start > at => Emptied::Unknown,
            None => Emptied::Unknown,
            Some(_) => {
                let life = self.lives.pop(id).unwrap_or_default();
                life.first.map_or(Emptied::NeverStarted, Emptied::Stopped)
            }
        }
    }

    /// Starts to compare with what lives: [`Running::found`] every living process now.
    pub fn begin_census(&mut self) {
        self.census = self.census.wrapping_add(1);
    }

    /// Takes out the containers of which nothing was seen since: their ends were lost. The caller lets go of their first
    /// processes.
    pub fn end_census(&mut self) -> Vec<First> {
        let census = self.census;
        let gone = self.lives.iter().filter(|(_, life)| life.census != census);
        let gone: Vec<Box<[u8]>> = gone.map(|(id, _)| id.clone()).collect();
        gone.into_iter().filter_map(|id| self.lives.pop(&id)?.first).collect()
    }

    /// How many there are.
    pub fn n_lives(&self) -> usize {
        self.lives.len()
    }

    fn put(&mut self, id: &[u8], life: Life, table: &mut Table) {
        self.lives.put(id.into(), Life { census: self.census, ..life });
        if self.lives.len() <= MAX_LIVES {
            return;
        }
        if let Some((_, Life { first: Some(first), .. })) = self.lives.pop_lru() {
            table.let_go(first.node);
        }
    }
}

/// The process as a container's first, kept in the table.
fn first(node: Node, table: &mut Table) -> Option<First> {
    let key = table.task(node)?.key;
    table.keep(node);
    Some(First { node, key, exit_code: None })
}
