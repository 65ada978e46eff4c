//! What comes next of each stream: as ingest tells, and as the watermarks say of what nobody told of.

use std::time::{Duration, Instant};

use super::Driver;
use crate::export::locate;
use crate::store::StoreError;
use crate::store::candidates::SegmentKey;

/// How often the watermarks of one share are compared.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// How often all are compared at most, as something was missed.
const MISSED_EVERY: Duration = Duration::from_secs(5);
/// Segments that are learned of at a time.
const KEYS_AT_ONCE: usize = 64;

impl Driver<'_> {
    /// Learns what was stored just now.
    pub(super) async fn hear(&mut self) -> Result<bool, StoreError> {
        let keys = self.memory.ear.now(KEYS_AT_ONCE);
        let is_heard = self.told(keys).await?;
        let may_look = self.times.missed.is_none_or(|at| at.elapsed() >= MISSED_EVERY);
        if may_look && self.memory.ear.take_missed() {
            self.times.missed = Some(Instant::now());
            self.compare_all(true);
        }
        Ok(is_heard)
    }

    pub(super) async fn told(&mut self, keys: Vec<SegmentKey>) -> Result<bool, StoreError> {
        if keys.is_empty() {
            return Ok(false);
        }
        let mut conn = self.config.pool.acquire().await?;
        locate::told(&mut conn, &mut self.memory.queue, &self.memory.held, &keys).await?;
        Ok(true)
    }

    pub(super) fn compare_all(&mut self, at_once: bool) {
        if at_once {
            self.compare.clear();
        }
        self.compare.extend(self.memory.held.iter().map(|share| (*share, None, at_once)));
    }

    /// Compares watermarks, and looks for what is behind.
    pub(super) async fn look(&mut self) -> Result<bool, StoreError> {
        let mut is_busy = false;
        if self.compare.is_empty() {
            self.compare_all(false);
        }
        let is_urgent = self.compare.front().is_some_and(|(_, _, at_once)| *at_once);
        if (is_urgent || self.times.compared.elapsed() >= COMPARE_EVERY)
            && !self.memory.queue.is_full()
            && let Some((share, after, at_once)) = self.compare.pop_front()
        {
            self.times.compared = Instant::now();
            let mut conn = self.config.pool.acquire().await?;
            let more = locate::compare(&mut conn, &mut self.memory.queue, share, after, at_once).await?;
            if let Some(after) = more {
                self.compare.push_front((share, Some(after), at_once));
            }
            is_busy |= is_urgent;
        }
        if self.memory.queue.is_sought() && !self.memory.queue.is_full() {
            let mut conn = self.config.pool.acquire().await?;
            let lost = self.seeker.seek(&mut conn, self.config.group, &mut self.memory.queue).await?;
            self.memory.notes.lost.extend(lost);
            is_busy = true;
        }
        Ok(is_busy)
    }
}
