//! A stream of frames: the size of the pieces that it comes in, then its bytes, read in every direction.

use wire::frame::{Data, Decoder, Frame, FromCollector, FromSensor, HEADER_BYTES, encode};

/// Feeds one input; how many frames were in it.
pub(crate) fn feed(input: &[u8]) -> usize {
    let Some((piece, bytes)) = input.split_first() else { return 0 };
    let piece = usize::from(*piece).max(1);
    read::<FromSensor>(bytes, piece) + read::<FromCollector>(bytes, piece) + read::<Data>(bytes, piece)
}

fn read<F: Frame + PartialEq + std::fmt::Debug>(bytes: &[u8], piece: usize) -> usize {
    let frames = decode::<F>(bytes, piece);
    // The pieces make no difference, and what was read is what is written.
    assert_eq!(frames, decode::<F>(bytes, bytes.len().max(1)));
    let written: Vec<u8> = frames.iter().flat_map(encode).collect();
    assert_eq!(frames, decode::<F>(&written, piece));
    frames.len()
}

/// The frames up to what cannot be read. No more is held than what came.
fn decode<F: Frame>(bytes: &[u8], piece: usize) -> Vec<F> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
        if let Some(pending) = decoder.pending() {
            assert!(pending.received <= bytes.len(), "{pending:?}");
            assert!(pending.expected <= HEADER_BYTES + wire::limits::MAX_FRAME_BYTES as usize, "{pending:?}");
        }
    }
    frames
}
