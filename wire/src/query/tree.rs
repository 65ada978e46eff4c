//! The tree of a query. Every node knows its place in the text.

use super::Span;
use crate::field::Field;

/// A node of a tree of conditions over `L`, with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<L> {
    /// Where it stands in the text.
    pub span: Span,
    /// What it is.
    pub tree: Tree<L>,
}

/// Conditions joined by words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree<L> {
    /// All of at least two.
    And(Vec<Node<L>>),
    /// Any of at least two.
    Or(Vec<Node<L>>),
    /// Not that one.
    Not(Box<Node<L>>),
    /// One condition.
    Leaf(L),
}

/// One condition of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A bare word, searched for in the fields people mean by it.
    Bare(Word),
    /// `field:value` or `field:(a or b)`.
    Has {
        /// The field.
        field: Named,
        /// Its values, joined by words.
        values: Node<Word>,
    },
    /// `field >= value`.
    Compare {
        /// The field.
        field: Named,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Word,
    },
}

/// A field as named in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The field.
    pub field: Field,
    /// Where its name stands.
    pub span: Span,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// As it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// A value as typed: bytes and wildcards.
///
/// Two stretches of bytes never stand side by side, none is empty, and `*` never follows `*`; no
/// pieces at all are the empty string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it stands in the text.
    pub span: Span,
    /// Its pieces, in order.
    pub pieces: Vec<Piece>,
    /// Whether ASCII letters match in either case (`"…"i`).
    pub fold: bool,
}

/// A stretch of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// `*`: any bytes, also none.
    Any,
    /// `?`: any one byte.
    One,
}

impl Word {
    /// The value's bytes, when it has no wildcards.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Whether it is a lone `*`: any value at all.
    pub fn is_any(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Any])
    }

    pub(super) fn push(&mut self, piece: Piece) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Bytes(last)), Piece::Bytes(more)) => last.extend(more),
            (Some(Piece::Any), Piece::Any) => {}
            (_, Piece::Bytes(none)) if none.is_empty() => {}
            (_, piece) => self.pieces.push(piece),
        }
    }
}
