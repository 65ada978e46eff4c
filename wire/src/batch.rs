//! The batch: one unit from the sensor to the archive.
//!
//! A batch is a [`Header`] and a payload. The payload holds tables, column by column: the distinct
//! [`Strings`]; the [`Events`] (kind, time, subject, in the order of the stream); the [`Subjects`]; and,
//! for each kind of event, a [`Group`] with a column for each field. [`Builder`] makes batches,
//! [`Batch`] reads them.
//!
//! - Every byte is checked by [`Batch::validate`], which ingest calls once; afterwards parts are read on
//!   their own, in any order, also from slices of the payload ([`Batch::from_parts`]).
//! - What a reader does not know, it skips by length: kinds, columns, types of columns. A column it does
//!   know, with another type, is an error.
//! - Limits ([`crate::limits`]) are checked before anything is allocated for what they bound.
//!
//! # Versions
//!
//! Every version reads what every older one wrote: `tests/golden` holds batches of each. New kinds and new
//! columns need no new version. A new coding of a known column, a new form of payload or header and a new
//! dictionary are refused by name by readers that do not have them, so collectors are updated before
//! sensors. The same events give the same bytes before compression; another version of zstd may compress
//! them otherwise.

use bytes::Bytes;

use crate::id::{BootId, Epoch, Lane};
use crate::ledger::Ledger;
use crate::time::{BootTime, Clock};

mod bitmap;
mod bits;
mod block;
mod body;
mod builder;
mod cells;
mod column;
mod dictionary;
mod digest;
mod directory;
mod error;
mod events;
mod group;
mod header;
mod interner;
mod keys;
mod layout;
mod list;
mod payload;
mod pending;
mod predict;
mod reader;
mod recent;
mod reference;
mod spans;
mod strings;
mod subjects;
mod sum;
mod varint;
mod whole;

pub use bitmap::Bitmap;
pub use builder::{Boundary, Builder};
pub use column::{Column, Numbers, address};
pub use digest::Digest;
pub use error::BatchError;
pub use events::{Events, NO_SUBJECT};
pub use group::Group;
pub use list::Lists;
pub use reader::Batch;
pub use spans::{ColumnSpan, PartSpans};
pub use strings::Strings;
pub use subjects::Subjects;
#[cfg(feature = "sample")]
pub use whole::decompressed;
pub use whole::{Bare, bare, restored};

/// What is said of a batch without decompressing it. Travels, uncompressed, before the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The run of the sensor's numbering.
    pub epoch: Epoch,
    /// The lane.
    pub lane: Lane,
    /// The number of its first event; the others follow without gaps.
    pub first_seq: u64,
    /// How many events it holds.
    pub n_events: u32,
    /// The boot its events happened in.
    pub boot: BootId,
    /// The time of its earliest event.
    pub earliest: BootTime,
    /// The time of its latest event.
    pub latest: BootTime,
    /// When it was sealed.
    pub sealed: BootTime,
    /// What turns boot times into wall-clock times, as known then.
    pub clock: Clock,
    /// The stream's counters after its last event.
    pub ledger: Ledger,
    /// The digest of the collection by which its events were shipped; zero if the sensor has none.
    pub collection: [u8; 16],
}

/// A batch as it is shipped and stored: never encoded again on the way (a small one may be compressed again, together with
/// others: [`bare`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The header, encoded.
    pub header: Bytes,
    /// Strings, subjects and columns, compressed.
    pub payload: Bytes,
}
