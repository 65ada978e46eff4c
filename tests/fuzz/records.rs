//! The kernel's records, whatever their bytes: what the fuzzer feeds.
#![no_main]

#[allow(dead_code, reason = "inputs are made elsewhere")]
#[path = "../../sensor/tests/hostile/feed.rs"]
mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    feed::feed(bytes);
});
