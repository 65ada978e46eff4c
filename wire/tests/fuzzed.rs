//! Inputs that a fuzzer found to lead somewhere new in what is read from elsewhere: frames, batches, queries. None does harm.
//!
//! `make fuzz` looks for more, and adds what it finds to `fuzzed/corpus`.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

#[path = "fuzzed/batches.rs"]
mod batches;
#[path = "fuzzed/frames.rs"]
mod frames;
#[path = "fuzzed/queries.rs"]
mod queries;

/// Feeds all inputs of a corpus, each whole, cut, and with a bit changed here and there; what the whole ones led to.
fn all(name: &str, feed: fn(&[u8]) -> usize) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/corpus").join(name);
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the corpus is there").map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut led_to = 0;
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        led_to += feed(&bytes);
        for at in [1, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            feed(bytes.get(..at).unwrap_or_default());
        }
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
            feed(&changed);
        }
    }
    assert!(paths.len() >= 10, "only {} inputs of {name}", paths.len());
    led_to
}

#[test]
fn no_frames_of_the_corpus_do_harm() {
    assert!(all("frames", frames::feed) > 20);
}

#[test]
fn no_batches_of_the_corpus_do_harm() {
    assert!(all("batches", batches::feed) > 100);
}

#[test]
fn no_queries_of_the_corpus_do_harm() {
    assert!(all("queries", queries::feed) > 20);
}
