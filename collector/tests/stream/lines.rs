//! The lines of an answer, as they come.

use bytes::BytesMut;

use crate::PATIENCE;

pub(crate) struct Lines {
    response: reqwest::Response,
    read: BytesMut,
}

impl Lines {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, read: BytesMut::new() }
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(at + 1);
                return Some(String::from_utf8(line.to_vec()).unwrap().trim_end().to_owned());
            }
            let more = tokio::time::timeout(PATIENCE, self.response.chunk());
            match more.await.expect("the answer goes on or ends").unwrap() {
                Some(bytes) => self.read.extend_from_slice(&bytes),
                None => return None,
            }
        }
    }

    /// The next line with this in it; those before are passed over.
    pub(crate) async fn with(&mut self, text: &str) -> String {
        loop {
            let line = self.next().await.unwrap_or_else(|| panic!("it ended without {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}
