//! Signing requests and certificates: what the fuzzer feeds.
#![no_main]

#[path = "../../collector/tests/fuzzed/feed.rs"]
mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    feed::feed(bytes);
});
