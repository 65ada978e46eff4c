//! Waiting for a thing to become true.

use std::time::{Duration, Instant};

/// Asks again until it has an answer; `None` when there is none after `at_most`.
pub fn poll<T>(at_most: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() >= at_most {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20)); // the poll interval
    }
}
