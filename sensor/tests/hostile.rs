//! Inputs that a fuzzer found to lead somewhere new, and records of every kind as a kernel made them: none does harm.
//!
//! `make fuzz` looks for more, and adds what it finds to `hostile/corpus`.

use std::fs;
use std::path::Path;

#[path = "hostile/feed.rs"]
mod feed;

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    let entries = fs::read_dir(folder).expect("the corpus is there").flatten();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let bytes = fs::read(entry.path()).expect("a file of the corpus");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn no_input_of_the_corpus_does_harm() {
    let corpus = corpus();
    assert!(corpus.len() > 50, "only {} files in the corpus", corpus.len());
    let n_events: usize = corpus.iter().map(|(_, bytes)| feed::feed(bytes)).sum();
    assert!(n_events > corpus.len(), "{n_events} events of {} files: most lead nowhere", corpus.len());
}

#[test]
fn an_input_that_is_cut_or_lengthened_does_no_harm() {
    for (name, bytes) in corpus() {
        for at in [1, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            feed::feed(bytes.get(..at.min(bytes.len())).unwrap_or_default());
        }
        // Records are cut too, each where its last string stands.
        let cut: Vec<&[u8]> = feed::records(&bytes)
            .iter()
            .map(|record| record.get(..record.len() * 3 / 4).unwrap_or_default())
            .collect();
        let cut = feed::input(cut);
        assert!(cut.len() <= bytes.len() + 2, "{name}");
        feed::feed(&cut);
    }
}
