//! What the kernel looks into, as `event.h` describes it, before it is put into a slot.

use std::collections::BTreeMap;
use std::sync::Arc;

use sensor_bpf::event;
use wire::decide::{Pattern, Text};

use super::vectors::Vector;

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Dim {
    /// The kind of event.
    Kind = event::MATCH_KIND,
    /// `process.user.id`.
    User = event::MATCH_USER,
    /// `file.access`.
    Access = event::MATCH_ACCESS,
    /// `process.executable`.
    Executable = event::MATCH_EXECUTABLE,
    /// `file.path`.
    Path = event::MATCH_PATH,
    /// `file.target_path`.
    Target = event::MATCH_TARGET,
    /// `syscall.number`.
    Call = event::MATCH_CALL,
}

/// How many dimensions there are.
pub(super) const N_DIMS: usize = event::MATCH_N_DIMS as usize;

/// The tables of one collection. Vectors and patterns are named by their place in the lists here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// How many rows there are.
    pub n_rows: usize,
    /// The dimensions that some row asks for, a bit each.
    pub uses: u32,
    /// The vector of the rows that have patterns to be looked at.
    pub checked: u32,
    /// By dimension: the vector where a look-up finds nothing.
    pub otherwise: [u32; N_DIMS],
    /// By dimension: the vector where an event has no such value.
    pub absent: [u32; N_DIMS],
    /// The vector of each number that has one of its own.
    pub numbers: BTreeMap<(Dim, u64), u32>,
    /// The vector of each text that has one of its own: of all texts that begin so and with no longer entry. One that ends with a
    /// NUL is a whole text.
    pub texts: BTreeMap<(Dim, Arc<[u8]>), u32>,
    /// The system calls that some row asks for: the number of each one's kind, by its place ([`crate::call::Call`]).
    pub calls: BTreeMap<u32, u32>,
    /// The distinct vectors.
    pub vectors: Vec<Vector>,
    /// The distinct patterns.
    pub patterns: Vec<Pattern>,
    /// By a row's bit: what has to be looked at when all else matches.
    pub checks: BTreeMap<u32, Vec<RowCheck>>,
}

impl Tables {
    /// How many words of each vector hold all rows: the kernel looks at no more.
    pub(super) fn n_words(&self) -> usize {
        let last = |vector: &Vector| vector.0.iter().rposition(|word| *word != 0).map_or(0, |word| word + 1);
        self.vectors.iter().map(last).max().unwrap_or(0)
    }
}

/// A pattern that a row's text must have, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCheck {
    /// Which pattern.
    pub pattern: u16,
    /// Which text.
    pub dim: Dim,
    /// Whether it must not have it.
    pub negated: bool,
}

impl Dim {
    /// The texts.
    pub(super) const TEXTS: [(Dim, Text); 3] =
        [(Dim::Executable, Text::Executable), (Dim::Path, Text::Path), (Dim::Target, Text::Target)];

    /// Its number in the kernel.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The dimension of a text.
    pub(super) fn of(text: Text) -> Self {
        match text {
            Text::Executable => Dim::Executable,
            Text::Path => Dim::Path,
            Text::Target => Dim::Target,
        }
    }
}
