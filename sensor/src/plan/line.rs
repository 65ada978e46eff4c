//! One line of a collection, and what became of it.

use wire::decide::{Row, decide};
use wire::query::{Hint, Query, QueryError};

/// The longest line, in bytes.
pub const MAX_LINE_BYTES: usize = wire::limits::MAX_QUERY_BYTES;

/// A line with a query on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, as far as it is one.
    pub text: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel decides it.
    Decided {
        /// The rows that it takes. None: it asks only for what is shipped anyway.
        rows: Vec<Row>,
        /// What is odd about it all the same.
        hints: Vec<Hint>,
    },
    /// It says what the line of this number says.
    Repeats(usize),
    /// It has no effect, and the collection is not used.
    Refused(Refusal),
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is too long to be read.
    #[error("the line has {found} bytes, expected at most {MAX_LINE_BYTES}; write it as several lines")]
    TooLong {
        /// How many it has.
        found: usize,
    },
    /// It is no text.
    #[error("byte {at} of the line is no UTF-8; in quotes, write such a byte as `\\xNN`")]
    NotText {
        /// Which byte, from 1.
        at: usize,
    },
    /// It is no query, or none that a kernel can decide.
    #[error("{0}")]
    Query(QueryError),
    /// With it, all lines together take more than the kernel's tables hold.
    #[error(
        "with this line the collection takes {found} {what}, expected at most {most}; leave lines out, or make them simpler"
    )]
    NoRoom {
        /// Of what.
        what: &'static str,
        /// How many it would take.
        found: usize,
        /// How many there can be.
        most: usize,
    },
}

impl Line {
    /// Reads a line and finds out how the kernel decides it, and how it is written in one spelling. `None` for one without a
    /// query: it is blank, or begins with `#`.
    pub(super) fn read(number: usize, bytes: &[u8]) -> Option<(Self, String)> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() || bytes.starts_with(b"#") {
            return None;
        }
        let refused = |text: &str, refusal| {
            (Self { number, text: text.to_owned(), outcome: Outcome::Refused(refusal) }, String::new())
        };
        if bytes.len() > MAX_LINE_BYTES {
            return Some(refused("", Refusal::TooLong { found: bytes.len() }));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Some(refused("", Refusal::NotText { at: error.valid_up_to() + 1 })),
        };
        let decided = decide(text).and_then(|decision| Ok((decision, Query::parse(text)?.to_string())));
        Some(match decided {
            Ok((decision, spelt)) => {
                let outcome = Outcome::Decided { rows: decision.rows, hints: decision.hints };
                (Self { number, text: text.to_owned(), outcome }, spelt)
            }
            Err(error) => refused(text, Refusal::Query(error)),
        })
    }

    /// The rows it takes.
    pub fn rows(&self) -> &[Row] {
        match &self.outcome {
            Outcome::Decided { rows, .. } => rows,
            Outcome::Repeats(_) | Outcome::Refused(_) => &[],
        }
    }

    /// Why it is refused, if it is.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            Outcome::Decided { .. } | Outcome::Repeats(_) => None,
        }
    }
}
