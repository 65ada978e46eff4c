//! Our own JSON: what `vedette search` and `vedette findings` print.

use serde_json::{Value as Json, json};
use wire::batch::{Batch, BatchError};
use wire::flat::{Flattener, Outer};
use wire::value::Value;

use super::{Finding, Located};
use crate::shape::{Writer, nested};

/// Renders the events of one batch as the search's JSON has them.
#[derive(Debug)]
pub struct Renderer<'a> {
    batch: &'a Batch,
    outer: &'a Outer,
    flattener: Flattener<'a>,
    /// How much was written with what the flattener keeps.
    n_bytes: usize,
}

/// After so many bytes what is kept of the processes is worked out again: it is not more than was written of them.
const MAX_KEPT_BYTES: usize = 16 << 20;

impl<'a> Renderer<'a> {
    /// Starts on a batch.
    pub fn new(batch: &'a Batch, outer: &'a Outer) -> Self {
        Self { batch, outer, flattener: Flattener::new(batch, outer), n_bytes: 0 }
    }

    /// An event as one JSON object.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn event(&mut self, event: &Located<'_>) -> Result<Vec<u8>, BatchError> {
        if self.n_bytes > MAX_KEPT_BYTES {
            (self.flattener, self.n_bytes) = (Flattener::new(self.batch, self.outer), 0);
        }
        let json = self.written(event, None)?;
        self.n_bytes += json.len();
        Ok(json)
    }

    /// The same with texts cut after `limit` bytes and lists after as many items; `event.truncated` says so.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn cut(&mut self, event: &Located<'_>, limit: usize, n_bytes: usize) -> Result<Vec<u8>, BatchError> {
        self.written(event, Some((limit, n_bytes)))
    }

    fn written(&mut self, event: &Located<'_>, cut: Option<(usize, usize)>) -> Result<Vec<u8>, BatchError> {
        let flat = self.flattener.event(event.number)?.unwrap_or_default();
        let mut also = Writer::default();
        let escaped: Vec<&str> =
            flat.row.iter().filter(|(_, v)| !is_utf8(v)).map(|(f, _)| f.name()).collect();
        if !escaped.is_empty() {
            also.key("escaped");
            also.list(escaped, |to, name| to.string(name));
        }
        if let Some((_, n_bytes)) = cut {
            also.key("truncated");
            also.raw("{");
            also.number_member("bytes", n_bytes as u64);
            also.raw("}");
        }
        let mut to = Writer::with_capacity(2 << 10).limited(cut.map(|(limit, _)| limit));
        to.raw("{");
        nested(&flat.row, &also.finish().0, &mut to);
        to.raw("}");
        Ok(to.finish().0)
    }
}

fn is_utf8(value: &Value) -> bool {
    let is_utf8 = |text: &[u8]| std::str::from_utf8(text).is_ok();
    match value {
        Value::Keyword(text) => is_utf8(text),
        Value::List(texts) => texts.iter().all(|text| is_utf8(text)),
        _ => true,
    }
}

/// A finding, as the API has it.
pub fn finding(finding: &Finding<'_>, host_name: &str) -> Json {
    json!({
        "id": finding.id.to_string(),
        "host": { "id": finding.host.to_string(), "name": host_name },
        "kind": finding.kind,
        "about": finding.about,
        "severity": finding.severity_name(),
        "n": finding.n,
        "first_found": finding.first_found.to_string(),
        "last_found": finding.last_found.to_string(),
        "evidence": finding.evidence,
        "summary": finding.summary(),
    })
}
