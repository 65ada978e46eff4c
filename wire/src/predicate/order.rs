//! In which order conditions are asked.

use super::{Expression, Leaf};
use crate::field::{Field, Place};

/// Orders the children of every `and` and `or` so that what is cheap to decide is asked first.
pub(super) fn cheapest_first(expression: Expression, leaves: &[Leaf]) -> Expression {
    let sorted = |inner: Vec<Expression>| {
        let mut inner: Vec<_> = inner.into_iter().map(|e| cheapest_first(e, leaves)).collect();
        inner.sort_by_key(|e| cost(e, leaves));
        inner
    };
    match expression {
        Expression::And(inner) => Expression::And(sorted(inner)),
        Expression::Or(inner) => Expression::Or(sorted(inner)),
        Expression::Not(inner) => Expression::Not(Box::new(cheapest_first(*inner, leaves))),
        other => other,
    }
}

fn cost(expression: &Expression, leaves: &[Leaf]) -> u32 {
    match expression {
        Expression::Everything => 0,
        Expression::Not(inner) => cost(inner, leaves),
        Expression::And(inner) | Expression::Or(inner) => {
            inner.iter().map(|e| cost(e, leaves)).max().unwrap_or(0)
        }
        Expression::Leaf(n) => match leaves.get(*n).map(|leaf| (leaf.field, leaf.field.place())) {
            Some((_, Place::Batch | Place::Store)) => 1,
            Some((Field::EventCategory | Field::EventAction, _)) => 2,
            Some((_, Place::Subject | Place::Parent(_) | Place::Ancestor(_))) => 4,
            Some((field, _)) if field.name().starts_with("process.") => 5,
            Some((Field::EventId, _)) => 9,
            _ => 6,
        },
    }
}
