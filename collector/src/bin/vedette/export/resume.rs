//! How far an export has come, in a file beside what it writes, so that the same command goes on where it stopped.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::ExportTo;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// As it was typed: the same command goes on.
    pub(super) typed: Value,
    pub(super) query: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) host: Option<String>,
    pub(super) format: Option<String>,
}

/// How far it has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Resume {
    asked: Asked,
    /// All up to here (inclusive) are exported.
    pub(super) upto: Option<String>,
    /// How long the file was then.
    pub(super) n_bytes: u64,
    pub(super) n_events: u64,
    pub(super) n_refused: u64,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Resume {
    /// As the file says, if it is there and about the same command; else from the start.
    pub(super) fn open(file: Option<&Path>, to: ExportTo, asked: Asked) -> anyhow::Result<Self> {
        // Into Kafka nothing is written here but how far it has come.
        let path = file.map(|file| match to {
            ExportTo::Kafka => file.to_owned(),
            _ => PathBuf::from(format!("{}.resume", file.display())),
        });
        let fresh = Self { asked, upto: None, n_bytes: 0, n_events: 0, n_refused: 0, path: path.clone() };
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(fresh) };
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let known: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what an export left there", path.display()))?;
        if known.asked.typed != fresh.asked.typed {
            bail!(
                "{} is of another export ({}): give the same command to go on with it, or remove the file",
                path.display(),
                known.asked.typed
            );
        }
        eprintln!("vedette: goes on behind {}", known.upto.as_deref().unwrap_or("nothing"));
        Ok(Self { path: Some(path), ..known })
    }

    /// What the collector is asked; `None` when nothing is left.
    pub(super) fn body(&self) -> anyhow::Result<Option<Value>> {
        let Asked { query, since, until, host, format, .. } = &self.asked;
        let since = match &self.upto {
            None => since.clone(),
            Some(upto) => {
                let next: Timestamp = upto.parse()?;
                let next = next.checked_add(SignedDuration::from_nanos(1))?;
                if next > until.parse()? {
                    return Ok(None);
                }
                format!("{next:.9}")
            }
        };
        Ok(Some(json!({ "query": query, "since": since, "until": until, "host": host, "format": format })))
    }

    /// Everything up to a time has come, `begun` events before this answer.
    pub(super) fn came(&mut self, begun: u64, progress: &Value, n_bytes: u64) -> anyhow::Result<()> {
        let number = |name: &str| progress.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.upto = progress.get("upto").and_then(Value::as_str).map(str::to_owned);
        self.n_events = begun + number("events");
        self.n_refused = self.n_refused.max(number("refused"));
        self.n_bytes = n_bytes;
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let new = PathBuf::from(format!("{}.new", path.display()));
        std::fs::write(&new, serde_json::to_vec(self)?)
            .and_then(|()| std::fs::rename(&new, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// What was asked for, by name.
    pub(super) fn about(&self) -> [(&'static str, String); 3] {
        let Asked { query, since, until, .. } = &self.asked;
        [("query", query.clone()), ("since", since.clone()), ("until", until.clone())]
    }

    /// It is at its end: nothing is left to go on with.
    pub(super) fn done(&self) -> anyhow::Result<()> {
        match self.path.as_ref().filter(|path| path.exists()) {
            Some(path) => {
                std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
            }
            None => Ok(()),
        }
    }

    /// How much of the time that is asked for is done.
    pub(super) fn part(&self) -> f64 {
        let ns = |text: &str| text.parse::<Timestamp>().map_or(0, |time| time.as_nanosecond()) as f64;
        let (since, until) = (ns(&self.asked.since), ns(&self.asked.until));
        self.upto
            .as_deref()
            .map_or(0.0, |upto| ((ns(upto) - since) / (until - since).max(1.0)).clamp(0.0, 1.0))
    }

    /// For whoever was interrupted.
    pub(super) fn how_to_go_on(&self) -> String {
        match (&self.path, &self.upto) {
            (Some(_), _) => "stopped; the same command goes on from there".to_owned(),
            (None, Some(upto)) => {
                format!("stopped; everything up to {upto} is exported: go on with --since {upto}")
            }
            (None, None) => "stopped before anything was exported".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked {
            typed: json!([query]),
            query: query.to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
            until: "2026-01-02T00:00:00Z".to_owned(),
            host: None,
            format: None,
        }
    }

    #[test]
    fn the_same_command_goes_on_behind_what_has_come_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.ndjson");
        let open = |query| Resume::open(Some(&file), ExportTo::Ndjson, asked(query));
        let mut first = open("a").unwrap();
        assert_eq!(first.body().unwrap().unwrap()["since"], "2026-01-01T00:00:00Z");
        first.came(0, &json!({ "upto": "2026-01-01T12:00:00.999999999Z", "events": 7 }), 99).unwrap();
        let second = open("a").unwrap();
        assert_eq!((second.n_events, second.n_bytes), (7, 99));
        assert_eq!(second.body().unwrap().unwrap()["since"], "2026-01-01T12:00:01.000000000Z");
        assert!((second.part() - 0.5).abs() < 0.01);
        assert!(open("b").unwrap_err().to_string().contains("another export"));
        let mut last = second;
        last.came(7, &json!({ "upto": "2026-01-02T00:00:00Z", "events": 1 }), 120).unwrap();
        assert!(last.body().unwrap().is_none());
        last.done().unwrap();
        assert_eq!(open("b").unwrap().n_events, 0);
    }
}
