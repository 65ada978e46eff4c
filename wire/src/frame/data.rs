//! What a sensor sends on a data stream.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Frame, FrameError, decode, encode};
use crate::batch::{Digest, Sealed};
use crate::id::{Epoch, Lane};
use crate::limits::{MAX_EVENTS_PER_BATCH, MAX_FRAME_BYTES};

const OPEN: u16 = 0x0011;
const BATCH: u16 = 0x0012;
const TOMBSTONE: u16 = 0x0013;

/// A frame of a data stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// The first frame: what this data stream carries.
    Open(Open),
    /// A sealed batch.
    Batch(Batch),
    /// Events that will never come.
    Tombstone(Tombstone),
}

/// What a data stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The run of numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The first sequence number that will follow.
    pub from: u64,
}

/// A sealed batch, with its place in the stream beside it, so that one whose header cannot be read
/// can be refused and passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The number of its first event.
    pub first_seq: u64,
    /// How many events it holds: 1 to [`MAX_EVENTS_PER_BATCH`].
    pub n_events: u32,
    /// The batch.
    pub sealed: Sealed,
}

/// Events that were sealed and then given up: known loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The number of the first of them.
    pub first_seq: u64,
    /// How many: 1 or more.
    pub n_events: u64,
    /// The chain's digest after this tombstone ([`Digest::after_tombstone`]).
    pub digest: Digest,
}

#[derive(Serialize, Deserialize)]
struct BatchBody<'a> {
    first_seq: u64,
    n_events: u32,
    #[serde(borrow)]
    header: &'a [u8],
    #[serde(borrow)]
    payload: &'a [u8],
}

impl Batch {
    /// The bytes that count against credit.
    pub fn credit_bytes(&self) -> u64 {
        (self.sealed.header.len() + self.sealed.payload.len()) as u64
    }

    /// The number after its last event.
    pub fn end(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.n_events))
    }
}

impl Tombstone {
    /// The number after its last event.
    pub fn end(&self) -> u64 {
        self.first_seq.saturating_add(self.n_events)
    }
}

impl Frame for Data {
    fn max_bytes(ty: u16) -> Option<u32> {
        match ty {
            OPEN | TOMBSTONE => Some(128),
            BATCH => Some(MAX_FRAME_BYTES),
            _ => None,
        }
    }

    fn parse(ty: u16, body: &Bytes) -> Result<Self, FrameError> {
        let out_of_bounds = |what| FrameError::OutOfBounds { ty, what };
        match ty {
            OPEN => decode::exact(ty, body).map(Data::Open),
            BATCH => {
                let b: BatchBody<'_> = decode::exact(ty, body)?;
                if b.n_events == 0 || b.n_events > MAX_EVENTS_PER_BATCH {
                    return Err(out_of_bounds("a batch of no events or of more than 65536"));
                }
                if b.first_seq.checked_add(u64::from(b.n_events)).is_none() {
                    return Err(out_of_bounds("a batch whose numbers end past 2^64"));
                }
                let sealed = Sealed { header: body.slice_ref(b.header), payload: body.slice_ref(b.payload) };
                Ok(Data::Batch(Batch { first_seq: b.first_seq, n_events: b.n_events, sealed }))
            }
            TOMBSTONE => {
                let t: Tombstone = decode::exact(ty, body)?;
                if t.n_events == 0 || t.first_seq.checked_add(t.n_events).is_none() {
                    return Err(out_of_bounds("a tombstone of no events or past 2^64"));
                }
                Ok(Data::Tombstone(t))
            }
            _ => Err(FrameError::UnknownType { ty }),
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> u16 {
        match self {
            Data::Open(open) => {
                encode::body(open, out);
                OPEN
            }
            Data::Batch(batch) => {
                let body = BatchBody {
                    first_seq: batch.first_seq,
                    n_events: batch.n_events,
                    header: &batch.sealed.header,
                    payload: &batch.sealed.payload,
                };
                encode::body(&body, out);
                BATCH
            }
            Data::Tombstone(tombstone) => {
                encode::body(tombstone, out);
                TOMBSTONE
            }
        }
    }
}
