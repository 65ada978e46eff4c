//! A query's text: read, printed, read again, given types, and decided.

use wire::decide::decide;
use wire::event::FlatEvent;
use wire::limits::MAX_QUERY_BYTES;
use wire::predicate::{Options, Predicate};
use wire::query::Query;

/// Feeds one input; 1 if it is a query.
pub(crate) fn feed(input: &[u8]) -> usize {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => {
            // Shown with carets below the place, so that has to be one.
            assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?} of {text:?}");
            assert!(error.render(text).contains('^'));
            return 0;
        }
    };
    let printed = query.to_string();
    // One spelling, which is read as the same; bytes that are no text take more room in it.
    if printed.len() <= MAX_QUERY_BYTES {
        let again = Query::parse(&printed).map(|query| query.to_string());
        assert_eq!(again.as_ref(), Ok(&printed), "of {text:?}");
    }
    if let Ok(predicate) = Predicate::compile(&query, &Options::default()) {
        // An event without a field: only what asks for nothing, or for something's absence, matches.
        let _ = predicate.matches(&FlatEvent::default());
        let _ = (predicate.fields(), predicate.uses_lineage(), predicate.is_everything());
    }
    drop(decide(text));
    1
}
