//! The payload's outer form.
//!
//! | bytes | whole (form 1) | parted (form 2) |
//! |---|---|---|
//! | 1 | 1 | 2 |
//! | 16 | sum | sum |
//! | varint | dictionaries (0: none) | length of the directory |
//! | varint | length of directory and columns | its bytes here |
//! | varint | their bytes here | |
//! | varint | length of the strings | |
//! | rest | directory and columns; then the strings | the directory; then the blocks |
//!
//! Each of these is one zstd frame without its magic number, or as it is where its bytes here are as many as its
//! length. Strings and all else lie apart in a whole payload too, as each has a dictionary that suits it.
//!
//! The sum is what the batch is proven by ([`super::sum`]).

use bytes::Bytes;

use super::block;
use super::dictionary::Part;
use super::directory::{Block, Directory};
use super::error::{BatchError, bounded};
use super::sum::{self, Content};
use super::varint::{self, Input};
use super::whole::{self, Frames, Whole};
use crate::limits::MAX_BATCH_BYTES;

pub(super) const WHOLE: u8 = 1;
pub(super) const PARTED: u8 = 2;
/// Where what follows form and sum begins.
pub(super) const HEAD: usize = 1 + sum::BYTES;
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
    let (form, sum) = if columns.len() + text.len() < PARTED_FROM {
        let mut raw = Vec::with_capacity(columns.len() + 512);
        directory.write(&mut raw);
        raw.extend_from_slice(columns);
        whole::write(&mut out, &raw, text);
        (WHOLE, sum::of_content(header, Content { columns: &raw, text }))
    } else {
        let (with_zeros, rest) =
            columns.split_at(directory.parts.first().map_or(0, |part| part.length as usize));
        write_parted(&mut out, &mut directory, &[with_zeros, text, rest].concat());
        (PARTED, sum::of_bytes(header, out.get(HEAD..).unwrap_or_default()))
    };
    begin(&mut out, form, sum);
    out.into()
}

/// Fills in form and sum.
pub(super) fn begin(out: &mut [u8], form: u8, sum: sum::Sum) {
    if let Some((first, rest)) = out.split_first_mut() {
        *first = form;
        rest.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    }
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
pub(super) fn store(raw: &[u8], part: Option<Part>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let n = block::compress(raw, part, out);
    if n < raw.len() {
        return n;
    }
    out.truncate(start);
    out.extend_from_slice(raw);
    raw.len()
}

/// Checks that header and payload are what was sealed; `content` is that of a whole payload.
pub(super) fn verify(header: &[u8], payload: &[u8], content: Option<Content<'_>>) -> Result<(), BatchError> {
    let sum = match content {
        Some(content) => sum::of_content(header, content),
        None => sum::of_bytes(header, payload.get(HEAD..).unwrap_or_default()),
    };
    if payload.get(1..HEAD) == Some(&sum[..]) { Ok(()) } else { Err(BatchError::Checksum) }
}

/// A payload's beginning, read.
pub(super) struct Opened {
    pub(super) directory: Directory,
    /// Where the blocks begin in the payload; in a whole payload where the strings do.
    pub(super) blocks_at: u32,
    pub(super) whole: Option<Whole>,
}

/// Reads the beginning of a payload of `payload_len` bytes; `prefix` holds at least its directory.
pub(super) fn open(prefix: &[u8], payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
    let part = "payload";
    let mut input = Input::new(prefix);
    let form = input.byte().map_err(|flaw| flaw.within(part))?;
    input.bytes(HEAD - 1).map_err(|flaw| flaw.within(part))?;
    match form {
        WHOLE => whole::open(&Frames::read(prefix, payload_len)?, payload_len, n_events),
        PARTED => open_parted(input, prefix.len(), payload_len, n_events),
        found => Err(BatchError::Form { found }),
    }
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
