//! Our own JSON: what `vedette search` and `vedette findings` print.

use serde_json::{Value as Json, json};
use wire::batch::{Batch, BatchError};
use wire::event::Row;
use wire::flat::{Flattener, Outer};
use wire::value::Value;

use super::{Finding, Located};

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
        let flat = self.flattener.event(event.number)?.unwrap_or_default();
        let json = flat.to_json().to_string().into_bytes();
        self.n_bytes += json.len();
        Ok(json)
    }

    /// The same with texts cut after `limit` bytes and lists after as many items; `event.truncated` says so.
    ///
    /// # Errors
    /// When the batch does not decode or was not fetched as a whole.
    pub fn cut(&mut self, event: &Located<'_>, limit: usize, n_bytes: usize) -> Result<Vec<u8>, BatchError> {
        let mut flat = self.flattener.event(event.number)?.unwrap_or_default();
        let mut row = Row::default();
        for (field, value) in flat.row.iter() {
            row.set(field, shortened(value, limit));
        }
        flat.row = row;
        let mut json = flat.to_json();
        if let Some(Json::Object(event)) = json.get_mut("event") {
            event.insert("truncated".to_owned(), json!({ "bytes": n_bytes }));
        }
        Ok(json.to_string().into_bytes())
    }
}

fn shortened(value: &Value, limit: usize) -> Value {
    match value {
        Value::Keyword(text) => Value::Keyword(text.slice(..text.len().min(limit))),
        Value::List(texts) => {
            let texts = texts.iter().take(limit);
            Value::List(texts.map(|text| text.slice(..text.len().min(limit))).collect())
        }
        other => other.clone(),
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
