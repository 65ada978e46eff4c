//! The payload's outer form.
//!
//! | bytes | whole (form 1) | parted (form 2) |
//! |---|---|---|
//! | 1 | 1 | 2 |
//! | 4 | checksum | checksum |
//! | varint | dictionary (0: none) | length of the directory |
//! | varint | length when decompressed | its bytes here (the same if it is not compressed) |
//! | rest | one frame: directory, then columns | the directory; then the blocks, each a frame or as it is |
//!
//! The checksum is the first four bytes of `blake3(length of the header as a little-endian u32,
//! header, payload without the checksum)`.

use bytes::Bytes;

use super::block;
use super::dictionary;
use super::directory::{Block, Directory};
use super::error::{BatchError, bounded};
use super::varint::{self, Input};
use crate::limits::MAX_BATCH_BYTES;

pub(super) const WHOLE: u8 = 1;
pub(super) const PARTED: u8 = 2;
/// Where what follows form and checksum begins.
const HEAD: usize = 5;
/// From how many bytes on columns are compressed apart. Measured: at 1,000 events (25 KB) both forms take
/// the same space, and a search reads a column of the parted form six times as fast; at 600 events the
/// parted form is 5 % larger, and one frame is still cheap to open.
const PARTED_FROM: usize = 24 << 10;
/// Columns are added to a block until it has so many bytes.
const BLOCK_BYTES: u32 = 2 << 10;

/// Compresses laid-out columns into a payload.
pub(super) fn write(header: &[u8], mut directory: Directory, columns: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEAD + columns.len() / 2 + 64);
    out.extend_from_slice(&[0; HEAD]);
    let form = if columns.len() < PARTED_FROM {
        let mut raw = Vec::with_capacity(columns.len() + 512);
        directory.write(&mut raw);
        raw.extend_from_slice(columns);
        varint::put(&mut out, u64::from(dictionary::NEWEST));
        varint::put(&mut out, raw.len() as u64);
        block::compress_with_dictionary(&raw, &mut out);
        WHOLE
    } else {
        write_parted(&mut out, &mut directory, columns);
        PARTED
    };
    if let Some(first) = out.first_mut() {
        *first = form;
    }
    let sum = checksum(header, &out);
    if let Some(place) = out.get_mut(1..HEAD) {
        place.copy_from_slice(&sum);
    }
    out.into()
}

fn write_parted(out: &mut Vec<u8>, directory: &mut Directory, columns: &[u8]) {
    begin_blocks(directory);
    let mut blocks = Vec::new();
    let mut rest = columns;
    for block in &mut directory.blocks {
        let (raw, after) = rest.split_at(block.raw as usize);
        rest = after;
        block.stored = store(raw, &mut blocks) as u32;
    }
    let (mut raw, mut stored) = (Vec::new(), Vec::new());
    directory.write(&mut raw);
    store(&raw, &mut stored);
    varint::put(out, raw.len() as u64);
    varint::put(out, stored.len() as u64);
    out.extend_from_slice(&stored);
    out.extend_from_slice(&blocks);
}

/// Decides which columns are compressed together: neighbours of one table, until they are large enough.
fn begin_blocks(directory: &mut Directory) {
    for table in 0..directory.ends.len() {
        let range = directory.table_range(table);
        let mut first = true;
        for part in directory.parts.get_mut(range).unwrap_or_default() {
            let full = directory.blocks.last().is_none_or(|block| block.raw + part.length > BLOCK_BYTES);
            part.begins_block = first || full;
            if part.begins_block {
                directory.blocks.push(Block::default());
            }
            if let Some(block) = directory.blocks.last_mut() {
                block.raw += part.length;
            }
            first = false;
        }
    }
}

/// Appends bytes compressed, or as they are where that is no gain; returns how many that took.
fn store(raw: &[u8], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let n = block::compress(raw, out);
    if n < raw.len() {
        return n;
    }
    out.truncate(start);
    out.extend_from_slice(raw);
    raw.len()
}

/// What a payload's checksum must be.
fn checksum(header: &[u8], payload: &[u8]) -> [u8; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(header.len() as u32).to_le_bytes());
    hasher.update(header);
    hasher.update(payload.get(..1).unwrap_or_default());
    hasher.update(payload.get(HEAD..).unwrap_or_default());
    let mut sum = [0; 4];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// Checks that header and payload are what was sealed.
pub(super) fn verify(header: &[u8], payload: &[u8]) -> Result<(), BatchError> {
    match payload.get(1..HEAD) {
        Some(sum) if sum == checksum(header, payload) => Ok(()),
        _ => Err(BatchError::Checksum),
    }
}

