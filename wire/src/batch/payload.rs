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

use std::borrow::Cow;

use bytes::Bytes;

use super::block;
use super::dictionary::{self, Dictionaries, Part};
use super::directory::{Block, COLUMNS_BLOCK, Directory, STRINGS_BLOCK};
use super::error::{BatchError, bounded};
use super::sum::{self, Content};
use super::varint::{self, Input};
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
        write_whole(&mut out, &raw, text);
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
fn begin(out: &mut [u8], form: u8, sum: sum::Sum) {
    if let Some((first, rest)) = out.split_first_mut() {
        *first = form;
        rest.iter_mut().zip(sum).for_each(|(to, from)| *to = from);
    }
}

fn write_whole(out: &mut Vec<u8>, raw: &[u8], text: &[u8]) {
    let mut stored = Vec::new();
    let n_stored = store(raw, Some(Part::Columns), &mut stored);
    varint::put(out, u64::from(dictionary::NEWEST));
    for n in [raw.len(), n_stored, text.len()] {
        varint::put(out, n as u64);
    }
    out.extend_from_slice(&stored);
    store(text, Some(Part::Strings), out);
}

/// A payload in which nothing is compressed, and which has no sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare {
    /// The beginning of the payload, with directory and columns.
    pub columns: Vec<u8>,
    /// Its end: the strings. What is text compresses best beside other text.
    pub text: Vec<u8>,
}

/// The same content in a payload in which nothing is compressed, its sum left zero: for whoever compresses many
/// payloads together, which takes less room than each alone. `None` for one that is parted, cannot be read or holds more
/// than `max_bytes`: that is kept as it is.
///
/// [`super::Batch::open`] reads the two parts, one after the other, like the payload they came from, and [`restored`]
/// gives it its sum again.
pub fn bare(payload: &[u8], max_bytes: usize) -> Option<Bare> {
    let frames = Frames::read(payload, payload.len() as u32).ok()?;
    if frames.raw as usize + frames.text as usize > max_bytes {
        return None;
    }
    let (raw, text) = frames.restore().ok()?;
    let mut columns = Vec::with_capacity(HEAD + raw.len() + 12);
    columns.extend_from_slice(&[0; HEAD]);
    begin(&mut columns, WHOLE, sum::Sum::default());
    for n in [0, raw.len(), raw.len(), text.len()] {
        varint::put(&mut columns, n as u64);
    }
    columns.extend_from_slice(&raw);
    Some(Bare { columns, text: text.into_owned() })
}

/// A payload with its sum filled in, for one that [`bare`] made: then it proves what it did when it was sealed.
///
/// # Errors
/// See [`BatchError`]: when its content cannot be read.
pub fn restored(header: &[u8], payload: &[u8]) -> Result<Bytes, BatchError> {
    let frames = Frames::read(payload, payload.len() as u32)?;
    let (raw, text) = frames.restore()?;
    let mut out = payload.to_vec();
    begin(&mut out, WHOLE, sum::of_content(header, Content { columns: &raw, text: &text }));
    Ok(out.into())
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

/// What is different in a whole payload.
#[derive(Debug)]
pub(super) struct Whole {
    /// The directory and all columns but the strings, decompressed.
    pub(super) raw: Bytes,
    /// Those columns.
    pub(super) columns: Bytes,
    pub(super) dictionaries: Option<Dictionaries>,
}

/// A whole payload's two parts, not yet decompressed.
struct Frames<'a> {
    dictionaries: Option<Dictionaries>,
    /// Bytes of directory and columns when decompressed.
    raw: u32,
    stored: &'a [u8],
    /// Bytes of the strings when decompressed.
    text: u32,
    stored_text: &'a [u8],
}

impl<'a> Frames<'a> {
    /// The frames of a payload of `payload_len` bytes, all of which have to be there.
    fn read(payload: &'a [u8], payload_len: u32) -> Result<Self, BatchError> {
        let part = "payload";
        let flawed = |flaw: super::error::Flaw| flaw.within(part);
        let mut input = Input::new(payload);
        let form = input.byte().map_err(flawed)?;
        if form != WHOLE {
            return Err(BatchError::Form { found: form });
        }
        if payload.len() != payload_len as usize {
            return Err(BatchError::NotFetched { part, start: 0, end: payload_len });
        }
        input.bytes(HEAD - 1).map_err(flawed)?;
        let dictionaries = Dictionaries::numbered(input.varint().map_err(flawed)?)?;
        let raw = bounded("decompressed size", input.varint().map_err(flawed)?, MAX_BATCH_BYTES)?;
        let stored = input.varint().map_err(flawed)?;
        let text = input.varint().map_err(flawed)?;
        bounded("decompressed size", u64::from(raw).saturating_add(text), MAX_BATCH_BYTES)?;
        if stored > u64::from(raw) {
            let reason = "its columns are larger in it than decompressed";
            return Err(BatchError::Malformed { part, reason });
        }
        let stored = input.bytes(stored as usize).map_err(flawed)?;
        Ok(Self { dictionaries, raw, stored, text: text as u32, stored_text: input.rest() })
    }

    fn columns(&self) -> Result<Cow<'a, [u8]>, BatchError> {
        let dictionary = self.dictionaries.as_ref().map(|both| both.of(Part::Columns));
        block::restore("payload", self.stored, self.raw as usize, dictionary)
    }

    /// Directory and columns, and the strings.
    fn restore(&self) -> Result<(Cow<'a, [u8]>, Cow<'a, [u8]>), BatchError> {
        let dictionary = self.dictionaries.as_ref().map(|both| both.of(Part::Strings));
        let text = block::restore("strings", self.stored_text, self.text as usize, dictionary)?;
        Ok((self.columns()?, text))
    }
}

/// Reads the beginning of a payload of `payload_len` bytes; `prefix` holds at least its directory.
pub(super) fn open(prefix: &[u8], payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
    let part = "payload";
    let mut input = Input::new(prefix);
    let form = input.byte().map_err(|flaw| flaw.within(part))?;
    input.bytes(HEAD - 1).map_err(|flaw| flaw.within(part))?;
    match form {
        WHOLE => open_whole(&Frames::read(prefix, payload_len)?, payload_len, n_events),
        PARTED => open_parted(input, prefix.len(), payload_len, n_events),
        found => Err(BatchError::Form { found }),
    }
}

fn open_whole(frames: &Frames<'_>, payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
    let malformed = |reason| BatchError::Malformed { part: "payload", reason };
    let raw: Bytes = frames.columns()?.into_owned().into();
    let mut inside = Input::new(&raw);
    let mut directory = Directory::read(&mut inside, n_events, false)?;
    let at = raw.len() - inside.len();
    if directory.blocks.get(COLUMNS_BLOCK).is_none_or(|block| block.raw as usize != inside.len()) {
        return Err(malformed("its columns do not add up to their size"));
    }
    let n_text = frames.stored_text.len() as u32;
    match directory.blocks.get_mut(STRINGS_BLOCK) {
        Some(block) if block.raw == frames.text && n_text <= block.raw => block.stored = n_text,
        _ => return Err(malformed("its strings do not add up to their size")),
    }
    let whole = Whole { columns: raw.slice(at..), raw, dictionaries: frames.dictionaries };
    Ok(Opened { directory, blocks_at: payload_len - n_text, whole: Some(whole) })
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
    let (columns, text) = Frames::read(&sealed.payload, sealed.payload.len() as u32)?.restore()?;
    Ok((columns.into_owned(), text.into_owned()))
}
