//! Why a batch could not be read.

use crate::field::Field;

/// Why a batch could not be read. None of these is worth trying again with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The header is of a version that this reader does not know.
    #[error("unknown header version {found}, expected 1: the sender is newer")]
    HeaderVersion {
        /// What the header begins with.
        found: u8,
    },
    /// The payload is of a form that this reader does not know.
    #[error("unknown payload form {found}, expected 1 or 2: the sender is newer")]
    Form {
        /// What the payload begins with.
        found: u8,
    },
    /// The payload needs a dictionary that this reader does not have.
    #[error("unknown dictionary {found}, expected at most {newest}: the sender is newer")]
    Dictionary {
        /// The dictionary's number.
        found: u32,
        /// The newest this reader has.
        newest: u32,
    },
    /// Header and payload do not hash to what the payload says.
    #[error("header and payload do not match their checksum: altered on the way")]
    Checksum,
    /// More of something than [`crate::limits`] allows.
    #[error("{what} is {found}, expected at most {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A part is not one zstd frame of the declared size.
    #[error("cannot decompress {part}: {reason}")]
    Compressed {
        /// The part.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A part's bytes break its layout.
    #[error("malformed {part}: {reason}")]
    Malformed {
        /// The part.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A known field's column is of another type.
    #[error("column {field} has type {found}, expected {expected}")]
    ColumnType {
        /// The field.
        field: Field,
        /// The type's number in the column's framing.
        found: u8,
        /// The number of the field's type.
        expected: u8,
    },
    /// The part is not among the slices the batch was opened from.
    #[error("{part} was not fetched: bytes {start}..{end} of the payload are needed")]
    NotFetched {
        /// The part.
        part: &'static str,
        /// Where it begins in the payload.
        start: u32,
        /// Where it ends.
        end: u32,
    },
}

/// What is wrong with some bytes, before it is known which part they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) &'static str);

impl Flaw {
    pub(super) fn within(self, part: &'static str) -> BatchError {
        BatchError::Malformed { part, reason: self.0 }
    }
}

/// Checks a number from elsewhere against its bound.
pub(super) fn bounded(what: &'static str, found: u64, limit: u32) -> Result<u32, BatchError> {
    match u32::try_from(found) {
        Ok(n) if n <= limit => Ok(n),
        _ => Err(BatchError::Limit { what, found, limit: u64::from(limit) }),
    }
}
