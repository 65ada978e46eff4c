//! Queries for property tests: valid ones, over small worlds, so that they match something now and then.

use proptest::prelude::*;

use super::{Comparison, Named, Node, Piece, Query, Span, Term, Tree, Word};
use crate::field::{Field, Place};
use crate::value::FieldType;

pub(crate) fn queries() -> impl Strategy<Value = Query> {
    prop_oneof![
        1 => Just(Query { root: None }),
        30 => tree(term().boxed(), 4).prop_map(|root| Query { root: Some(root) }),
    ]
}

impl Query {
    /// The same query with every span at zero, so that two texts can be compared by what they mean.
    pub(crate) fn without_spans(mut self) -> Self {
        if let Some(root) = &mut self.root {
            clear(root, &mut |term| match term {
                Term::Bare(word) => word.span = Span::default(),
                Term::Has { field, values } => {
                    field.span = Span::default();
                    clear(values, &mut |word| word.span = Span::default());
                }
                Term::Compare { field, value, .. } => {
                    field.span = Span::default();
                    value.span = Span::default();
                }
            });
        }
        self
    }
}

fn clear<L>(node: &mut Node<L>, leaf: &mut dyn FnMut(&mut L)) {
    node.span = Span::default();
    match &mut node.tree {
        Tree::And(nodes) | Tree::Or(nodes) => nodes.iter_mut().for_each(|node| clear(node, leaf)),
        Tree::Not(node) => clear(node, leaf),
        Tree::Leaf(value) => leaf(value),
    }
}

fn tree<L: Clone + std::fmt::Debug + 'static>(leaf: BoxedStrategy<L>, depth: u32) -> BoxedStrategy<Node<L>> {
    let node = |tree| Node { span: Span::default(), tree };
    leaf.prop_map(move |leaf| node(Tree::Leaf(leaf)))
        .prop_recursive(depth, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(move |nodes| node(Tree::And(nodes))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(move |nodes| node(Tree::Or(nodes))),
                inner.prop_map(move |inner| node(Tree::Not(Box::new(inner)))),
            ]
        })
        .boxed()
}

fn term() -> impl Strategy<Value = Term> {
    let searchable: Vec<Field> = Field::ALL
        .iter()
        .copied()
        .filter(|field| field.place() != Place::Store || *field == Field::EventIngested)
        .collect();
    let field = prop_oneof![prop::sample::select(COMMON), prop::sample::select(searchable)];
    let has = field.prop_flat_map(|field| {
        let named = Named { field, span: Span::default() };
        tree(value(field), 2).prop_map(move |values| Term::Has { field: named, values })
    });
    const COMPARISONS: &[Comparison] =
        &[Comparison::Less, Comparison::AtMost, Comparison::Greater, Comparison::AtLeast];
    let numeric: Vec<Field> = Field::ALL
        .iter()
        .copied()
        .filter(|field| matches!(field.field_type(), FieldType::Uint | FieldType::Int | FieldType::Time))
        .filter(|field| *field != Field::ProcessCapabilities)
        .collect();
    let compare =
        (prop::sample::select(numeric), prop::sample::select(COMPARISONS)).prop_flat_map(
            |(field, comparison)| {
                let named = Named { field, span: Span::default() };
                value(field)
                    .prop_filter("a value", |word| !word.is_any())
                    .prop_map(move |value| Term::Compare { field: named, comparison, value })
            },
        );
    let bare = prop_oneof![texts(), one_of(ADDRESSES)].prop_map(Term::Bare);
    prop_oneof![8 => has, 2 => compare, 2 => bare]
}

/// A value that fits the field.
fn value(field: Field) -> BoxedStrategy<Word> {
    let typed = match field.field_type() {
        _ if field == Field::ProcessCapabilities => one_of(&["CAP_CHOWN", "CAP_KILL", "0x1", "0x21"]),
        FieldType::Keyword | FieldType::KeywordList => prop_oneof![texts(), one_of(CONSTANTS)].boxed(),
        FieldType::Uint => one_of(&["0", "1", "2", "22", "443", "0x16"]),
        FieldType::Int => one_of(&["-1", "0", "1", "137"]),
        FieldType::Bool => one_of(&["true", "false"]),
        FieldType::Ip => one_of(ADDRESSES),
        FieldType::Time => {
            one_of(&["now", "now-1s", "now-1h30m", "2023-11-14", "2023-11-14T22:13:20Z", "1970-01-01"])
        }
    };
    prop_oneof![6 => typed, 1 => Just(word(vec![Piece::Any], false))].boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<Word> {
    prop::sample::select(values).prop_map(|text| word(vec![Piece::Bytes(text.into())], false)).boxed()
}

fn texts() -> BoxedStrategy<Word> {
    let bytes = prop::sample::select(TEXTS).prop_map(|text: &[u8]| Piece::Bytes(text.to_vec()));
    let piece = prop_oneof![4 => bytes, 2 => Just(Piece::Any), 1 => Just(Piece::One)];
    (prop::collection::vec(piece, 0..4), any::<bool>()).prop_map(|(pieces, fold)| word(pieces, fold)).boxed()
}

fn word(pieces: Vec<Piece>, fold: bool) -> Word {
    let mut word = Word { span: Span::default(), pieces: Vec::new(), fold: false };
    pieces.into_iter().for_each(|piece| word.push(piece));
    word.fold = fold && word.pieces.iter().any(|piece| matches!(piece, Piece::Bytes(_)));
    word
}

const COMMON: &[Field] = &[
    Field::EventAction,
    Field::EventCategory,
    Field::ProcessName,
    Field::ProcessExecutable,
    Field::ProcessCommandLine,
    Field::ProcessArgs,
    Field::ProcessParentName,
    Field::ProcessParentCommandLine,
    Field::ProcessAncestorExecutable,
    Field::ProcessAncestorName,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::HostName,
    Field::ProcessUserId,
    Field::NetworkType,
];

/// Texts that [`crate::flat`]'s test batches are made of, and some that try the scanner.
pub(crate) const TEXTS: &[&[u8]] = &[
    b"a",
    b"b",
    b"/a",
    b"/a/b",
    b"/b/a",
    b"b/",
    b"a b",
    b" ",
    b"A",
    b"\xff",
    b"\"",
    b"\\",
    b"and",
    b"(",
    b":",
    b"\n",
    "é".as_bytes(),
    b"host",
    b"i",
    b"*",
    b"?",
];
const CONSTANTS: &[&str] =
    &["exec", "connect", "fork", "process", "network", "unknown", "kind-7", "ipv4", "inbound", "tcp"];
pub(crate) const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.2",
    "0.0.0.0/0",
    "2001:db8::1",
    "2001:db8::/32",
    "::/0",
    "::ffff:10.0.0.1",
];
