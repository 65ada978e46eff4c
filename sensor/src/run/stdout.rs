//! Events on standard output, for a look at what this host's kernel tells.

use std::io::{self, Write};

use bytes::Bytes;
use tracing::error;
use wire::batch::Batch;
use wire::flat::{Outer, flatten};
use wire::id::HostId;

use crate::clock::Reading;
use crate::pipeline::Ready;

/// Prints batches, one JSON object for each event: what a search of the fleet would show.
pub(super) struct Stdout {
    host: HostId,
    host_name: Bytes,
}

impl Stdout {
    /// Prints as this host, whose id is all zeros where it is not enrolled.
    pub(super) fn new(host: HostId, host_name: String) -> Self {
        Self { host, host_name: Bytes::from(host_name) }
    }

    /// Prints the batch's events.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(super) fn print(&self, ready: &Ready) -> io::Result<()> {
        let received = Reading::now().map_err(io::Error::from)?.wall;
        let outer =
            Outer { host: self.host, host_name: self.host_name.clone(), host_tags: Vec::new(), received };
        let mut out = io::BufWriter::new(io::stdout().lock());
        let batch = match Batch::open(&ready.batch.sealed) {
            Ok(batch) => batch,
            Err(e) => {
                error!(error = %e, lane = %ready.lane, "a batch cannot be read back");
                return Ok(());
            }
        };
        for number in 0..batch.n_events() {
            match flatten(&batch, &outer, number) {
                Ok(Some(event)) => {
                    serde_json::to_writer(&mut out, &event.to_json())?;
                    out.write_all(b"\n")?;
                }
                Ok(None) => {}
                Err(e) => error!(error = %e, lane = %ready.lane, "an event cannot be read back"),
            }
        }
        out.flush()
    }
}
