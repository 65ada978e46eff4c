//! From the rings' bytes into the pipeline.

use tracing::warn;
use wire::time::BootTime;

use crate::pipeline::Pipeline;
use crate::probe::Probe;
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

impl Intake {
    /// Takes what waits, up to a bound; the answer is whether the rings were drained to their end.
    pub(super) fn drain(
        &mut self,
        probe: &mut Probe,
        pipeline: &mut Pipeline,
        names: &Names,
        now: BootTime,
    ) -> bool {
        let waited = std::mem::take(&mut self.early);
        let n = probe.drain(AT_ONCE, |bytes| match Record::decode(bytes) {
            Ok(record) if self.early.len() < MAX_EARLY && pipeline.is_early(&record) => {
                self.early.push(bytes.to_vec());
            }
            Ok(record) => pipeline.take(&record, names, now),
            Err(error) => {
                // Its number stays a gap: it is counted as lost.
                if self.n_malformed == 0 {
                    warn!(%error, "a record of the kernel's makes no sense; more of them are only counted");
                }
                self.n_malformed += 1;
            }
        });
        for bytes in waited {
            if let Ok(record) = Record::decode(&bytes) {
                pipeline.take(&record, names, now);
            }
        }
        n < AT_ONCE
    }

    /// Takes what is left, whether its process is known or not.
    pub(super) fn finish(
        &mut self,
        probe: &mut Probe,
        pipeline: &mut Pipeline,
        names: &Names,
        now: BootTime,
    ) {
        while !self.drain(probe, pipeline, names, now) {}
        self.drain(probe, pipeline, names, now);
    }

    /// Records that made no sense, since the start.
    pub(super) fn n_malformed(&self) -> u64 {
        self.n_malformed
    }
}
