//! Signing requests and certificates that a fuzzer found to lead somewhere new: none does harm.
//!
//! `make fuzz` looks for more, and adds what it finds to `fuzzed/corpus`.
#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;

#[path = "fuzzed/feed.rs"]
mod feed;

#[test]
fn no_certificate_of_the_corpus_does_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/corpus");
    let (mut n_files, mut n_good) = (0, 0);
    for entry in fs::read_dir(folder).expect("the corpus is there").flatten() {
        let bytes = fs::read(entry.path()).expect("a file of the corpus");
        n_files += 1;
        n_good += usize::from(feed::feed(&bytes));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
            feed::feed(&changed);
            feed::feed(bytes.get(..at).unwrap_or_default());
        }
    }
    assert!(n_files >= 4 && n_good >= 2, "{n_good} of {n_files} hold a key or a host");
}
