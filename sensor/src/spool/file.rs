//! One parcel as a file.
//!
//! ```text
//! magic          "VDP1"
//! kind           u8: 0 batch, 1 tombstone
//! number         u64: how many events
//! header length  u32, header
//! payload length u32, payload
//! checksum       blake3 of epoch, lane, first sequence and all of the above; 32 bytes
//! ```
//! Numbers are little endian. A tombstone has an empty header and payload.

use std::io;

use bytes::{Buf, Bytes};
use wire::batch::{Digest, Sealed};
use wire::frame::data::Batch;

use super::{Parcel, StreamKey};

const MAGIC: &[u8; 4] = b"VDP1";
pub(super) const CHECKSUM_BYTES: usize = 32;
/// What a file has beside the header and the payload.
pub(super) const OVERHEAD_BYTES: u64 = 4 + 1 + 8 + 4 + 4 + CHECKSUM_BYTES as u64;
const WATERMARK_BYTES: usize = 8 + 32 + CHECKSUM_BYTES;

/// Why a file is not the parcel it should be.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// It cannot be read.
    #[error("cannot read a spooled batch")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("a spooled batch is damaged: {0}")]
    Damaged(&'static str),
}

pub(super) fn encode(stream: StreamKey, parcel: &Parcel) -> Vec<u8> {
    let (kind, n_events, header, payload): (u8, u64, &[u8], &[u8]) = match parcel {
        Parcel::Batch(b) => (0, u64::from(b.n_events), &b.sealed.header, &b.sealed.payload),
        Parcel::Tombstone { n_events, .. } => (1, *n_events, &[], &[]),
    };
    let mut out = Vec::with_capacity(header.len() + payload.len() + OVERHEAD_BYTES as usize);
    out.extend_from_slice(MAGIC);
    out.push(kind);
    out.extend_from_slice(&n_events.to_le_bytes());
    put(&mut out, header);
    put(&mut out, payload);
    let sum = checksum(stream, parcel.first_seq(), &out);
    out.extend_from_slice(&sum);
    out
}

pub(super) fn decode(stream: StreamKey, first_seq: u64, bytes: Vec<u8>) -> Result<Parcel, ItemError> {
    let mut rest = Bytes::from(bytes);
    let Some((body, sum)) = rest.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(ItemError::Damaged("too short"));
    };
    if checksum(stream, first_seq, body) != *sum {
        return Err(ItemError::Damaged("the checksum differs"));
    }
    let short = |_| ItemError::Damaged("a part is missing");
    if rest.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(ItemError::Damaged("another format"));
    }
    rest.advance(MAGIC.len());
    let kind = rest.try_get_u8().map_err(short)?;
    let n_events = rest.try_get_u64_le().map_err(short)?;
    let header = part(&mut rest)?;
    let payload = part(&mut rest)?;
    if first_seq.checked_add(n_events).is_none() || n_events == 0 {
        return Err(ItemError::Damaged("an impossible number of events"));
    }
    match kind {
        0 => {
            let n_events = u32::try_from(n_events).map_err(|_| ItemError::Damaged("too many events"))?;
            Ok(Parcel::Batch(Batch { first_seq, n_events, sealed: Sealed { header, payload } }))
        }
        1 => Ok(Parcel::Tombstone { first_seq, n_events }),
        _ => Err(ItemError::Damaged("an unknown kind")),
    }
}

/// Adds a part: its length, then itself.
pub(super) fn put(out: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("a batch is smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(part);
}

/// Takes a part.
pub(super) fn part(rest: &mut Bytes) -> Result<Bytes, ItemError> {
    let length = rest.try_get_u32_le().map_err(|_| ItemError::Damaged("a part is missing"))? as usize;
    if rest.len() < length {
        return Err(ItemError::Damaged("a part is cut"));
    }
    Ok(rest.split_to(length))
}

pub(super) fn encode_watermark(stream: StreamKey, next_seq: u64, digest: Digest) -> [u8; WATERMARK_BYTES] {
    let mut out = [0; WATERMARK_BYTES];
    let sum = checksum(stream, next_seq, &digest.0);
    let parts = next_seq.to_le_bytes().into_iter().chain(digest.0).chain(sum);
    out.iter_mut().zip(parts).for_each(|(slot, byte)| *slot = byte);
    out
}

pub(super) fn decode_watermark(stream: StreamKey, bytes: &[u8]) -> Option<(u64, Digest)> {
    let (next_seq, rest) = bytes.split_first_chunk::<8>()?;
    let (digest, sum) = rest.split_first_chunk::<32>()?;
    let next_seq = u64::from_le_bytes(*next_seq);
    (checksum(stream, next_seq, digest).as_slice() == sum).then_some((next_seq, Digest(*digest)))
}

pub(super) fn checksum(stream: StreamKey, seq: u64, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(stream.epoch.uuid().as_bytes());
    hasher.update(&[stream.lane as u8]);
    hasher.update(&seq.to_le_bytes());
    hasher.update(body);
    *hasher.finalize().as_bytes()
}
