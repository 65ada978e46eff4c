//! What must hold for any query and any batch.

use proptest::prelude::*;

use super::{Options, Predicate, Verdict};
use crate::flat::Flattener;
use crate::flat::arbitrary::{NOW, batches, outer};
use crate::query::arbitrary::queries;
use crate::term;

fn predicates() -> impl Strategy<Value = (String, Predicate)> {
    queries().prop_map(|query| {
        let options = Options { now: NOW, store_fields: false };
        let text = query.to_string();
        let predicate =
            Predicate::compile(&query, &options).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        (text, predicate)
    })
}

/// Queries and batches rarely meet, so many are tried.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn columns_and_single_events_give_the_same_answer(
        (text, predicate) in predicates(),
        batch in batches(),
        outer in outer(),
    ) {
        let judge = predicate.judge(&outer);
        let verdict = judge.verdict(&batch).expect("a verdict");
        let selected = judge.select(&batch).expect("a selection");
        let mut expected = Vec::new();
        let mut flattener = Flattener::new(&batch, &outer);
        for n in 0..batch.n_events() {
            let event = flattener.event(n).expect("an event").expect("an event");
            event.to_json();
            if predicate.matches(&event) {
                expected.push(n);
            }
        }
        prop_assert_eq!(&selected, &expected, "{}", text);
        match verdict {
            Verdict::None => prop_assert!(expected.is_empty()),
            Verdict::All => prop_assert_eq!(expected.len(), batch.n_events() as usize),
            Verdict::Maybe => {}
        }
        if !expected.is_empty() {
            prop_assert!(predicate.admits_host(&outer), "{}", text);
        }
    }

    #[test]
    fn what_matches_is_among_the_candidates(
        (text, predicate) in predicates(),
        batch in batches(),
        outer in outer(),
    ) {
        if !predicate.select(&batch, &outer).expect("a selection").is_empty() {
            let terms = term::of_batch(&batch).expect("terms");
            prop_assert!(predicate.candidates().admit(&|hash| terms.contains(&hash)), "{}", text);
        }
    }
}
