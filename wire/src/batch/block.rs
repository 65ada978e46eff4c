//! Compression: what zstd is given, and what it is allowed to give back.

use std::borrow::Cow;
use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DDict, DParameter};

use super::dictionary::{self, Part};
use super::error::BatchError;
use crate::limits::MAX_ZSTD_WINDOW_LOG;

/// Fast enough for a sensor. Measured on batches of 20 events: level 7 makes them 4 % smaller and takes twice the time,
/// level 19 makes them 9 % smaller and takes ten times as long.
pub(super) const LEVEL: i32 = 3;
/// What a zstd frame begins with (a skippable frame begins otherwise). It is left out of payloads.
const MAGIC: &[u8] = &0xFD2F_B528_u32.to_le_bytes();

thread_local! {
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(compressor());
    static COLUMNS: RefCell<CCtx<'static>> = RefCell::new(compressor_of(Part::Columns));
    static STRINGS: RefCell<CCtx<'static>> = RefCell::new(compressor_of(Part::Strings));
    /// And room for a frame, which begins with the magic number.
    static DECOMPRESSOR: RefCell<(DCtx<'static>, Vec<u8>)> = RefCell::new((decompressor(), MAGIC.to_vec()));
}

/// Appends `raw` as one frame, with the newest built-in dictionary for a part of a whole payload; returns how many
/// bytes that took.
pub(super) fn compress(raw: &[u8], part: Option<Part>, out: &mut Vec<u8>) -> usize {
    let context = match part {
        None => &COMPRESSOR,
        Some(Part::Columns) => &COLUMNS,
        Some(Part::Strings) => &STRINGS,
    };
    context.with_borrow_mut(|context| append(context, raw, out))
}

/// What `stored` stands for: itself if it is of `raw` bytes (bounded by the caller before), else one frame that
/// decompresses to exactly so many.
pub(super) fn restore<'a>(
    part: &'static str,
    stored: &'a [u8],
    raw: usize,
    dictionary: Option<&DDict<'static>>,
) -> Result<Cow<'a, [u8]>, BatchError> {
    if stored.len() == raw {
        return Ok(Cow::Borrowed(stored));
    }
    let error = |reason| BatchError::Compressed { part, reason };
    let mut out = Vec::with_capacity(raw);
    let n = DECOMPRESSOR.with_borrow_mut(|(context, frame)| {
        frame.truncate(MAGIC.len());
        frame.extend_from_slice(stored);
        check_frame(frame).map_err(error)?;
        let n = match dictionary {
            None => context.decompress(&mut out, frame),
            Some(dictionary) => context.decompress_using_ddict(&mut out, frame, dictionary),
        };
        n.map_err(|_| error("its frame is damaged or longer than declared"))
    })?;
    if n == raw { Ok(Cow::Owned(out)) } else { Err(error("it is shorter than declared")) }
}

/// Checks that these bytes are one frame, with nothing after it, whose window is not too large
/// (RFC 8878, section 3.1.1.1).
fn check_frame(frame: &[u8]) -> Result<(), &'static str> {
    let Some([descriptor, window, ..]) = frame.strip_prefix(MAGIC) else {
        return Err("it is not a zstd frame");
    };
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment && u32::from(window >> 3) + 10 > MAX_ZSTD_WINDOW_LOG {
        return Err("its window is too large");
    }
    match zstd_safe::find_frame_compressed_size(frame) {
        Ok(size) if size == frame.len() => Ok(()),
        Ok(_) => Err("bytes follow its frame"),
        Err(_) => Err("its frame is cut short or damaged"),
    }
}

fn append(context: &mut CCtx<'static>, raw: &[u8], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(raw.len()), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let n = context.compress2(room, raw).expect("zstd compresses anything into its own bound");
    out.truncate(start + n);
    out.drain(start..start + MAGIC.len());
    n - MAGIC.len()
}

fn compressor_of(part: Part) -> CCtx<'static> {
    let mut context = compressor();
    context.ref_cdict(dictionary::newest(part)).expect("a context without work takes a dictionary");
    context
}

fn compressor() -> CCtx<'static> {
    let mut context = CCtx::create();
    let parameters = [
        CParameter::CompressionLevel(LEVEL),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ];
    for parameter in parameters {
        context.set_parameter(parameter).expect("zstd knows these parameters");
    }
    context
}

fn decompressor() -> DCtx<'static> {
    let mut context = DCtx::create();
    let window = DParameter::WindowLogMax(MAX_ZSTD_WINDOW_LOG);
    context.set_parameter(window).expect("zstd knows this parameter");
    context
}
