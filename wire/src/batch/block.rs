//! Compression: what zstd is given, and what it is allowed to give back.

use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DDict, DParameter};

use super::dictionary;
use super::error::BatchError;
use crate::limits::MAX_ZSTD_WINDOW_LOG;

/// Fast enough for a sensor, and what the figures of `docs/benchmarks.md` were measured with.
pub(super) const LEVEL: i32 = 3;
/// What a zstd frame begins with; a skippable frame begins otherwise.
const MAGIC: &[u8] = &0xFD2F_B528_u32.to_le_bytes();

thread_local! {
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(compressor());
    static WITH_DICTIONARY: RefCell<CCtx<'static>> = RefCell::new(compressor_with_dictionary());
    static DECOMPRESSOR: RefCell<DCtx<'static>> = RefCell::new(decompressor());
}

/// Appends `raw` as one frame; returns how many bytes that took.
pub(super) fn compress(raw: &[u8], out: &mut Vec<u8>) -> usize {
    COMPRESSOR.with_borrow_mut(|context| append(context, raw, out))
}

/// The same with the newest built-in dictionary.
pub(super) fn compress_with_dictionary(raw: &[u8], out: &mut Vec<u8>) -> usize {
    WITH_DICTIONARY.with_borrow_mut(|context| append(context, raw, out))
}

/// Decompresses one frame to exactly `raw` bytes (bounded by the caller before).
pub(super) fn decompress(
    part: &'static str,
    frame: &[u8],
    raw: usize,
    dictionary: Option<&DDict<'static>>,
) -> Result<Vec<u8>, BatchError> {
    let error = |reason| BatchError::Compressed { part, reason };
    check_frame(frame).map_err(error)?;
    let mut out = Vec::with_capacity(raw);
    let n = DECOMPRESSOR.with_borrow_mut(|context| match dictionary {
        None => context.decompress(&mut out, frame),
        Some(dictionary) => context.decompress_using_ddict(&mut out, frame, dictionary),
    });
    match n {
        Ok(n) if n == raw => Ok(out),
        Ok(_) => Err(error("it is shorter than declared")),
        Err(_) => Err(error("its frame is damaged or longer than declared")),
    }
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
    n
}

fn compressor_with_dictionary() -> CCtx<'static> {
    let mut context = compressor();
    context.ref_cdict(dictionary::newest()).expect("a context without work takes a dictionary");
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
