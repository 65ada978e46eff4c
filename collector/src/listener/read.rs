//! Reads frames from a stream, not too slowly.

use std::time::Duration;

use quinn::{ReadError, RecvStream};
use tokio::time::{Instant, timeout_at};
use wire::frame::{Decoder, Frame, FrameError};

/// Over which time the rate of a frame that has begun is measured.
const SPAN: Duration = Duration::from_secs(5);
/// The most bytes taken from a stream at once.
const CHUNK: usize = 64 << 10;

/// A stream as frames.
pub(super) struct FrameReader<F> {
    stream: RecvStream,
    decoder: Decoder<F>,
    least_bytes_per_span: usize,
    /// While a frame has begun: when the span ends, and what came in it.
    span: Option<(Instant, usize)>,
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
        let least = least_rate.saturating_mul(u32::try_from(SPAN.as_secs()).unwrap_or(u32::MAX));
        Self { stream, decoder: Decoder::default(), least_bytes_per_span: least as usize, span: None }
    }

    /// The next frame; `None` at the stream's end.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Option<F>, ReadFailure> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                self.span = None;
                return Ok(Some(frame));
            }
            let is_begun = self.decoder.pending().is_some();
            let chunk = if is_begun {
                let (until, came) = *self.span.get_or_insert_with(|| (Instant::now() + SPAN, 0));
                match timeout_at(until, self.stream.read_chunk(CHUNK, true)).await {
                    Ok(chunk) => chunk,
                    Err(_) if came < self.least_bytes_per_span => return Err(ReadFailure::Slow),
                    Err(_) => {
                        self.span = None;
                        continue;
                    }
                }
            } else {
                self.stream.read_chunk(CHUNK, true).await
            };
            match chunk {
                Ok(Some(chunk)) => {
                    if let Some((_, came)) = &mut self.span {
                        *came += chunk.bytes.len();
                    }
                    self.decoder.push(&chunk.bytes);
                }
                Ok(None) => return Ok(None),
                Err(e) => return Err(ReadFailure::Lost(e)),
            }
        }
    }
}
