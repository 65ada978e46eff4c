//! What is asked, and its checking: from texts to a search that can run.

use std::collections::HashSet;

use wire::id::HostId;
use wire::predicate::{Needs, Options, Predicate};
use wire::time::WallTime;

use super::cursor::{Cursor, fingerprint};
use super::{Fleet, Position, survey, terms, top, when};
use crate::store::Stamp;
use crate::store::candidates::Wanted;

mod error;
mod gathering;

pub use error::RequestError;
pub use gathering::Gathering;
use gathering::gathering;

/// How far back a search looks that does not say.
const DEFAULT_SINCE: &str = "24h";
const DEFAULT_LIMIT: u32 = 100;
/// The most events, or values, in one answer.
pub const MAX_LIMIT: u32 = 10_000;

/// A search as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The query; empty for everything.
    pub query: String,
    /// Indexed times from here on; 24 hours ago if absent.
    pub since: Option<String>,
    /// Indexed times up to and including this; now if absent.
    pub until: Option<String>,
    /// Only this host, by name or id.
    pub host: Option<String>,
    /// How many events, or values, at most.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// Count over time in about so many stretches instead of listing.
    pub histogram: Option<u32>,
    /// Count a field's most frequent values instead of listing.
    pub top: Option<String>,
    /// List a few events and count them in every way that a survey does, over time in about so many stretches.
    pub survey: Option<u32>,
}

/// A search that can run.
#[derive(Clone, Debug)]
pub struct Search {
    pub(super) predicate: Predicate,
    pub(super) gathering: Gathering,
    pub(super) limit: usize,
    pub(super) since: WallTime,
    pub(super) until: WallTime,
    pub(super) after: Option<Position>,
    /// Only these hosts.
    pub(super) hosts: Option<HashSet<HostId>>,
    /// Of each of these lists a batch must have a term.
    pub(super) clauses: Vec<Vec<i64>>,
    /// What of a batch is read to find and count.
    pub(super) needs: Needs,
    /// Whether a field is counted that stands in whole events only.
    pub(super) needs_whole: bool,
    /// Whether strings alone are likely to rule a batch out. Not where its terms have been looked up: then it has them.
    pub(super) strings_first: bool,
    now: WallTime,
    fingerprint: [u8; 8],
}

impl Search {
    /// Checks a request.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn new(request: &Request, fleet: &Fleet, now: WallTime) -> Result<Self, RequestError> {
        let fingerprint = fingerprint(&request.query, request.host.as_deref());
        let gathering = gathering(request)?;
        let cursor = request.cursor.as_deref().map(|text| cursor(text, fingerprint)).transpose()?;
        if cursor.is_some() && gathering != Gathering::Events {
            return Err(RequestError::Combination("only lists of events go on at a cursor, counts do not"));
        }
        let now = cursor.map_or(now, |cursor| cursor.now);
        let time = |name, text: &str| {
            when::parse(text, now)
                .ok_or_else(|| RequestError::Time { name, found: text.chars().take(64).collect() })
        };
        let (since, until) = match cursor {
            Some(cursor) => (cursor.since, cursor.until),
            None => (
                time("since", request.since.as_deref().unwrap_or(DEFAULT_SINCE))?,
                time("until", request.until.as_deref().unwrap_or("now"))?,
            ),
        };
        if until < since {
            return Err(RequestError::Range { since, until });
        }
        let limit = bounded("limit", request.limit.unwrap_or(DEFAULT_LIMIT), MAX_LIMIT)?;
        let options = Options { now, store_fields: false };
        let predicate = Predicate::parse(&request.query, &options)
            .map_err(|error| RequestError::Query { error, query: request.query.clone() })?;
        let named = request.host.as_deref().map(|name| fleet.resolve(name)).transpose()?;
        let mut hosts: Option<HashSet<HostId>> = fleet.admitted(&predicate).map(HashSet::from_iter);
        if let Some(host) = named {
            let admitted = hosts.is_none_or(|hosts| hosts.contains(&host));
            hosts = Some(admitted.then_some(host).into_iter().collect());
        }
        let search = Self {
            predicate,
            gathering,
            limit: limit as usize,
            since,
            until,
            after: cursor.map(|cursor| cursor.last),
            hosts,
            clauses: Vec::new(),
            needs: Needs::default(),
            needs_whole: false,
            strings_first: false,
            now,
            fingerprint,
        };
        Ok(search.planned())
    }

    /// The same search over less: only these hosts, and only from `since` to `until`.
    #[must_use]
    pub fn narrowed(mut self, hosts: HashSet<HostId>, since: WallTime) -> Self {
        self.hosts = Some(match self.hosts {
            Some(named) => named.intersection(&hosts).copied().collect(),
            None => hosts,
        });
        self.since = self.since.max(since);
        self
    }

    /// What the query asks for.
    pub fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// From when to when, both inclusive.
    pub fn range(&self) -> (WallTime, WallTime) {
        (self.since, self.until)
    }

    /// What a segment must have to be looked at for a part of that time.
    pub fn part(&self, since: WallTime, until: WallTime) -> Wanted {
        Wanted { since: Stamp::floor(since), until: Stamp::ceil(until), ..self.wanted() }
    }

    /// What a segment must have to be looked at.
    pub(super) fn wanted(&self) -> Wanted {
        let hosts: Option<Vec<HostId>> = self.hosts.as_ref().map(|hosts| hosts.iter().copied().collect());
        let mut buckets: Vec<i16> = match &hosts {
            Some(hosts) => hosts.iter().map(|host| host.bucket()).collect(),
            None => (0..HostId::N_BUCKETS as i16).collect(),
        };
        buckets.sort_unstable();
        buckets.dedup();
        let until = self.after.map_or(self.until, |after| after.time.min(self.until));
        let (since, until) = (Stamp::floor(self.since), Stamp::ceil(until));
        Wanted { buckets, hosts, since, until, terms: self.clauses.clone() }
    }

    /// Whether most of each batch that is looked at is read.
    pub(super) fn reads_most(&self) -> bool {
        self.needs_whole || (!self.needs.columns.is_empty() && !self.strings_first)
    }

    /// The cursor behind `last`.
    pub(super) fn cursor(&self, last: Position) -> String {
        let Self { fingerprint, now, since, until, .. } = *self;
        Cursor { fingerprint, now, since, until, last }.encode()
    }

    fn planned(mut self) -> Self {
        let candidates = self.predicate.candidates();
        self.clauses = terms::clauses(&candidates);
        self.needs = self.predicate.needs();
        // Times decide what is in range, and where it stands in the order.
        self.needs.events = true;
        self.strings_first = self.needs.strings && !terms::say_much(&candidates);
        let counted = match self.gathering {
            Gathering::Top { field } => vec![field],
            Gathering::Survey { .. } => survey::FIELDS.to_vec(),
            Gathering::Events | Gathering::Histogram { .. } => Vec::new(),
        };
        for field in counted {
            match top::needs(field, self.needs.clone()) {
                Some(needs) => self.needs = needs,
                None => self.needs_whole = true,
            }
        }
        self
    }
}

