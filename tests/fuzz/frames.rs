//! Streams of frames, in every direction: what the fuzzer feeds.
#![no_main]

#[path = "../../wire/tests/fuzzed/frames.rs"]
mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    feed::feed(bytes);
});
