//! Reads frames from a stream, not too slowly.

use quinn::{ReadError, RecvStream};
use tokio::time::{Instant, timeout_at};
use wire::frame::{Decoder, Frame, FrameError};

use super::pace::Pace;

/// The most bytes taken from a stream at once.
const CHUNK: usize = 64 << 10;

/// A stream as frames.
pub(super) struct FrameReader<F> {
    stream: RecvStream,
    decoder: Decoder<F>,
    least_rate: u32,
    /// While a frame has begun.
    pace: Option<Pace>,
}

/// Why a stream gives no more frames.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadFailure {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame that came more slowly than the least rate")]
    Slow,
    #[error("the stream was lost")]
    Lost(#[source] ReadError),
}

impl<F: Frame> FrameReader<F> {
    pub(super) fn new(stream: RecvStream, least_rate: u32) -> Self {
        Self { stream, decoder: Decoder::default(), least_rate, pace: None }
    }

    /// The next frame; `None` at the stream's end.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Option<F>, ReadFailure> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                self.pace = None;
                return Ok(Some(frame));
            }
            let is_begun = self.decoder.pending().is_some();
            let chunk = if is_begun {
                let pace = self.pace.get_or_insert_with(|| Pace::new(Instant::now().into(), self.least_rate));
                match timeout_at(pace.until().into(), self.stream.read_chunk(CHUNK, true)).await {
                    Ok(chunk) => chunk,
                    Err(_) if pace.is_too_slow(Instant::now().into()) => return Err(ReadFailure::Slow),
                    Err(_) => continue,
                }
            } else {
                self.stream.read_chunk(CHUNK, true).await
            };
            match chunk {
                Ok(Some(chunk)) => {
                    if let Some(pace) = &mut self.pace {
                        pace.take(chunk.bytes.len());
                    }
                    self.decoder.push(&chunk.bytes);
                }
                Ok(None) => return Ok(None),
                Err(e) => return Err(ReadFailure::Lost(e)),
            }
        }
    }
}