fn cursor(text: &str, fingerprint: [u8; 8]) -> Result<Cursor, RequestError> {
    let cursor = Cursor::decode(text)
        .ok_or(RequestError::Cursor("not one that an earlier answer of this version gave"))?;
    if cursor.fingerprint != fingerprint {
        return Err(RequestError::Cursor("it belongs to another query or host"));
    }
    Ok(cursor)
}

fn bounded(name: &'static str, found: u32, most: u32) -> Result<u32, RequestError> {
    if (1..=most).contains(&found) { Ok(found) } else { Err(RequestError::Number { name, found, most }) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const NOW: WallTime = WallTime::from_unix_ns(1_700_000_000_000_000_000);

    fn search(request: Request) -> Result<Search, RequestError> {
        Search::new(&request, &Fleet::default(), NOW)
    }

    #[track_caller]
    fn refused(request: Request, expected: Expect) {
        expected.assert_eq(&search(request).expect_err("refused").to_string());
    }

    fn query(text: &str) -> Request {
        Request { query: text.to_owned(), ..Request::default() }
    }

    #[test]
    fn an_error_points_at_the_column() {
        refused(
            query("process.nam:curl"),
            expect![[r#"
            column 1: unknown field `process.nam`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `process.name`?
              process.nam:curl
              ^^^^^^^^^^^"#]],
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let since = |text: &str| Request { since: Some(text.into()), ..Request::default() };
        refused(
            since("soon"),
            expect![[
                r#"invalid since "soon", expected a span such as 15m or 24h, or a time such as 2026-01-31T12:00:00Z"#
            ]],
        );
        refused(
            since("2024-01-01"),
            expect!["until (2023-11-14T22:13:20Z) is before since (2024-01-01T00:00:00Z)"],
        );
        refused(
            Request { limit: Some(0), ..Request::default() },
            expect!["invalid limit 0, expected 1 to 10000"],
        );
        refused(
            Request { host: Some("web".into()), ..Request::default() },
            expect![[r#"host "web" not found"#]],
        );
        refused(
            Request { cursor: Some("x".into()), ..Request::default() },
            expect!["invalid cursor: not one that an earlier answer of this version gave"],
        );
        refused(
            Request { top: Some("process.nmae".into()), ..Request::default() },
            expect![[r#"unknown field "process.nmae"; did you mean process.name?"#]],
        );
        refused(
            Request { top: Some("lineage.ancestor.name".into()), ..Request::default() },
            expect![[r#"cannot count field "lineage.ancestor.name""#]],
        );
    }

    #[test]
    fn a_cursor_belongs_to_its_search_and_keeps_its_times() {
        let first = search(query("process.name:a")).expect("a search");
        let stream = wire::id::StreamId {
            host: HostId::new(uuid::Uuid::nil()),
            epoch: wire::id::Epoch::new(uuid::Uuid::nil()),
            lane: wire::id::Lane::Bulk,
        };
        let last = Position { time: first.since, id: wire::id::EventId { stream, seq: 7 } };
        let text = first.cursor(last);
        let later = NOW.saturating_add_ns(1_000_000_000_000);
        let request =
            Request { cursor: Some(text.clone()), since: Some("1m".into()), ..query("process.name:a") };
        let next = Search::new(&request, &Fleet::default(), later).expect("a search");
        assert_eq!((next.since, next.until, next.after), (first.since, first.until, Some(last)));
        refused(
            Request { cursor: Some(text), ..query("process.name:b") },
            expect!["invalid cursor: it belongs to another query or host"],
        );
    }

    #[test]
    fn only_what_a_query_reads_is_read() {
        let substring = search(query("*needle*")).err().map(|e| e.to_string());
        let bare = search(query("needle")).expect("a search");
        assert_eq!(substring, None);
        assert!(bare.strings_first && bare.clauses.is_empty());
        let terms = search(query("process.name:curl and file.path:/etc/passwd")).expect("a search");
        assert!(!terms.strings_first && terms.clauses.len() == 3);
    }
}
