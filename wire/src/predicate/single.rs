//! The evaluator over one event that stands alone.

use super::{Expression, Predicate};
use crate::event::FlatEvent;

pub(super) fn matches(predicate: &Predicate, event: &FlatEvent) -> bool {
    evaluate(predicate, &predicate.root, event, &mut Vec::new())
}

fn evaluate(
    predicate: &Predicate,
    expression: &Expression,
    event: &FlatEvent,
    scratch: &mut Vec<u8>,
) -> bool {
    match expression {
        Expression::Everything => true,
        Expression::And(inner) => inner.iter().all(|e| evaluate(predicate, e, event, scratch)),
        Expression::Or(inner) => inner.iter().any(|e| evaluate(predicate, e, event, scratch)),
        Expression::Not(inner) => !evaluate(predicate, inner, event, scratch),
        Expression::Leaf(n) => predicate.leaves.get(*n).is_some_and(|leaf| {
            event.row.get(leaf.field).is_some_and(|value| leaf.test.matches(value, &predicate.texts, scratch))
        }),
    }
}
