//! The payload's outer form.
//!
//! | bytes | whole (form 1) | parted (form 2) |
//! |---|---|---|
//! | 1 | 1 | 2 |
//! | 4 | checksum | checksum |
//! | varint | dictionaries (0: none) | length of the directory |
//! | varint | length of directory and columns | its bytes here |
//! | varint | their bytes here | |
//! | varint | length of the strings | |
//! | rest | directory and columns; then the strings | the directory; then the blocks |
//!
//! Each of these is one zstd frame without its magic number, or as it is where its bytes here are as many as its
//! length. Strings and all else lie apart in a whole payload too, as each has a dictionary that suits it.
//!
//! The checksum is the first four bytes of `blake3(length of the header as a little-endian u32,
//! header, payload without the checksum)`.

use bytes::Bytes;

use super::block;
use super::dictionary::{self, Dictionaries, Part};
use super::directory::{Block, COLUMNS_BLOCK, Directory, STRINGS_BLOCK};
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

/// Compresses laid-out columns into a payload; `text` is the column of strings, which is not among them.
pub(super) fn write(header: &[u8], mut directory: Directory, columns: &[u8], text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEAD + (columns.len() + text.len()) / 2 + 64);
    out.extend_from_slice(&[0; HEAD]);
    let form = if columns.len() + text.len() < PARTED_FROM {
        write_whole(&mut out, &directory, columns, text);
        WHOLE
    } else {
        let (with_zeros, rest) =
            columns.split_at(directory.parts.first().map_or(0, |part| part.length as usize));
        write_parted(&mut out, &mut directory, &[with_zeros, text, rest].concat());
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

fn write_whole(out: &mut Vec<u8>, directory: &Directory, columns: &[u8], text: &[u8]) {
    let mut raw = Vec::with_capacity(columns.len() + 512);
    directory.write(&mut raw);
    raw.extend_from_slice(columns);
    let mut stored = Vec::new();
    let n_stored = store(&raw, Some(Part::Columns), &mut stored);
    varint::put(out, u64::from(dictionary::NEWEST));
    for n in [raw.len(), n_stored, text.len()] {
        varint::put(out, n as u64);
    }
    out.extend_from_slice(&stored);
    store(text, Some(Part::Strings), out);
}

fn write_parted(out: &mut Vec<u8>, directory: &mut Directory, columns: &[u8]) {
    begin_blocks(directory);
    let mut blocks = Vec::new();
    let mut rest = columns;
    for block in &mut directory.blocks {
        let (raw, after) = rest.split_at(block.raw as usize);
        rest = after;
        block.stored = store(raw, None, &mut blocks) as u32;
    }
    let (mut raw, mut stored) = (Vec::new(), Vec::new());
    directory.write(&mut raw);
    store(&raw, None, &mut stored);
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
fn store(raw: &[u8], part: Option<Part>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let n = block::compress(raw, part, out);
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
    /// Where the blocks begin in the payload; in a whole payload where the strings do.
    pub(super) blocks_at: u32,
    pub(super) whole: Option<Whole>,
}

/// What is different in a whole payload.
#[derive(Debug)]
pub(super) struct Whole {
    /// All columns but the strings, decompressed.
    pub(super) columns: Bytes,
    pub(super) dictionaries: Option<Dictionaries>,
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
    let flawed = |flaw: super::error::Flaw| flaw.within(part);
    let malformed = |reason| BatchError::Malformed { part, reason };
    let dictionaries = Dictionaries::numbered(input.varint().map_err(flawed)?)?;
    let raw = bounded("decompressed size", input.varint().map_err(flawed)?, MAX_BATCH_BYTES)?;
    let stored = input.varint().map_err(flawed)?;
    let text = input.varint().map_err(flawed)?;
    bounded("decompressed size", u64::from(raw).saturating_add(text), MAX_BATCH_BYTES)?;
    if n != payload_len as usize {
        return Err(BatchError::NotFetched { part, start: 0, end: payload_len });
    }
    if stored > u64::from(raw) {
        return Err(malformed("its columns are larger in it than decompressed"));
    }
    let bytes = input.bytes(stored as usize).map_err(flawed)?;
    let dictionary = dictionaries.as_ref().map(|both| both.of(Part::Columns));
    let columns: Bytes = block::restore(part, bytes, raw as usize, dictionary)?.into_owned().into();
    let mut inside = Input::new(&columns);
    let mut directory = Directory::read(&mut inside, n_events, false)?;
    let at = columns.len() - inside.len();
    if directory.blocks.get(COLUMNS_BLOCK).is_none_or(|block| block.raw as usize != inside.len()) {
        return Err(malformed("its columns do not add up to their size"));
    }
    match directory.blocks.get_mut(STRINGS_BLOCK) {
        Some(block) if u64::from(block.raw) == text && input.len() <= block.raw as usize => {
            block.stored = input.len() as u32;
        }
        _ => return Err(malformed("its strings do not add up to their size")),
    }
    let blocks_at = (n - input.len()) as u32;
    Ok(Opened { directory, blocks_at, whole: Some(Whole { columns: columns.slice(at..), dictionaries }) })
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
    let bytes = block::restore(part, bytes, raw as usize, None)?;
    let mut inside = Input::new(&bytes);
    let directory = Directory::read(&mut inside, n_events, true)?;
    inside.end().map_err(|flaw| flaw.within(part))?;
    let blocks: u64 = directory.blocks.iter().map(|block| u64::from(block.stored)).sum();
    if end + blocks != u64::from(payload_len) {
        return Err(BatchError::Malformed { part, reason: "its blocks do not add up to its payload" });
    }
    Ok(Opened { directory, blocks_at: end as u32, whole: None })
}

/// What a whole payload holds when decompressed, for training dictionaries: directory and columns, and the strings.
///
/// # Errors
/// See [`BatchError`]; a parted payload is answered with [`BatchError::Form`].
#[cfg(feature = "sample")]
pub fn decompressed(sealed: &super::Sealed) -> Result<(Vec<u8>, Vec<u8>), BatchError> {
    let part = "payload";
    let flawed = |flaw: super::error::Flaw| flaw.within(part);
    let mut input = Input::new(&sealed.payload);
    match input.byte() {
        Ok(WHOLE) => {}
        other => return Err(BatchError::Form { found: other.unwrap_or_default() }),
    }
    input.bytes(HEAD - 1).map_err(flawed)?;
    let dictionaries = Dictionaries::numbered(input.varint().map_err(flawed)?)?;
    let mut next =
        || input.varint().map_err(flawed).and_then(|n| bounded("decompressed size", n, MAX_BATCH_BYTES));
    let [raw, stored, text] = [next()?, next()?, next()?];
    let of = |part| dictionaries.as_ref().map(|both| both.of(part));
    let bytes = input.bytes(stored as usize).map_err(flawed)?;
    let columns = block::restore(part, bytes, raw as usize, of(Part::Columns))?.into_owned();
    let strings = block::restore(part, input.rest(), text as usize, of(Part::Strings))?.into_owned();
    Ok((columns, strings))
}
