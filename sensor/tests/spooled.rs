//! Files of the spool that a fuzzer found to lead somewhere new: none does harm.
//!
//! `make fuzz` looks for more, and adds what it finds to `spooled/corpus`.
#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;

#[path = "spooled/feed.rs"]
mod feed;

#[test]
fn no_file_of_the_corpus_does_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spooled/corpus");
    let feed = feed::Feed::new();
    let (mut n_files, mut n_read) = (0, 0);
    for entry in fs::read_dir(folder).expect("the corpus is there").flatten() {
        let bytes = fs::read(entry.path()).expect("a file of the corpus");
        n_files += 1;
        n_read += usize::from(feed.feed(&bytes));
        for at in 0..bytes.len().min(64) {
            feed.feed(bytes.get(..at).unwrap_or_default());
        }
    }
    assert!(n_files >= 4 && n_read >= 2, "{n_read} of {n_files} files could be read");
}
