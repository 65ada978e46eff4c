//! From the rings' bytes into the pipeline.

use tracing::warn;
use wire::time::BootTime;

use super::care::Care;
use crate::pipeline::Pipeline;
use crate::probe::{Earlier, Probe};
use crate::record::Record;
use crate::user::Names;

/// The most records taken before batches are shipped.
const AT_ONCE: usize = 4096;
/// The most records that wait for their process.
const MAX_EARLY: usize = 1024;

/// Takes records out of the rings.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Records of the bulk ring whose process is not known yet. The ring of process life is drained
    /// first, but a process may be born and connect while the other ring is being drained: its birth
    /// comes with the next draining, and these are taken after it.
    early: Vec<Vec<u8>>,
    n_malformed: u64,
}

/// Where records go.
pub(super) struct Sink<'a> {
    pub(super) pipeline: &'a mut Pipeline,
    pub(super) care: &'a mut Care,
    pub(super) names: &'a Names,
    pub(super) now: BootTime,
}

impl Intake {
    /// Takes what waits, up to a bound; the answer is whether the rings were drained to their end.
    pub(super) fn drain(&mut self, probe: &mut Probe, mut sink: Sink<'_>) -> bool {
        let waited = std::mem::take(&mut self.early);
        let n = probe.drain(AT_ONCE, |bytes| self.take(bytes, &mut sink));
        sink.take_all(waited);
        let is_empty = n < AT_ONCE;
        if is_empty {
            sink.care.heard_out();
        }
        is_empty
    }

    /// Takes what is left, whether its process is known or not.
    pub(super) fn finish(&mut self, probe: &mut Probe, mut sink: Sink<'_>) {
        while !self.drain(probe, sink.again()) {}
        self.drain(probe, sink.again());
    }

    /// Takes all that programs of another version have left.
    pub(super) fn drain_earlier(&mut self, earlier: &mut Earlier, mut sink: Sink<'_>) {
        earlier.drain(|bytes| self.take(bytes, &mut sink));
        sink.take_all(std::mem::take(&mut self.early));
    }

    fn take(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        match Record::decode(bytes) {
            Ok(record) if self.early.len() < MAX_EARLY && sink.pipeline.is_early(&record) => {
                self.early.push(bytes.to_vec());
            }
            Ok(record) => sink.take(&record),
            Err(error) => {
                // Its number stays a gap: it is counted as lost.
                if self.n_malformed == 0 {
                    warn!(%error, "a record of the kernel's makes no sense; more of them are only counted");
                }
                self.n_malformed += 1;
            }
        }
    }

    /// Records that made no sense, since the start.
    pub(super) fn n_malformed(&self) -> u64 {
        self.n_malformed
    }
}

impl Sink<'_> {
    fn take(&mut self, record: &Record<'_>) {
        if self.care.took(record, self.now) {
            self.pipeline.absorb(record.at, self.now);
        } else {
            self.pipeline.take(record, self.names, self.now);
        }
    }

    fn take_all(&mut self, records: Vec<Vec<u8>>) {
        for bytes in records {
            if let Ok(record) = Record::decode(&bytes) {
                self.take(&record);
            }
        }
    }

    fn again(&mut self) -> Sink<'_> {
        Sink { pipeline: self.pipeline, care: self.care, names: self.names, now: self.now }
    }
}
