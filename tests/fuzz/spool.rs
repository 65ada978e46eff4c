//! Files of the spool: what the fuzzer feeds.
#![no_main]

#[path = "../../sensor/tests/spooled/feed.rs"]
mod feed;

thread_local! {
    static FEED: feed::Feed = feed::Feed::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    FEED.with(|feed| feed.feed(bytes));
});
