//! The terms that a segment must have to be looked at.

use wire::predicate::Candidates;
use wire::term::Class;

/// So many lists at most come of an `or` between things that are several lists each.
const MAX_PRODUCT: usize = 16;
/// The database is not asked for more lists than this.
const MAX_CLAUSES: usize = 32;

/// What candidates come to as lists of terms: whatever satisfies them has, of each list, at least one term.
///
/// The lists may admit more than the tree does; nothing that the tree admits is left out.
pub(super) fn clauses(candidates: &Candidates) -> Vec<Vec<i64>> {
    let mut clauses = of(candidates);
    for clause in &mut clauses {
        clause.sort_unstable();
        clause.dedup();
    }
    // The shorter a list, the more it says.
    clauses.sort_by_key(Vec::len);
    clauses.dedup();
    clauses.truncate(MAX_CLAUSES);
    clauses
}

/// Whether every match must have a term that few batches have: not only a kind of event, which most have.
pub(super) fn say_much(candidates: &Candidates) -> bool {
    match candidates {
        Candidates::Any | Candidates::Term { class: Class::Action | Class::Category, .. } => false,
        Candidates::Term { .. } => true,
        Candidates::And(inner) => inner.iter().any(say_much),
        Candidates::Or(inner) => inner.iter().all(say_much),
    }
}

fn of(candidates: &Candidates) -> Vec<Vec<i64>> {
    match candidates {
        Candidates::Any => Vec::new(),
        Candidates::Term { .. } => candidates.hashes().map(|hashes| hashes.to_vec()).into_iter().collect(),
        Candidates::And(inner) => inner.iter().flat_map(of).collect(),
        Candidates::Or(inner) => {
            let mut inner = inner.iter().map(of);
            let Some(first) = inner.next() else { return Vec::new() };
            inner.fold(first, either)
        }
    }
}

/// What has one of each list of `a`, or one of each of `b`.
fn either(a: Vec<Vec<i64>>, b: Vec<Vec<i64>>) -> Vec<Vec<i64>> {
    let join = |a: &Vec<i64>, b: &Vec<i64>| a.iter().chain(b).copied().collect::<Vec<i64>>();
    if a.len() * b.len() <= MAX_PRODUCT {
        return a.iter().flat_map(|a| b.iter().map(move |b| join(a, b))).collect();
    }
    let shortest = |lists: &[Vec<i64>]| lists.iter().min_by_key(|list| list.len()).cloned();
    match (shortest(&a), shortest(&b)) {
        (Some(a), Some(b)) => vec![join(&a, &b)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn candidates() -> impl Strategy<Value = Candidates> {
        let leaf = prop_oneof![
            1 => Just(Candidates::Any),
            6 => (0u8..12).prop_map(|n| Candidates::Term { class: Class::Action, bytes: vec![n] }),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..6).prop_map(Candidates::And),
                proptest::collection::vec(inner, 1..6).prop_map(Candidates::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_admitted_is_left_out(tree in candidates(), present in proptest::collection::vec(0u8..12, 0..12), cut: bool) {
            let mut terms: Vec<i64> = present.iter().map(|n| wire::term::hash(Class::Action, &[*n])).collect();
            if cut {
                terms.push(wire::term::cut(Class::Action));
            }
            let has = |term: i64| terms.contains(&term);
            let clauses = clauses(&tree);
            prop_assert!(clauses.len() <= MAX_CLAUSES);
            if tree.admit(&has) {
                prop_assert!(clauses.iter().all(|any| any.iter().any(|term| has(*term))));
            }
        }
    }

    #[test]
    fn an_and_of_terms_is_a_list_each() {
        let term = |n| Candidates::Term { class: Class::Action, bytes: vec![n] };
        assert_eq!(clauses(&Candidates::And(vec![term(1), term(2)])).len(), 2);
        assert_eq!(clauses(&Candidates::Or(vec![term(1), term(2)]))[0].len(), 3);
        assert!(clauses(&Candidates::Or(vec![term(1), Candidates::Any])).is_empty());
    }
}
