//! Whole payloads: those of small batches, two frames, each with its dictionary.

use std::borrow::Cow;

use bytes::Bytes;

use super::block;
use super::dictionary::{self, Dictionaries, Part};
use super::directory::{COLUMNS_BLOCK, Directory, STRINGS_BLOCK};
use super::error::{BatchError, bounded};
use super::payload::{HEAD, Opened, WHOLE, begin, store};
use super::sum::{self, Content};
use super::varint::{self, Input};
use crate::limits::MAX_BATCH_BYTES;

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
pub(super) struct Frames<'a> {
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
    pub(super) fn read(payload: &'a [u8], payload_len: u32) -> Result<Self, BatchError> {
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
    fn restore(&self) -> Result<[Cow<'a, [u8]>; 2], BatchError> {
        let dictionary = self.dictionaries.as_ref().map(|both| both.of(Part::Strings));
        let text = block::restore("strings", self.stored_text, self.text as usize, dictionary)?;
        Ok([self.columns()?, text])
    }
}

/// Reads its beginning.
pub(super) fn open(frames: &Frames<'_>, payload_len: u32, n_events: u32) -> Result<Opened, BatchError> {
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

/// Appends what follows the sum.
pub(super) fn write(out: &mut Vec<u8>, raw: &[u8], text: &[u8]) {
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
    let [raw, text] = frames.restore().ok()?;
    let mut columns = Vec::with_capacity(HEAD + raw.len() + 12);
    columns.push(WHOLE);
    columns.extend_from_slice(&sum::Sum::default());
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
    let [raw, text] = frames.restore()?;
    let mut out = payload.to_vec();
    begin(&mut out, WHOLE, sum::of_content(header, Content { columns: &raw, text: &text }));
    Ok(out.into())
}

/// What a whole payload holds when decompressed, for training dictionaries: directory and columns, and the strings.
///
/// # Errors
/// See [`BatchError`]; a parted payload is answered with [`BatchError::Form`].
#[cfg(feature = "sample")]
pub fn decompressed(sealed: &super::Sealed) -> Result<(Vec<u8>, Vec<u8>), BatchError> {
    let [columns, text] = Frames::read(&sealed.payload, sealed.payload.len() as u32)?.restore()?;
    Ok((columns.into_owned(), text.into_owned()))
}