/// A payload's beginning, read.
pub(super) struct Opened {
    pub(super) directory: Directory,
    /// Where the blocks begin in the payload; in a payload of one frame where that frame begins.
    pub(super) blocks_at: u32,
    /// In a payload of one frame: everything, decompressed, and where the columns begin in it.
    pub(super) whole: Option<Bytes>,
}

/// Reads the beginning of a payload of `payload_len` bytes; `prefix` holds at least its directory.
pub(super) fn open(prefix: &[u8], payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
    let part = "payload";
    let mut input = Input::new(prefix);
    let form = input.byte().map_err(|flaw| flaw.within(part))?;
    input.bytes(HEAD - 1).map_err(|flaw| flaw.within(part))?;
    match form {
        WHOLE => open_whole(input, prefix.len(), payload_len, n_events),
        PARTED => open_parted(input, prefix.len(), payload_len, n_events),
        found => Err(BatchError::Form { found }),
    }
}

fn open_whole(mut input: Input<'_>, n: usize, payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
    let part = "payload";
    let number = input.varint().map_err(|flaw| flaw.within(part))?;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let dictionary = dictionary::numbered(number);
    if number != 0 && dictionary.is_none() {
        return Err(BatchError::Dictionary { found: number, newest: dictionary::NEWEST });
    }
    let raw = input.varint().map_err(|flaw| flaw.within(part))?;
    let raw = bounded("decompressed size", raw, MAX_BATCH_BYTES)?;
    let blocks_at = (n - input.len()) as u32;
    if n != payload_len as usize {
        return Err(BatchError::NotFetched { part, start: 0, end: payload_len });
    }
    let whole = Bytes::from(block::decompress(part, input.rest(), raw as usize, dictionary)?);
    let mut inside = Input::new(&whole);
    let directory = Directory::read(&mut inside, n_events, false)?;
    let at = whole.len() - inside.len();
    if directory.blocks.iter().map(|block| block.raw as usize).sum::<usize>() != inside.len() {
        return Err(BatchError::Malformed { part, reason: "its columns do not add up to its size" });
    }
    Ok(Opened { directory, blocks_at, whole: Some(whole.slice(at..)) })
}

fn open_parted(
    mut input: Input<'_>,
    n: usize,
    payload_len: u32,
    n_events: u32,
) -> Result<Opened, BatchError> {
    let part = "directory";
    let raw = input.varint().map_err(|flaw| flaw.within(part))?;
    let raw = bounded("directory's size", raw, MAX_BATCH_BYTES)?;
    let stored = input.varint().map_err(|flaw| flaw.within(part))?;
    let start = (n - input.len()) as u32;
    let end = u64::from(start) + stored;
    if stored > u64::from(raw) || end > u64::from(payload_len) {
        return Err(BatchError::Malformed { part, reason: "it is longer than its payload" });
    }
    let Ok(bytes) = input.bytes(stored as usize) else {
        return Err(BatchError::NotFetched { part, start, end: end as u32 });
    };
    let decompressed;
    let bytes = if stored == u64::from(raw) {
        bytes
    } else {
        decompressed = block::decompress(part, bytes, raw as usize, None)?;
        &decompressed
    };
    let mut inside = Input::new(bytes);
    let directory = Directory::read(&mut inside, n_events, true)?;
    inside.end().map_err(|flaw| flaw.within(part))?;
    let blocks: u64 = directory.blocks.iter().map(|block| u64::from(block.stored)).sum();
    if end + blocks != u64::from(payload_len) {
        return Err(BatchError::Malformed { part, reason: "its blocks do not add up to its payload" });
    }
    Ok(Opened { directory, blocks_at: end as u32, whole: None })
}

/// What a payload of one frame holds when decompressed, for training a dictionary.
///
/// # Errors
/// See [`BatchError`]; a parted payload is answered with [`BatchError::Form`].
#[cfg(feature = "sample")]
pub fn decompressed(sealed: &super::Sealed) -> Result<Vec<u8>, BatchError> {
    let part = "payload";
    let mut input = Input::new(&sealed.payload);
    match input.byte() {
        Ok(WHOLE) => {}
        other => return Err(BatchError::Form { found: other.unwrap_or_default() }),
    }
    input.bytes(HEAD - 1).map_err(|flaw| flaw.within(part))?;
    let number = input.varint().map_err(|flaw| flaw.within(part))?;
    let raw = input.varint().map_err(|flaw| flaw.within(part))?;
    let raw = bounded("decompressed size", raw, MAX_BATCH_BYTES)?;
    block::decompress(part, input.rest(), raw as usize, dictionary::numbered(number as u32))
}
