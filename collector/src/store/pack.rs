//! Small batches of one host, compressed together when they are merged.
//!
//! Batches of a minute of one host name the same processes, programs and users. Their payloads with nothing compressed in
//! them ([`wire::batch::bare`]), compressed together, take two thirds of the room that each alone does. What a batch proves, its sum, is one over its content, so it is not lost: [`wire::batch::restored`].
//!
//! It is the length of a zstd frame, that frame, and another: in the first, how many payloads there are, for each the
//! lengths of its two parts, and all first parts; in the second all second parts (text compresses best beside text alone).
//! Numbers are postcard's. A payload that is not bare is all first part. What is unpacked is the payloads one after the
//! other, which is what a directory describes.

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::Bare;

use super::StoreError;

/// Fast: the merger does this for every small batch of the fleet.
const LEVEL: i32 = 3;
/// The most bytes of payloads that are packed into one segment.
pub const MAX_BYTES: usize = 2 << 20;
/// A payload that holds more is left as it came.
pub const MAX_PAYLOAD_BYTES: usize = 64 << 10;

/// Payloads, packed, and how many bytes they are; `None` if those are too many.
pub fn pack(payloads: &[Bare]) -> Option<(Vec<u8>, u32)> {
    let lengths: Vec<(u32, u32)> =
        payloads.iter().map(|bare| (bare.columns.len() as u32, bare.text.len() as u32)).collect();
    let n_bytes: usize = payloads.iter().map(|bare| bare.columns.len() + bare.text.len()).sum();
    if n_bytes > MAX_BYTES {
        return None;
    }
    let mut columns = postcard::to_extend(&lengths, Vec::with_capacity(n_bytes)).ok()?;
    payloads.iter().for_each(|bare| columns.extend_from_slice(&bare.columns));
    let text: Vec<u8> = payloads.iter().flat_map(|bare| &bare.text).copied().collect();
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).ok()?;
    compressor.include_checksum(true).ok()?;
    let (columns, text) = (compressor.compress(&columns).ok()?, compressor.compress(&text).ok()?);
    let length = postcard::to_extend(&(columns.len() as u32), Vec::with_capacity(5)).ok()?;
    Some(([length, columns, text].concat(), n_bytes as u32))
}

/// What segment `id`'s payload holds, which should be `packed` bytes.
///
/// # Errors
/// When it is damaged.
pub(super) fn unpack(id: Uuid, payload: &[u8], packed: i32) -> Result<Bytes, StoreError> {
    let size = usize::try_from(packed).ok().filter(|size| *size <= MAX_BYTES);
    let plain = size.and_then(|size| interleaved(payload, size));
    plain.ok_or(StoreError::Directory { id, what: "of a payload that does not unpack" })
}

fn interleaved(payload: &[u8], size: usize) -> Option<Bytes> {
    let (length, mut frames): (u32, &[u8]) = postcard::take_from_bytes(payload).ok()?;
    let first = frames.split_off(..length as usize)?;
    // A payload is no shorter than its sum, and its two lengths are at most six bytes.
    let plain = zstd::bulk::decompress(first, 2 * size + 16).ok()?;
    let text = zstd::bulk::decompress(frames, size).ok()?;
    let (lengths, mut columns): (Vec<(u32, u32)>, &[u8]) = postcard::take_from_bytes(&plain).ok()?;
    let mut text = &text[..];
    let mut out = Vec::with_capacity(size);
    for (n_columns, n_text) in lengths {
        out.extend_from_slice(columns.split_off(..n_columns as usize)?);
        out.extend_from_slice(text.split_off(..n_text as usize)?);
    }
    (out.len() == size && columns.is_empty() && text.is_empty()).then(|| out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_damage_is_an_error() {
        let bare = |n: usize| Bare { columns: vec![n as u8; n], text: b"the same again, ".repeat(n % 7) };
        let payloads: Vec<Bare> = (0..60).map(bare).collect();
        let (packed, n) = pack(&payloads).expect("it is not too long");
        let plain: Vec<u8> =
            payloads.iter().flat_map(|bare| [&bare.columns[..], &bare.text].concat()).collect();
        assert_eq!(n as usize, plain.len());
        assert!(packed.len() * 4 < plain.len(), "{}", packed.len());
        let (unpack, n) = (|bytes: &[u8], n: i32| unpack(Uuid::nil(), bytes, n), n.cast_signed());
        assert_eq!(unpack(&packed, n).expect("it is whole"), plain);
        for n in [-1, 0, n - 1, n + 1, i32::MAX] {
            assert!(unpack(&packed, n).is_err(), "{n}");
        }
        let mut n_refused = 0;
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x40);
            // A frame may have bits that say nothing.
            match unpack(&damaged, n) {
                Err(_) => n_refused += 1,
                Ok(same) => assert_eq!(same, plain, "byte {at}"),
            }
        }
        assert!(n_refused + 4 > packed.len(), "{n_refused} of {}", packed.len());
    }

    #[test]
    fn too_much_is_not_packed() {
        let half = Bare { columns: vec![7; MAX_BYTES / 2], text: vec![] };
        assert!(pack(&[half.clone(), half.clone()]).is_some());
        assert!(pack(&[half.clone(), half, Bare { columns: vec![1], text: vec![] }]).is_none());
    }
}
