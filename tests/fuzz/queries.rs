//! Texts of queries: what the fuzzer feeds.
#![no_main]

#[path = "../../wire/tests/fuzzed/queries.rs"]
mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    feed::feed(bytes);
});
