//! What a collector says on the control stream.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::close::RejectReason;
use super::sensor::Goodbye;
use super::{MAX_STREAMS_NAMED, control_frames};
use crate::authority::Authorities;
use crate::batch::Digest;
use crate::id::{Epoch, Lane};
use crate::time::WallTime;

control_frames! {
    /// A frame of the control stream, from collector to sensor.
    FromCollector {
        /// The answer to a `Hello`.
        Welcome(Welcome) = 0x0101,
        /// Everything of a stream up to here is durable.
        Ack(Ack) = 0x0102,
        /// A batch was refused for good; the `Ack` that passes it follows.
        Rejected(Rejected) = 0x0103,
        /// What came does not follow what is stored: start a new data stream from here.
        Resend(Resend) = 0x0104,
        /// How much may have been sent on this connection by now.
        Credit(Credit) = 0x0105,
        /// The answer to a heartbeat.
        HeartbeatReply(HeartbeatReply) = 0x0106,
        /// The last frame.
        Goodbye(Goodbye) = 0x0107,
        /// Which authorities are in use; an older sensor skips it.
        Authorities(Authorities) = 0x8101,
    }
}

/// What the sensor needs to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version of the session's rules to follow from now on.
    pub version: u16,
    /// Which collector this is.
    pub collector: Uuid,
    /// The collector's version, as in `0.1.0`.
    pub collector_version: String,
    /// The collector's clock.
    pub time: WallTime,
    /// How often to send a heartbeat, in ms.
    pub heartbeat_ms: u32,
    /// The largest batch frame it takes, in bytes.
    pub max_batch_bytes: u32,
    /// Where it stands with each stream that the `Hello` named. One it knows nothing of starts at 0.
    pub watermarks: Vec<Watermark>,
    /// What may be sent at first.
    pub credit: Credit,
}

/// How far a stream is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The next sequence number expected.
    pub next_seq: u64,
    /// The chain's digest there.
    pub digest: Digest,
}

/// Everything below `next_seq` is durable (or was rejected), and the chain is at `digest` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// How far.
    pub watermark: Watermark,
}

/// A batch that will never be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// Its first sequence number.
    pub first_seq: u64,
    /// How many events it held.
    pub n_events: u64,
    /// Why.
    pub reason: RejectReason,
}

/// Start this stream again, on a new data stream, from here: with the batch that begins here if it
/// is still held, else with a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    /// What the collector has.
    pub watermark: Watermark,
}

/// Absolute allowances, counted from the start of the connection, so that one of these replaces the
/// one before. A batch may be begun while neither is used up; a tombstone counts as a batch of no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Credit {
    /// Bytes of batch headers and payloads.
    pub bytes: u64,
    /// Batches and tombstones.
    pub batches: u64,
}

/// The clock probe's way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// What the heartbeat said.
    pub sent: WallTime,
    /// The collector's clock when it came.
    pub received: WallTime,
    /// The collector's clock when this left.
    pub replied: WallTime,
}

impl Welcome {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.watermarks.len() > MAX_STREAMS_NAMED {
            return Err("more than 64 watermarks");
        }
        if self.collector_version.len() > 64 {
            return Err("a collector version of more than 64 bytes");
        }
        if !(100..=60_000).contains(&self.heartbeat_ms) {
            return Err("a heartbeat interval outside 100 ms to 60 s");
        }
        Ok(())
    }
}

macro_rules! any_value {
    ($($body:ty)*) => {
        $(impl $body {
            pub(crate) fn check(&self) -> Result<(), &'static str> {
                Ok(())
            }
        })*
    };
}
any_value! { Ack Rejected Resend Credit HeartbeatReply }
