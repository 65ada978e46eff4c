//! An answer as lines of JSON, written while its caller reads them.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{ApiError, TOKEN_ENDED};
use crate::revocation::Answering;

/// The media type of such an answer.
pub(super) const LINES: &str = "application/x-ndjson";

/// Where lines are put.
pub(super) type Lines = mpsc::Sender<Result<Bytes, Infallible>>;

/// Answers with what `write` puts there, of which so many pieces wait for a slow caller; it is dropped when the caller goes away, or
/// the caller's token ends.
pub(super) fn answer<W>(
    max_waiting: usize,
    answering: Answering,
    write: impl FnOnce(Lines) -> W + Send + 'static,
) -> Response
where
    W: Future<Output = ()> + Send,
{
    let (lines, waiting) = mpsc::channel(max_waiting);
    tokio::spawn(async move {
        let gone = lines.clone();
        tokio::select! {
            () = gone.closed() => {}
            () = answering.ended() => {
                let error = json!({ "error": ApiError::unauthorized(TOKEN_ENDED).shown() });
                // A caller that does not read sees the answer break off.
                let _ = gone.try_send(Ok(line(&error)));
            }
            () = write(lines) => {}
        }
    });
    ([(header::CONTENT_TYPE, LINES)], Body::from_stream(ReceiverStream::new(waiting))).into_response()
}

/// One line.
pub(super) fn line(json: &Json) -> Bytes {
    let mut text = json.to_string();
    text.push('\n');
    text.into()
}
