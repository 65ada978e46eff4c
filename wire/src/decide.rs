//! What a kernel can decide.
//!
//! [`decide`] turns a query into rows: conjunctions in which each dimension of an event is one look-up, as
//! `event.h` describes the kernel's tables. Where a look-up cannot tell, a row has patterns that are compared when all
//! else matches. The rows match exactly what the query matches ([`crate::predicate::Predicate::matches`]), or the
//! query is refused with the reason; it is never weakened. The collector's check and the sensor share this.
//!
//! System calls are so many that only those are meant which a query names: by their names or numbers, in what says that it
//! is about them (`event.category:syscall`). Every other query means all events but those.
//!
//! Every kernel decides the same; which kinds of event it shows is another question.

use crate::event::Kind;
use crate::field::Field;
use crate::predicate::{Options, Predicate};
use crate::query::{Hint, Node, Query, QueryError, Span, Term, Tree};

mod access;
mod calls;
mod kinds;
mod literal;
mod normal;
mod numbers;
mod pattern;
#[cfg(test)]
mod properties;
mod row;
mod show;
mod texts;
mod word;

pub use access::{ACCESS, Accesses};
pub use kinds::{Kinds, is_always_shipped};
pub use numbers::Numbers;
pub use pattern::{Check, Pattern, Text};
pub use row::Row;
pub use texts::{Texts, Walk};

/// The fields that a kernel looks up.
pub const FIELDS: &[Field] = &[
    Field::EventCategory,
    Field::EventAction,
    Field::ProcessUserId,
    Field::ProcessExecutable,
    Field::ProcessName,
    Field::FilePath,
    Field::FileTargetPath,
    Field::FileAccess,
    Field::SyscallNumber,
];

/// The most rows of one query.
pub const MAX_ROWS: usize = 256;
/// The most patterns that one row has to be compared with.
pub const MAX_CHECKS: usize = 4;
/// The most stretches of bytes in a pattern.
pub const MAX_PIECES: usize = 8;
/// The most bytes in a pattern.
pub const MAX_PATTERN_BYTES: usize = 256;
/// How many bytes of a text are looked up, the NUL at its end included.
pub const TEXT_BYTES: usize = 252;

/// The most system calls that one row may ask for.
pub const MAX_CALLS: usize = 64;

/// The most user ids that a range may stand for, or leave out.
const MAX_RANGE: i128 = 64;
/// The most rows that are looked at on the way: before those are joined that differ in one set only.
const MAX_ROWS_AT_WORK: usize = 8_192;
/// The most of them that an `and` of `or`s makes.
const MAX_CASES: usize = 1_024;
/// The most values that all of those may have.
const MAX_ENTRIES_AT_WORK: usize = 1 << 18;

/// What a kernel has to do for a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rows of which an event must match one. None: the query asks only for what is shipped anyway.
    pub rows: Vec<Row>,
    /// What is odd about the query though it is valid.
    pub hints: Vec<Hint>,
}

/// Reads a query and finds out how a kernel decides it.
///
/// # Errors
/// When the text is no query, when a kernel cannot decide it, when no event can ever match it, or when it takes more than
/// [`MAX_ROWS`]. Columns are counted in characters of `text`.
pub fn decide(text: &str) -> Result<Decision, QueryError> {
    of_text(text, |kind| !is_always_shipped(kind)).map_err(Undecided::error)
}

/// Why a kernel does not decide a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// It is no query, or no event can ever match it.
    Never(QueryError),
    /// It asks for more than a kernel can look up, or takes more than [`MAX_ROWS`].
    Beyond(QueryError),
}

impl Undecided {
    /// The error by itself.
    pub fn error(self) -> QueryError {
        match self {
            Undecided::Never(error) | Undecided::Beyond(error) => error,
        }
    }

    fn at_column_of(self, text: &str) -> Self {
        match self {
            Undecided::Never(error) => Undecided::Never(error.at_column_of(text)),
            Undecided::Beyond(error) => Undecided::Beyond(error.at_column_of(text)),
        }
    }
}

/// The same of all events, those too that are shipped whatever a collection says.
///
/// # Errors
/// As [`decide`], and whether a predicate in user space could decide it.
pub fn all(text: &str) -> Result<Decision, Undecided> {
    of_text(text, |_| true)
}

fn of_text(text: &str, is_decided: fn(Kind) -> bool) -> Result<Decision, Undecided> {
    let query = Query::parse(text).map_err(Undecided::Never)?;
    of_query(&query, is_decided).map_err(|undecided| undecided.at_column_of(text))
}

/// Rows for the kinds of event that are to be decided.
fn of_query(query: &Query, is_decided: fn(Kind) -> bool) -> Result<Decision, Undecided> {
    let predicate = Predicate::compile(query, &Options::default()).map_err(Undecided::Never)?;
    let hints = predicate.hints().to_vec();
    let (found, span) = match &query.root {
        None => (vec![Row::everything()], Span::default()),
        Some(root) => (normal::rows(root).map_err(Undecided::Beyond)?, root.span),
    };
    let mut possible = found.clone();
    possible.iter_mut().for_each(|row| row.kinds = row.possible());
    possible.retain(|row| !row.kinds.is_empty());
    if possible.is_empty() {
        return Err(Undecided::Never(never(query, &found, span, &hints)));
    }
    for row in &mut possible {
        calls::only_named(row).map_err(|fault| Undecided::Beyond(fault.error(span)))?;
        row.kinds = row.kinds.iter().filter(|kind| is_decided(*kind)).collect();
    }
    possible.retain(|row| !row.kinds.is_empty());
    let rows = row::merge(possible);
    if rows.len() > MAX_ROWS {
        let error = QueryError::new(span, format!("it takes {} rows of the kernel's tables", rows.len()));
        return Err(Undecided::Beyond(
            error.expected(format!("at most {MAX_ROWS}; write it as several entries")),
        ));
    }
    Ok(Decision { rows, hints })
}

/// Why no event can match.
fn never(query: &Query, rows: &[Row], span: Span, hints: &[Hint]) -> QueryError {
    let Some(row) = rows.first() else {
        let suggestion = hints.iter().find_map(|hint| hint.suggestion.clone());
        return match hints.first() {
            Some(hint) => {
                let message = format!("{}, so it never matches", hint.message);
                QueryError::new(hint.span, message).suggestion(suggestion)
            }
            None => QueryError::new(
                span,
                "its conditions exclude one another, or no event has such a value, so it never matches",
            ),
        };
    };
    let lacking = |field: &Field| row.kinds.iter().all(|kind| !kinds::may_have(kind, *field));
    let kinds = show::named(&row.kinds);
    match row.asked().find(lacking) {
        Some(field) => QueryError::new(
            query.root.as_ref().and_then(|root| place(root, field)).unwrap_or(span),
            format!("no event of {kinds} has {field}, so it never matches"),
        ),
        None => {
            QueryError::new(span, format!("no event of {kinds} has all these fields, so it never matches"))
        }
    }
}

/// Where a field is first named.
fn place(node: &Node<Term>, field: Field) -> Option<Span> {
    match &node.tree {
        Tree::And(nodes) | Tree::Or(nodes) => nodes.iter().find_map(|node| place(node, field)),
        Tree::Not(inner) => place(inner, field),
        Tree::Leaf(Term::Has { field: named, .. } | Term::Compare { field: named, .. }) => {
            let same = named.field == field
                || (named.field == Field::ProcessName && field == Field::ProcessExecutable);
            same.then_some(named.span)
        }
        Tree::Leaf(Term::Bare(_)) => None,
    }
}
