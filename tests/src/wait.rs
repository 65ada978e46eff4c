//! Waiting for a thing to become true.

use std::time::{Duration, Instant};

/// Asks again until it has an answer, and gives that back.
///
/// # Panics
/// When there is none after `at_most`, naming what was waited for.
pub fn until<T>(what: &str, at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < at_most, "{what}: not after {at_most:?}");
        std::thread::sleep(Duration::from_millis(50)); // the poll interval
    }
}
