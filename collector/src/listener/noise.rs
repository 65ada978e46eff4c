//! Keeps what strangers cause from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::session::Rate;
use crate::session::rate::Bucket;

/// Lines that anyone can cause, together.
const LINES: Rate = Rate { burst: 20, per_second: 1 };

/// Counts lines about what strangers and misbehaving hosts do.
pub(crate) struct Noise {
    state: Mutex<(Bucket, u64)>,
}

impl Default for Noise {
    fn default() -> Self {
        Self { state: Mutex::new((Bucket::new(Instant::now(), LINES), 0)) }
    }
}

impl Noise {
    /// Whether a line may be logged now: how many were not since the last one.
    pub(crate) fn may_log(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (bucket, suppressed) = &mut *state;
        if bucket.take(now) {
            Some(std::mem::take(suppressed))
        } else {
            *suppressed += 1;
            None
        }
    }
}
