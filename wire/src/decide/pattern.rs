//! Patterns that no look-up decides: a row's texts are compared with them when all else matches.

/// Stretches of bytes in order, with anything between them: `*` in the middle of a value or at its start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// The stretches; at least one, none empty.
    pub pieces: Vec<Vec<u8>>,
    /// The text begins with the first one.
    pub at_start: bool,
    /// The text ends with the last one.
    pub at_end: bool,
}

/// Which text of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Text {
    /// `process.executable`.
    Executable,
    /// `file.path`.
    Path,
    /// `file.target_path`.
    Target,
}

impl Text {
    /// All of them.
    pub const ALL: [Text; 3] = [Text::Executable, Text::Path, Text::Target];
}

/// One pattern that has to be looked at, and how it has to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Check {
    /// What is compared. An absent text has no pattern.
    pub text: Text,
    /// With what.
    pub pattern: Pattern,
    /// Whether the text must not have it.
    pub negated: bool,
}

impl Pattern {
    /// How many bytes its stretches have together.
    pub fn n_bytes(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }
}
