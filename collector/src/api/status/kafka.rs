//! What `status` says of the export to Kafka. Pure.

use serde_json::{Value as Json, json};

use crate::store::Stamp;
use crate::store::collectors::Record;
use crate::store::exports::Totals;
use crate::store::exports::exporters::{ALIVE, Seen};
use crate::store::leases::{Held, Share};

/// What is known when it is asked.
pub(super) struct Export<'a> {
    pub(super) now: Stamp,
    /// Whether there is, or was, a sink.
    pub(super) is_begun: bool,
    pub(super) totals: Totals,
    pub(super) exporters: &'a [Seen],
    pub(super) held: &'a [Held],
    pub(super) collectors: &'a [Record],
    /// Events that Kafka refused.
    pub(super) n_refused: u64,
}

/// So far behind is worth a word.
const LATE_US: i64 = 60_000_000;

impl Export<'_> {
    fn alive(&self) -> impl Iterator<Item = &Seen> {
        self.exporters.iter().filter(|seen| seen.silent < ALIVE)
    }

    fn n_shares(&self) -> usize {
        self.held.iter().filter(|held| held.left.is_some() && held.share().is_some()).count()
    }

    /// Since when events wait: as the exporters say, who know exactly; where a share has none, as the watermarks say.
    fn oldest(&self) -> Option<Stamp> {
        if self.n_shares() < Share::N || self.alive().next().is_none() {
            return self.totals.oldest;
        }
        self.alive().filter_map(|seen| seen.exporter.oldest).min()
    }

    fn age_us(&self) -> i64 {
        self.oldest().map_or(0, |at| self.now.unix_us().saturating_sub(at.unix_us()).max(0))
    }

    /// The failure that is the latest.
    fn failure(&self) -> Option<(&Seen, &str, Stamp)> {
        let failures = self
            .alive()
            .filter_map(|seen| Some((seen, seen.exporter.error.as_deref()?, seen.exporter.error_at?)));
        failures.max_by_key(|(_, _, at)| *at)
    }

    fn name(&self, seen: &Seen) -> String {
        let run = seen.exporter.run;
        let known = self.collectors.iter().find(|record| record.run == run);
        known.map_or_else(|| run.to_string(), |record| record.name.clone())
    }

    /// A section of names and values; `None` where nothing was ever exported.
    pub(super) fn section(&self) -> Option<Json> {
        if !self.is_begun {
            return None;
        }
        let age_s = self.age_us() as f64 / 1e6;
        // What an exporter says of itself is a moment old, or older while it waits for room.
        let watermark = match (self.oldest(), self.totals.n_events) {
            (Some(at), _) => at.to_string(),
            (None, 0) => "caught up".to_owned(),
            (None, _) => "behind".to_owned(),
        };
        Some(json!({
            "watermark": watermark,
            "age_seconds": (age_s * 10.0).round() / 10.0,
            "events_behind": self.totals.n_events,
            "streams_behind": self.totals.n_streams,
            "events_per_second": self.alive().map(|seen| seen.exporter.per_second).sum::<f64>().round(),
            "exporters": self.alive().count(),
            "shares_held": format!("{} of {}", self.n_shares(), Share::N),
            "refused": self.n_refused,
            "last_error": self.failure().map(|(seen, said, at)| format!("{at} {}: {said}", self.name(seen))),
        }))
    }

    /// What is wrong, one line each.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.section().is_none() {
            return wrong;
        }
        let failing = self.alive().filter(|seen| !seen.exporter.works);
        for seen in failing {
            let said = seen.exporter.error.as_deref().unwrap_or("it takes nothing");
            wrong.push(format!("{}: events do not get to Kafka: {said}", self.name(seen)));
        }
        let waiting = self.totals.n_events;
        // One that stopped cleanly is not listed: it may be that there is to be none.
        if !self.exporters.is_empty() && self.alive().next().is_none() && waiting > 0 {
            wrong.push(format!("no collector exports to Kafka, and {waiting} events wait"));
        } else if !self.exporters.is_empty() && self.age_us() > LATE_US {
            let seconds = self.age_us() / 1_000_000;
            wrong.push(format!("the export to Kafka is {seconds} s behind, {waiting} events wait"));
        }
        if self.n_refused > 0 {
            let n = self.n_refused;
            wrong.push(format!("{n} records were refused by Kafka (see `vedette quarantine records`)"));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::store::exports::exporters::Exporter;

    const NOW: Stamp = Stamp::from_unix_us(1_700_000_000_000_000);

    fn held(n: usize) -> Vec<Held> {
        let left = Some(Duration::from_secs(9));
        (0..n).map(|n| Held { task: format!("export-{n}"), holder: Uuid::nil(), left }).collect()
    }

    fn seen(oldest_s: Option<i64>, error: Option<&str>) -> Seen {
        let exporter = Exporter {
            works: error.is_none(),
            per_second: 1200.4,
            oldest: oldest_s.map(|s| NOW.plus_us(-s * 1_000_000)),
            error: error.map(str::to_owned),
            error_at: error.map(|_| NOW),
            ..Exporter::default()
        };
        Seen { exporter, silent: Duration::from_secs(1) }
    }

    fn export<'a>(exporters: &'a [Seen], held: &'a [Held], n_events: u64) -> Export<'a> {
        let totals = Totals { n_streams: 2, n_events, oldest: Some(NOW.plus_us(-3_600_000_000)) };
        Export {
            now: NOW,
            is_begun: !exporters.is_empty(),
            totals,
            exporters,
            held,
            collectors: &[],
            n_refused: 0,
        }
    }

    #[test]
    fn without_a_sink_nothing_is_said() {
        let export = export(&[], &[], 50);
        assert!(export.section().is_none() && export.wrong().is_empty());
    }

    #[test]
    fn an_export_that_keeps_up_is_not_wrong_whatever_the_watermarks_say_between_two_commits() {
        let (exporters, held) = ([seen(Some(2), None)], held(16));
        let export = export(&exporters, &held, 50);
        assert!(export.wrong().is_empty(), "{:?}", export.wrong());
        assert_eq!(export.section().and_then(|s| s.get("age_seconds").cloned()), Some(json!(2.0)));
    }

    #[test]
    fn nobody_is_caught_up_while_something_waits() {
        let (exporters, held) = ([seen(None, None)], held(16));
        let watermark = |n| export(&exporters, &held, n).section().and_then(|s| s.get("watermark").cloned());
        assert_eq!((watermark(0), watermark(50)), (Some(json!("caught up")), Some(json!("behind"))));
    }

    #[test]
    fn what_keeps_events_back_is_said() {
        let said = "topic x: not there; create the topic";
        let (exporters, held) = ([seen(Some(120), Some(said))], held(16));
        let export = export(&exporters, &held, 50);
        let wrong = export.wrong().join("\n");
        assert!(wrong.contains(said) && wrong.contains("120 s behind"), "{wrong}");
        let mut gone = [seen(None, None)];
        gone[0].silent = Duration::from_secs(60);
        let export = self::export(&gone, &held, 50);
        assert_eq!(export.wrong(), ["no collector exports to Kafka, and 50 events wait"]);
    }
}
