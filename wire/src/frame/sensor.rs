//! What a sensor says on the control stream.

use serde::{Deserialize, Serialize};

use super::close::Code;
use super::{MAX_STREAMS_NAMED, control_frames};
use crate::authority::Trusts;
use crate::batch::Digest;
use crate::id::{BootId, Epoch, Lane};
use crate::ledger::Ledger;
use crate::time::WallTime;

control_frames! {
    /// A frame of the control stream, from sensor to collector.
    FromSensor {
        /// The first frame.
        Hello(Hello) = 0x0001,
        /// I am alive; these are my counters, and this is what my clock shows.
        Heartbeat(Heartbeat) = 0x0002,
        /// The last frame.
        Goodbye(Goodbye) = 0x0003,
        /// Which authorities it trusts; an older collector skips it.
        Trusts(Trusts) = 0x8001,
    }
}

/// The most capabilities that a sensor tells.
pub const MAX_CAPABILITIES: usize = 128;
/// The longest capability.
pub const MAX_CAPABILITY_BYTES: usize = 256;

/// Who is calling, as far as the certificate does not say, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions of the session's rules it speaks, best first.
    pub versions: Vec<u16>,
    /// The sensor's version, as in `0.1.0`.
    pub sensor_version: String,
    /// The host's name now.
    pub host_name: String,
    /// The kernel's release, as in `uname -r`.
    pub kernel_release: String,
    /// The machine's architecture, as in `uname -m`.
    pub arch: String,
    /// The current boot.
    pub boot: BootId,
    /// What can be seen on this host, as `NAME=WAY; what this way does not see`; without a way only the name. At most
    /// [`MAX_CAPABILITIES`] of [`MAX_CAPABILITY_BYTES`].
    pub capabilities: Vec<String>,
    /// The streams it holds something of, the live ones first; at most [`MAX_STREAMS_NAMED`].
    /// A stream left out may be opened later all the same.
    pub streams: Vec<Held>,
}

/// A stream the sensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The first sequence number it has not seen acknowledged.
    pub acked: u64,
    /// The chain's digest there.
    pub digest: Digest,
    /// The number after its last sealed event.
    pub end: u64,
}

/// Counters and a clock probe, sent as often as the `Welcome` asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sensor's wall clock when this was sent; comes back in the reply.
    pub sent: WallTime,
    /// What the host says of itself.
    pub facts: Facts,
}

/// What a host says of itself with every heartbeat: claims, shown as such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The live epoch's counters, by lane.
    pub lanes: Vec<LaneFacts>,
    /// Events sealed per second, lately, times 1000.
    pub events_per_second_milli: u64,
    /// Bytes of sealed batches waiting for their acknowledgement, all streams together.
    pub held_bytes: u64,
    /// Resident anonymous memory of the sensor, in bytes.
    pub rss_bytes: u64,
    /// Processes known.
    pub n_processes: u64,
    /// The clock's offset as last measured: collector minus sensor, in ns.
    pub clock_offset_ns: i64,
    /// Half the round trip it was measured with, in ns; `u64::MAX` if never measured.
    pub clock_uncertainty_ns: u64,
    /// What is wrong on the host, one short sentence each; at most 16.
    pub troubles: Vec<String>,
}

/// One lane's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneFacts {
    /// The live epoch.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The counters now (those of the last sealed batch are in that batch).
    pub ledger: Ledger,
    /// The number after the last sealed event.
    pub end: u64,
    /// Events in batches that were sealed and then shed, since the sensor started, all epochs.
    pub shed: u64,
    /// Events that a collector rejected, since the sensor started, all epochs.
    pub rejected: u64,
}

/// The last word of either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why.
    pub code: Code,
    /// Why, for a person.
    pub reason: String,
}

impl Hello {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        bound(self.versions.len() <= 16, "more than 16 versions")?;
        bound(self.sensor_version.len() <= 64, "a sensor version of more than 64 bytes")?;
        bound(self.host_name.len() <= 256, "a host name of more than 256 bytes")?;
        bound(self.kernel_release.len() <= 128, "a kernel release of more than 128 bytes")?;
        bound(self.arch.len() <= 32, "an architecture of more than 32 bytes")?;
        bound(self.capabilities.len() <= MAX_CAPABILITIES, "more than 128 capabilities")?;
        let fits = |capability: &String| capability.len() <= MAX_CAPABILITY_BYTES;
        bound(self.capabilities.iter().all(fits), "a capability of more than 256 bytes")?;
        bound(self.streams.len() <= MAX_STREAMS_NAMED, "more than 64 streams")
    }
}

impl Heartbeat {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        bound(self.facts.lanes.len() <= 8, "more than 8 lanes")?;
        bound(self.facts.troubles.len() <= 16, "more than 16 troubles")?;
        bound(self.facts.troubles.iter().all(|t| t.len() <= 256), "a trouble of more than 256 bytes")
    }
}

impl Goodbye {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        bound(self.reason.len() <= 256, "a reason of more than 256 bytes")
    }
}

fn bound(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}
