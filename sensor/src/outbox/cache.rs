//! Bundles that were read from disk and are being sent.

use std::collections::VecDeque;

use wire::frame::data::Batch;

use super::when::BUNDLE_BYTES;
use crate::spool::{Run, StreamKey};

/// How many are kept: one for each data stream of a session.
const MAX_BUNDLES: usize = wire::frame::MAX_DATA_STREAMS;
/// The most bytes that they may have together: some batches are larger than a bundle is meant to be.
const MAX_BYTES: u64 = 4 * MAX_BUNDLES as u64 * BUNDLE_BYTES;

/// The bundles that were read last.
#[derive(Debug, Default)]
pub(super) struct Cache {
    bundles: VecDeque<Bundle>,
}

#[derive(Debug)]
struct Bundle {
    stream: StreamKey,
    run: Run,
    batches: Vec<Batch>,
}

impl Cache {
    /// The batch that holds this number, if its bundle is here.
    pub(super) fn batch(&self, stream: StreamKey, run: Run, seq: u64) -> Option<Batch> {
        let bundle = self.bundles.iter().find(|bundle| bundle.is(stream, run))?;
        let at = bundle.batches.partition_point(|batch| batch.end() <= seq);
        bundle.batches.get(at).cloned()
    }

    /// Keeps a bundle in place of the oldest ones.
    pub(super) fn put(&mut self, stream: StreamKey, run: Run, batches: Vec<Batch>) {
        self.forget(stream, run);
        self.bundles.push_back(Bundle { stream, run, batches });
        while self.bundles.len() > MAX_BUNDLES || self.bundles.len() > 1 && self.n_bytes() > MAX_BYTES {
            self.bundles.pop_front();
        }
    }

    pub(super) fn forget(&mut self, stream: StreamKey, run: Run) {
        self.bundles.retain(|bundle| !bundle.is(stream, run));
    }

    fn n_bytes(&self) -> u64 {
        self.bundles.iter().flat_map(|bundle| &bundle.batches).map(Batch::credit_bytes).sum()
    }
}

impl Bundle {
    fn is(&self, stream: StreamKey, run: Run) -> bool {
        (self.stream, self.run) == (stream, run)
    }
}
