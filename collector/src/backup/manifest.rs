//! What a backup says of itself.

use serde::{Deserialize, Serialize};

/// The form of the archive that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// What a backup says of itself, as JSON in its last entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the archive.
    pub format: u32,
    /// The version of the collector that made it.
    pub version: String,
    /// The last migration that its database has seen.
    pub schema: i64,
    /// When it was begun, in microseconds since the Unix epoch: all that was acknowledged before is in it.
    pub taken_us: i64,
    /// The same for people.
    pub taken: String,
    /// `sha256` of the authority's certificate.
    pub authority: String,
    /// Every other entry.
    pub entries: Vec<Entry>,
}

/// One entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// Its BLAKE3 digest, in hex.
    pub blake3: String,
}
