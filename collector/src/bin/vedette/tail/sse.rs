//! Server-sent events (HTML Living Standard, section 9.2), as far as the API uses them: every message's data is one JSON value.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use serde_json::Value;

use crate::client::fault;

/// One message.
pub(super) struct Message {
    /// What it is: `event`, `lagged`, …
    pub(super) event: String,
    /// Its data.
    pub(super) data: Value,
}

/// Messages of a body; comments, which keep the connection alive, are passed over.
pub(super) struct Messages<S> {
    body: S,
    rest: BytesMut,
    event: String,
    data: String,
}

const MAX_MESSAGE_BYTES: usize = 16 << 20;

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Messages<S> {
    pub(super) fn new(body: S) -> Self {
        Self { body, rest: BytesMut::new(), event: String::new(), data: String::new() }
    }

    /// The next whole message of what has arrived.
    fn next_message(&mut self) -> Option<anyhow::Result<Message>> {
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line = self.rest.split_to(end + 1);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
                if data.is_empty() {
                    continue;
                }
                let data = serde_json::from_str(data.trim_end_matches('\n'));
                return Some(match data {
                    Ok(data) => {
                        Ok(Message { event: if event.is_empty() { "event".to_owned() } else { event }, data })
                    }
                    Err(error) => {
                        Err(anyhow::anyhow!("the collector sent a message that is not JSON: {error}"))
                    }
                });
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => value.clone_into(&mut self.event),
                "data" => {
                    self.data.push_str(value);
                    self.data.push('\n');
                }
                _ => {}
            }
        }
        None
    }
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for Messages<S> {
    type Item = anyhow::Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.next_message() {
                return Poll::Ready(Some(message));
            }
            if self.rest.len() + self.data.len() > MAX_MESSAGE_BYTES {
                return Poll::Ready(Some(Err(anyhow::anyhow!(
                    "the collector sent a message of over {MAX_MESSAGE_BYTES} bytes"
                ))));
            }
            match futures::ready!(self.body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(anyhow::anyhow!(
                        "the tail broke off: {}; start it again to go on",
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
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn comments_are_passed_over_and_pieces_joined() {
        let text = [
            ": alive\n\nevent: ev",
            "ent\ndata: {\"a\":1}\n",
            "\nevent: lagged\r\ndata: {\"missed\":2}\r\n\r\n",
        ];
        let body = futures::stream::iter(text.map(|piece| Ok(Bytes::from_static(piece.as_bytes()))));
        let got: Vec<_> = Messages::new(body).map(|m| m.map(|m| (m.event, m.data)).unwrap()).collect().await;
        assert_eq!(
            got,
            [
                ("event".into(), serde_json::json!({"a": 1})),
                ("lagged".into(), serde_json::json!({"missed": 2}))
            ]
        );
    }
}
