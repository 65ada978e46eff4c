//! Waiting for a thing to become true.

use std::time::Duration;

pub use guest::wait::poll;

/// Asks again until it has an answer, and gives that back.
///
/// # Panics
/// When there is none after `at_most`, naming what was waited for.
pub fn until<T>(what: &str, at_most: Duration, ask: impl FnMut() -> Option<T>) -> T {
    poll(at_most, ask).unwrap_or_else(|| panic!("{what}: not after {at_most:?}"))
}
