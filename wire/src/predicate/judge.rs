//! The evaluator over a batch's columns.
//!
//! A condition is decided at the cheapest place that can: by what is known of the batch from outside, by the kinds and columns
//! its directory lists, by its strings (each distinct one judged once), by its subjects, and only then
//! by the columns of events. Nothing is decompressed before it is needed.

use super::bits::Bits;
use super::rows::{Texts, source};
use super::strings::Judged;
use super::{Expression, Leaf, Predicate, Test, events, subjects};
use crate::batch::{Batch, BatchError};
use crate::field::{Field, Place};
use crate::flat::{self, Outer};

/// What can be said of a batch's events before they are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Verdict {
    /// No event matches.
    None,
    /// Some may; [`Judge::select`] tells which.
    Maybe,
    /// Every event matches.
    All,
}

/// A predicate at work on one batch. What it finds out about the batch's strings is kept from
/// [`Judge::verdict`] to [`Judge::select`].
pub struct Judge<'a> {
    pub(super) predicate: &'a Predicate,
    pub(super) outer: &'a Outer,
    judged: Vec<Judged>,
}

impl Predicate {
    /// Starts on one batch.
    pub fn judge<'a>(&'a self, outer: &'a Outer) -> Judge<'a> {
        Judge { predicate: self, outer, judged: self.texts.iter().map(|_| Judged::default()).collect() }
    }

    /// The numbers of the events that match, within the batch, ascending.
    ///
    /// # Errors
    /// When a part that is needed was not fetched or does not decode.
    pub fn select(&self, batch: &Batch, outer: &Outer) -> Result<Vec<u32>, BatchError> {
        self.judge(outer).select(batch)
    }

    /// Whether a host's events can match at all, by the conditions on `host.id`, `host.name` and
    /// `host.tags`. When it was received is not looked at.
    pub fn admits_host(&self, host: &Outer) -> bool {
        let judge = self.judge(host);
        let verdict = self.combine(&self.root, &mut |leaf| {
            Ok(match leaf.field {
                Field::HostId | Field::HostName | Field::HostTags => judge.constant(leaf, None),
                _ => Verdict::Maybe,
            })
        });
        verdict.is_ok_and(|verdict| verdict != Verdict::None)
    }

    /// Whether there are any conditions on hosts.
    pub fn names_hosts(&self) -> bool {
        self.leaves.iter().any(|leaf| matches!(leaf.field, Field::HostId | Field::HostName | Field::HostTags))
    }

    /// Joins verdicts on leaves, stopping as soon as the answer is certain.
    fn combine(
        &self,
        expression: &Expression,
        leaf: &mut dyn FnMut(&Leaf) -> Result<Verdict, BatchError>,
    ) -> Result<Verdict, BatchError> {
        match expression {
            Expression::Everything => Ok(Verdict::All),
            Expression::Leaf(n) => self.leaves.get(*n).map_or(Ok(Verdict::None), leaf),
            Expression::Not(inner) => Ok(match self.combine(inner, leaf)? {
                Verdict::None => Verdict::All,
                Verdict::Maybe => Verdict::Maybe,
                Verdict::All => Verdict::None,
            }),
            Expression::And(inner) => {
                let mut verdict = Verdict::All;
                for expression in inner {
                    verdict = verdict.min(self.combine(expression, leaf)?);
                    if verdict == Verdict::None {
                        break;
                    }
                }
                Ok(verdict)
            }
            Expression::Or(inner) => {
                let mut verdict = Verdict::None;
                for expression in inner {
                    verdict = verdict.max(self.combine(expression, leaf)?);
                    if verdict == Verdict::All {
                        break;
                    }
                }
                Ok(verdict)
            }
        }
    }
}

