//! What the session tells its driver.

use uuid::Uuid;
use wire::authority::Authorities;
use wire::batch::Digest;
use wire::frame::data::Data;
use wire::frame::sensor::FromSensor;
use wire::frame::{Code, RejectReason};

use super::Finding;
use crate::spool::StreamKey;
use crate::uplink::ClockOffset;

/// A data stream of this connection: numbers go up and are not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Wire(pub u64);

/// A parcel the session needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// Of which stream.
    pub stream: StreamKey,
    /// Which number it holds.
    pub seq: u64,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write a frame to the control stream.
    Control(FromSensor),
    /// Open a data stream and write this frame to it.
    Open(Wire, Data),
    /// Write a frame to a data stream, then call [`super::Session::handle_written`].
    Data(Wire, Data),
    /// Finish a data stream after what was written. It is never reset: what was sent counts against
    /// the credit on both sides, so all of it has to arrive.
    Finish(Wire),
    /// Call [`super::Session::handle_facts`] with the current counters.
    WantFacts,
    /// Tell the outbox that all of a stream below `next_seq` is durable.
    Acknowledged {
        /// Which stream.
        stream: StreamKey,
        /// How far.
        next_seq: u64,
        /// The chain there.
        digest: Digest,
    },
    /// Book events that will never be stored.
    Rejected {
        /// Which stream.
        stream: StreamKey,
        /// The first of them.
        first_seq: u64,
        /// How many.
        n_events: u64,
        /// Why.
        reason: RejectReason,
    },
    /// The session is live.
    Welcomed {
        /// With which collector.
        collector: Uuid,
    },
    /// The collector's clock was measured.
    Offset(ClockOffset),
    /// The collector says which authorities are in use.
    Authorities(Authorities),
    /// Begin a new epoch with the next batch.
    NewEpoch,
    /// Tell a person.
    Finding(Finding),
    /// Close the connection with this code; nothing follows.
    Ended {
        /// Why.
        code: Code,
        /// Why, for a person.
        reason: String,
    },
}
