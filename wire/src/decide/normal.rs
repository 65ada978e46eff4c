//! From a tree of conditions to rows: any of them, each all of its sets.

use super::literal;
use super::row::{Row, in_pairs, merge};
use super::{MAX_CASES, MAX_CHECKS, MAX_ENTRIES_AT_WORK, MAX_ROWS_AT_WORK};
use crate::query::{Node, QueryError, Span, Term, Tree};

/// The rows of which an event must match one.
pub(super) fn rows(root: &Node<Term>) -> Result<Vec<Row>, QueryError> {
    tree(root, false, &mut term)
}

/// A leaf's rows, or those of what it is not.
type Leaf<'a, L> = &'a mut dyn FnMut(&L, Span, bool) -> Result<Vec<Row>, QueryError>;

fn term(term: &Term, span: Span, negated: bool) -> Result<Vec<Row>, QueryError> {
    match term {
        Term::Bare(word) if word.is_any() => Ok(if negated { vec![] } else { vec![Row::everything()] }),
        Term::Bare(word) => {
            let found = "a bare word is looked for in fields that are not known where the kernel decides";
            Err(QueryError::new(word.span, found).expected("a field with a value, such as file.path:/etc/*"))
        }
        Term::Has { field, values } => tree(values, negated, &mut |word, _, negated| {
            Ok(literal::has(*field, word, negated)?.into_iter().collect())
        }),
        Term::Compare { field, comparison, value } => {
            Ok(literal::compare(*field, *comparison, value, span, negated)?.into_iter().collect())
        }
    }
}

fn tree<L>(node: &Node<L>, negated: bool, leaf: Leaf<'_, L>) -> Result<Vec<Row>, QueryError> {
    match (&node.tree, negated) {
        (Tree::Leaf(value), _) => leaf(value, node.span, negated),
        (Tree::Not(inner), _) => tree(inner, !negated, leaf),
        (Tree::And(nodes), false) | (Tree::Or(nodes), true) => {
            let parts: Result<Vec<_>, _> = nodes.iter().map(|node| tree(node, negated, leaf)).collect();
            let all = in_pairs(parts?.into_iter().map(Ok).collect(), |a, b| all(a?, b?, node.span));
            all.unwrap_or_else(|| Ok(vec![Row::everything()]))
        }
        (Tree::Or(nodes), false) | (Tree::And(nodes), true) => {
            let (mut any, mut n_entries) = (Vec::new(), 0);
            for inner in nodes {
                let rows = tree(inner, negated, leaf)?;
                n_entries += rows.iter().map(Row::n_entries).sum::<usize>();
                any.extend(rows);
                bounded(any.len(), MAX_ROWS_AT_WORK, n_entries, node.span)?;
            }
            Ok(merge(any))
        }
    }
}

/// What matches a row of each.
fn all(left: Vec<Row>, right: Vec<Row>, span: Span) -> Result<Vec<Row>, QueryError> {
    let n_entries = |rows: &[Row]| rows.iter().map(Row::n_entries).sum::<usize>();
    let entries = n_entries(&left).saturating_mul(right.len()) + n_entries(&right).saturating_mul(left.len());
    bounded(left.len().saturating_mul(right.len()), MAX_CASES, entries, span)?;
    let mut rows = Vec::new();
    for left in &left {
        rows.extend(right.iter().filter_map(|right| left.and(right)));
    }
    if let Some(row) = rows.iter().find(|row| row.checks.len() > MAX_CHECKS) {
        let found = format!("{} patterns have to be looked at one after another", row.checks.len());
        return Err(QueryError::new(span, found).expected(format!(
            "at most {MAX_CHECKS}; values without `*`, or with one at their end, are none"
        )));
    }
    Ok(merge(rows))
}

fn bounded(n_rows: usize, most: usize, n_entries: usize, span: Span) -> Result<(), QueryError> {
    if n_rows > most {
        return Err(QueryError::new(span, format!("{n_rows} cases have to be told apart"))
            .expected(format!("at most {most}; write it as several entries")));
    }
    if n_entries > MAX_ENTRIES_AT_WORK {
        return Err(QueryError::new(span, format!("{n_entries} values have to be looked up"))
            .expected(format!("at most {MAX_ENTRIES_AT_WORK}; write it as several entries")));
    }
    Ok(())
}
