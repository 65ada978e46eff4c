//! What a query means.
//!
//! A [`Predicate`] is a query whose values have been given their fields' types. It answers three
//! questions: does this event match ([`Predicate::matches`]), which events of this batch match
//! ([`Predicate::select`]), and which batches could hold any ([`Predicate::candidates`],
//! [`Predicate::admits_host`], [`Judge::verdict`]). Search, tail, detections and dry-run all
//! use it, so they agree.
//!
//! The rules: an absent field matches nothing, so `not` of it matches; a list matches when any of
//! its values does; values are compared byte for byte; `*` matches `/` too. Every comparison takes
//! time linear in the value.

use std::fmt;

use crate::event::FlatEvent;
use crate::field::{Field, Place};
use crate::query::{Hint, Query, QueryError, Word};
use crate::time::WallTime;

mod address;
mod bits;
mod candidates;
mod compile;
mod events;
mod hints;
mod judge;
mod needs;
mod order;
mod pattern;
#[cfg(test)]
mod properties;
mod rows;
mod single;
mod strings;
mod subjects;
mod test;
mod value;

pub use address::Network;
pub use candidates::Candidates;
pub use judge::{Judge, Verdict};
pub use needs::Needs;

pub(crate) use value::number;

use pattern::TextTest;
use test::Test;

/// What a query is compiled against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What `now` means in the query.
    pub now: WallTime,
    /// Whether fields that only the store can fill in (`lineage.*`, `network.peer.entity_id`) may be named. Whoever sets
    /// this fills them into the events it hands to [`Predicate::matches`]; columns never have them.
    pub store_fields: bool,
}

/// A query with typed values.
#[derive(Clone, Debug)]
pub struct Predicate {
    root: Expression,
    /// What the leaves of `root` point at.
    leaves: Vec<Leaf>,
    /// What the leaves' text tests point at; several leaves share one (a bare word is looked for in many fields).
    texts: Vec<TextTest>,
    hints: Vec<Hint>,
}

/// Conditions joined by words. Children of `And` and `Or` stand cheapest first.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    /// Every event.
    Everything,
    /// All of these.
    And(Vec<Expression>),
    /// Any of these.
    Or(Vec<Expression>),
    /// Not that.
    Not(Box<Expression>),
    /// The leaf with this number.
    Leaf(usize),
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    field: Field,
    test: Test,
}

impl Predicate {
    /// Gives a query's values their types.
    ///
    /// # Errors
    /// When a value is not of its field's type, a comparison makes no sense for the field, the query would cost
    /// too much, or a field is not available under `options`.
    pub fn compile(query: &Query, options: &Options) -> Result<Self, QueryError> {
        compile::compile(query, options)
    }

    /// Reads and compiles a text in one go, with error columns counted in its characters.
    ///
    /// # Errors
    /// Those of [`Query::parse`] and [`Predicate::compile`].
    pub fn parse(text: &str, options: &Options) -> Result<Self, QueryError> {
        let query = Query::parse(text)?;
        Self::compile(&query, options).map_err(|error| error.at_column_of(text))
    }

    /// Whether a single event matches.
    pub fn matches(&self, event: &FlatEvent) -> bool {
        single::matches(self, event)
    }

    /// What is odd about the query though it is valid, for people who typed it.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// Every field it reads, each once, in the order of their numbers.
    pub fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.leaves.iter().map(|leaf| leaf.field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    /// Whether it asks for what crosses hosts and only the store knows.
    pub fn uses_lineage(&self) -> bool {
        self.leaves.iter().any(|leaf| store_only(leaf.field))
    }

    /// Whether it asks for everything.
    pub fn is_everything(&self) -> bool {
        self.root == Expression::Everything
    }
}

/// Whether texts are what this value asks for, as everywhere in a query; for fields with few values.
pub(crate) fn like(word: &Word) -> Result<impl Fn(&[u8]) -> bool + use<>, QueryError> {
    let pattern = compile::pattern(word, false)?;
    Ok(move |text: &[u8]| pattern.matches(text, &mut Vec::new()))
}

/// Whether only the store can fill this field in.
fn store_only(field: Field) -> bool {
    field.place() == Place::Store && field != Field::EventIngested
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Everything => f.write_str("everything"),
            Expression::And(inner) | Expression::Or(inner) => {
                f.write_str(if matches!(self, Expression::And(_)) { "(and" } else { "(or" })?;
                for expression in inner {
                    write!(f, " {expression}")?;
                }
                f.write_str(")")
            }
            Expression::Not(inner) => write!(f, "(not {inner})"),
            Expression::Leaf(n) => write!(f, "{n}"),
        }
    }
}