impl Judge<'_> {
    /// What can be said from the batch's directory and strings alone: the rest need not have been fetched.
    ///
    /// # Errors
    /// When the strings were not fetched or do not decode.
    pub fn verdict(&self, batch: &Batch) -> Result<Verdict, BatchError> {
        self.predicate.combine(&self.predicate.root, &mut |leaf| self.leaf_verdict(batch, leaf))
    }

    /// The numbers of the events that match, within the batch, ascending.
    ///
    /// The batch must be the one that [`Judge::verdict`] was asked about, if it was; more of it may have been fetched since.
    ///
    /// # Errors
    /// When a part that is needed was not fetched or does not decode.
    pub fn select(&self, batch: &Batch) -> Result<Vec<u32>, BatchError> {
        match self.verdict(batch)? {
            Verdict::None => Ok(Vec::new()),
            Verdict::All => Ok((0..batch.n_events()).collect()),
            Verdict::Maybe => {
                let everything = Bits::all(batch.n_events() as usize);
                let selected = self.evaluate(batch, &self.predicate.root, &everything)?;
                Ok(selected.iter().map(|n| n as u32).collect())
            }
        }
    }

    pub(super) fn texts<'b>(&'b self, batch: &'b Batch) -> Result<Texts<'b>, BatchError> {
        Ok(Texts { predicate: self.predicate, judged: &self.judged, strings: batch.strings()? })
    }

    /// The events among `within` that match.
    fn evaluate(&self, batch: &Batch, expression: &Expression, within: &Bits) -> Result<Bits, BatchError> {
        match expression {
            Expression::Everything => Ok(within.clone()),
            Expression::Leaf(n) => match self.predicate.leaves.get(*n) {
                Some(leaf) => self.leaf(batch, leaf, within),
                None => Ok(Bits::none(batch.n_events() as usize)),
            },
            Expression::Not(inner) => {
                let mut rest = within.clone();
                rest.subtract(&self.evaluate(batch, inner, within)?);
                Ok(rest)
            }
            Expression::And(inner) => {
                let mut left = within.clone();
                for expression in inner {
                    if left.is_empty() {
                        break;
                    }
                    left = self.evaluate(batch, expression, &left)?;
                }
                Ok(left)
            }
            Expression::Or(inner) => {
                let (mut found, mut left) = (Bits::none(batch.n_events() as usize), within.clone());
                for expression in inner {
                    if left.is_empty() {
                        break;
                    }
                    let more = self.evaluate(batch, expression, &left)?;
                    left.subtract(&more);
                    found.unite(&more);
                }
                Ok(found)
            }
        }
    }

    fn leaf(&self, batch: &Batch, leaf: &Leaf, within: &Bits) -> Result<Bits, BatchError> {
        match self.leaf_verdict(batch, leaf)? {
            Verdict::None => return Ok(Bits::none(batch.n_events() as usize)),
            Verdict::All => return Ok(within.clone()),
            Verdict::Maybe => {}
        }
        let mut passing = if of_subject(leaf.field) {
            let texts = self.texts(batch)?;
            let subjects = subjects::passing(batch, self.outer, texts, leaf.field, &leaf.test)?;
            events::of_subjects(batch, &subjects)?
        } else {
            events::passing(self, batch, leaf, within)?
        };
        passing.intersect(within);
        Ok(passing)
    }

    fn leaf_verdict(&self, batch: &Batch, leaf: &Leaf) -> Result<Verdict, BatchError> {
        let verdict = match (leaf.field, leaf.field.place()) {
            (_, Place::Batch | Place::Store) => self.constant(leaf, Some(batch)),
            (Field::EventAction | Field::EventCategory, _) => self.by_kinds(batch, leaf),
            (field, Place::Event) if !batch.groups().any(|group| group.fields().any(|f| f == field)) => {
                Verdict::None
            }
            _ => Verdict::Maybe,
        };
        let Some((_, view)) = source(leaf.field) else { return Ok(verdict) };
        if verdict == Verdict::Maybe
            && matches!(leaf.test, Test::Text(_) | Test::Address(_))
            && self.texts(batch)?.never(&leaf.test, view)
        {
            return Ok(Verdict::None);
        }
        Ok(verdict)
    }

    /// A verdict on what is the same for all events of a batch.
    fn constant(&self, leaf: &Leaf, batch: Option<&Batch>) -> Verdict {
        let told = batch.and_then(|batch| flat::of_header(leaf.field, batch.header()));
        let value = told.or_else(|| self.outer.value(leaf.field));
        let passes = |value| leaf.test.matches(&value, &self.predicate.texts, &mut Vec::new());
        if value.is_some_and(passes) { Verdict::All } else { Verdict::None }
    }

    /// A verdict on what follows from an event's kind.
    fn by_kinds(&self, batch: &Batch, leaf: &Leaf) -> Verdict {
        let passes = |kind| events::kind_passes(self, leaf, kind);
        let mut groups = batch.groups().filter(|group| group.n_rows() > 0).map(|group| passes(group.kind()));
        match groups.next() {
            None => Verdict::None,
            Some(first) if groups.all(|other| other == first) => {
                if first {
                    Verdict::All
                } else {
                    Verdict::None
                }
            }
            Some(_) => Verdict::Maybe,
        }
    }
}

