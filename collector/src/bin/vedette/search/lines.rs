//! JSON values, one a line, out of a body that arrives in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use serde_json::Value;

use crate::client::fault;

/// The longest line that is taken: a page of events is many lines, an event is at most some 100 KiB.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Lines of a body.
pub(super) struct Lines<S> {
    body: S,
    rest: BytesMut,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Lines<S> {
    pub(super) fn new(body: S) -> Self {
        Self { body, rest: BytesMut::new() }
    }

    fn next_line(&mut self) -> Option<anyhow::Result<Value>> {
        let end = memchr(b'\n', &self.rest)?;
        let line = self.rest.split_to(end);
        self.rest.advance(1);
        Some(
            serde_json::from_slice(&line)
                .map_err(|error| anyhow::anyhow!("the collector sent a line that is not JSON: {error}")),
        )
    }
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == byte)
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for Lines<S> {
    type Item = anyhow::Result<Value>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(line) = self.next_line() {
                return Poll::Ready(Some(line));
            }
            if self.rest.len() > MAX_LINE_BYTES {
                return Poll::Ready(Some(Err(anyhow::anyhow!(
                    "the collector sent a line of over {MAX_LINE_BYTES} bytes"
                ))));
            }
            match futures::ready!(self.body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(anyhow::anyhow!(
                        "the answer broke off: {}",
                        fault::root(&error)
                    ))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_line_may_arrive_in_pieces() {
        let pieces = ["{\"a\"", ":1}\n{\"a\":2}\n{\"a", "\":3}\n"]
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let lines: Vec<_> =
            Lines::new(futures::stream::iter(pieces)).map(|line| line.unwrap()["a"].clone()).collect().await;
        assert_eq!(lines, [1, 2, 3]);
    }
}