/// Whether a field is a property of an event's subject.
pub(super) fn of_subject(field: Field) -> bool {
    matches!(field.place(), Place::Subject | Place::Parent(_) | Place::Ancestor(_))
        || matches!(
            field,
            Field::ProcessEntityId
                | Field::ProcessPid
                | Field::ProcessName
                | Field::ProcessCommandLine
                | Field::ProcessStart
        )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bytes::Bytes;

    use super::*;
    use crate::batch::{Boundary, Builder, Header};
    use crate::event::{Event, Kind, Row};
    use crate::flat::fixture::{events, host};
    use crate::flat::flatten;
    use crate::predicate::Options;
    use crate::term;
    use crate::value::Value;

    /// What a query selects, which single events and candidates must agree with.
    #[track_caller]
    fn check(batch: &Batch, text: &str, expected: &[u32]) {
        let predicate = Predicate::parse(text, &Options::default()).unwrap();
        assert_eq!(predicate.select(batch, &host()).unwrap(), expected, "{text}");
        for n in 0..batch.n_events() {
            let event = flatten(batch, &host(), n).unwrap().unwrap();
            assert_eq!(predicate.matches(&event), expected.contains(&n), "{text}, event {n}");
        }
        let terms = term::of_batch(batch).unwrap();
        assert!(expected.is_empty() || predicate.candidates().admit(&|hash| terms.contains(&hash)), "{text}");
    }

    fn paths(paths: &[&'static str]) -> Batch {
        events(Kind::EXEC, paths.iter().map(|path| vec![(Field::FilePath, Value::from(*path))]))
    }

    #[test]
    fn a_text_is_not_found_across_two_strings() {
        let batch = paths(&["ab", "cd", "", "bc", "xbcxbc"]);
        check(&batch, "file.path:*bc*", &[3, 4]);
        check(&batch, "file.path:*\"BC\"i*", &[3, 4]);
        check(&batch, "file.path:*bcx*", &[4]);
        check(&batch, "file.path:*cdb*", &[]);
    }

    #[test]
    fn long_texts_are_found_too() {
        let path: &'static str = "0123456789".repeat(40).leak();
        let batch = paths(&[path, "0123456789"]);
        check(&batch, &format!("file.path:*{}*", &path[1..390]), &[0]);
        check(&batch, &format!("file.path:*{}1*", &path[1..390]), &[]);
    }

    #[test]
    fn an_event_is_found_by_its_id() {
        let batch = paths(&["a", "b", "c"]);
        let stream = "00000000-0000-0000-0000-000000000000.00000000-0000-0000-0000-000000000000";
        check(&batch, &format!("event.id:{stream}.critical.1"), &[1]);
        check(&batch, &format!("event.id:{stream}.critical.*"), &[0, 1, 2]);
        check(&batch, &format!("event.id:{stream}.critical.01"), &[]);
        check(&batch, &format!("event.id:{stream}.critical.3"), &[]);
        check(&batch, &format!("event.id:{stream}.bulk.1"), &[]);
    }

    #[test]
    fn an_empty_list_is_no_value() {
        let list =
            |items: &[&'static [u8]]| Value::List(items.iter().map(|i| Bytes::from_static(i)).collect());
        let values = [list(&[]), list(&[b""]), list(&[b"a", b"b"])];
        let batch = events(Kind::EXEC, values.into_iter().map(|value| vec![(Field::DnsAnswers, value)]));
        check(&batch, "dns.answers:*", &[1, 2]);
        check(&batch, "not dns.answers:b", &[0, 1]);
    }

    #[test]
    fn addresses_are_one_whatever_their_form() {
        let address = |text: &str| vec![(Field::DestinationIp, Value::Ip(text.parse().unwrap()))];
        let batch = events(Kind::CONNECT, [address("::ffff:10.1.2.3")]);
        check(&batch, "destination.ip:10.1.2.3", &[0]);
        check(&batch, "destination.ip:10.0.0.0/8", &[0]);
        check(&batch, "destination.ip:::ffff:10.1.2.0/120", &[0]);
        check(&batch, "network.type:ipv4", &[0]);
        check(&batch, "10.1.2.3 and not 10.1.2.4", &[0]);
        check(&batch, "destination.ip:\"::/0\"", &[]);
    }

    #[test]
    fn a_batch_is_found_by_its_collection() {
        let header = events(Kind::EXEC, [vec![], vec![]]).header().clone();
        let made_by = |collection| {
            let mut builder = Builder::new();
            builder.push(&Event { time: header.earliest, kind: Kind::EXEC, row: Row::default() }, None);
            let Header { epoch, lane, first_seq, boot, sealed, clock, ledger, .. } = header.clone();
            let boundary = Boundary { epoch, lane, first_seq, boot, sealed, clock, ledger, collection };
            Batch::open(&builder.seal(boundary)).unwrap()
        };
        let batch = made_by([0x1f; 16]);
        check(&batch, "sensor.collection:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f", &[0]);
        check(&batch, "sensor.collection:1f1f* and event.action:exec", &[0]);
        check(&batch, "sensor.collection:ff*", &[]);
        check(&made_by([0; 16]), "not sensor.collection:*", &[0]);
        let json = flatten(&batch, &host(), 0).unwrap().unwrap().to_json();
        assert_eq!(json.pointer("/sensor/collection").unwrap(), &"1f".repeat(16));
    }

    #[test]
    fn hosts_are_told_apart_before_anything_is_read() {
        let admits = |text| Predicate::parse(text, &Options::default()).unwrap().admits_host(&host());
        assert!(admits("host.name:web-* and process.name:curl"));
        assert!(!admits("host.name:db-* and process.name:curl"));
        assert!(admits("host.name:db-* or process.name:curl"));
        assert!(!admits("not host.tags:\"env=prod\""));
        assert!(admits("not (host.name:web-1 and process.name:curl)"));
    }
}
