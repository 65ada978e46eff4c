//! What of a batch a predicate reads, so that a store fetches no more.

use std::collections::HashSet;
use std::ops::Range;

use super::judge::of_subject;
use super::rows::source;
use super::subjects::entity;
use super::{Expression, Predicate, Test, TextTest};
use crate::batch::PartSpans;
use crate::field::{Field, Place};
use crate::id::EntityId;

/// The parts of a batch that [`super::Judge::select`] reads beside its directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its strings. [`super::Judge::verdict`] reads nothing else.
    pub strings: bool,
    /// Every event's kind, time and subject.
    pub events: bool,
    /// The subject table.
    pub subjects: bool,
    /// Columns of events, each once, in the order of the fields' numbers.
    pub columns: Vec<Field>,
}

impl Needs {
    /// The byte ranges of a batch's payload that hold these parts and the directory: ascending, apart from each other.
    pub fn ranges(&self, spans: &PartSpans) -> Vec<Range<u32>> {
        let part = |needed: bool, range: &Range<u32>| needed.then(|| range.clone());
        let columns =
            spans.columns.iter().filter(|span| span.kind.is_some() && self.columns.contains(&span.field));
        let mut ranges: Vec<Range<u32>> = [
            Some(spans.directory.clone()),
            part(self.strings, &spans.strings),
            part(self.events, &spans.events),
            part(self.subjects, &spans.subjects),
        ]
        .into_iter()
        .flatten()
        .chain(columns.flat_map(|span| span.ranges.iter().cloned()))
        .collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        ranges
    }
}

impl Predicate {
    /// What of a batch it reads.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for leaf in &self.leaves {
            let reads_text = matches!(leaf.test, Test::Text(_) | Test::Address(_));
            needs.strings |= (reads_text && source(leaf.field).is_some()) || leaf.field == Field::NetworkType;
            needs.events |= !matches!(leaf.field.place(), Place::Batch | Place::Store);
            needs.subjects |= of_subject(leaf.field);
            match (leaf.field, leaf.field.place()) {
                (Field::NetworkType, _) => needs.columns.extend([Field::SourceIp, Field::DestinationIp]),
                (Field::NetworkDirection, _) | (_, Place::Event) => needs.columns.push(leaf.field),
                _ => {}
            }
        }
        // Lists and texts are read with their strings, whatever the test.
        needs.columns.sort_unstable();
        needs.columns.dedup();
        needs.strings |= needs.subjects || !needs.columns.is_empty();
        needs
    }

    /// The processes of which one is the subject, its parent or its ancestor in every event that matches; `None` if there is
    /// no such bound. A store that keeps processes as rows finds their hosts and times by them.
    pub fn entities(&self) -> Option<HashSet<EntityId>> {
        self.entities_of(&self.root, true)
    }

    fn entities_of(&self, expression: &Expression, wanted: bool) -> Option<HashSet<EntityId>> {
        match expression {
            Expression::Everything => None,
            Expression::Not(inner) => self.entities_of(inner, !wanted),
            Expression::And(inner) | Expression::Or(inner) => {
                let mut bounds = inner.iter().map(|e| self.entities_of(e, wanted));
                if matches!(expression, Expression::And(_)) == wanted {
                    bounds.flatten().min_by_key(HashSet::len)
                } else {
                    bounds.try_fold(HashSet::new(), |mut all, bound| {
                        all.extend(bound?);
                        Some(all)
                    })
                }
            }
            Expression::Leaf(n) if wanted => {
                let leaf = self.leaves.get(*n)?;
                let of_process = matches!(
                    leaf.field,
                    Field::ProcessEntityId | Field::ProcessParentEntityId | Field::ProcessAncestorEntityId
                );
                match (&leaf.test, of_process) {
                    (Test::Text(n), true) => match self.texts.get(*n)? {
                        TextTest::OneOf(values) => {
                            Some(values.iter().filter_map(|value| entity(value)).collect())
                        }
                        TextTest::Like(_) => None,
                    },
                    _ => None,
                }
            }
            Expression::Leaf(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bytes::Bytes;

    use super::*;
    use crate::batch::{Batch, Builder, Sealed};
    use crate::event::{Event, Kind, Row};
    use crate::flat::fixture::{host, seal};
    use crate::id::ProcessKey;
    use crate::predicate::Options;
    use crate::subject::Subject;
    use crate::time::BootTime;
    use crate::value::Value;

    fn predicate(text: &str) -> Predicate {
        Predicate::parse(text, &Options::default()).unwrap()
    }

    /// Large enough that its parts are compressed apart.
    fn large() -> Sealed {
        let mut builder = Builder::new();
        let text = |n: u64| Value::Keyword(blake3::hash(&n.to_le_bytes()).to_string().into());
        for n in 0..3_000u64 {
            let row = Row::default()
                .with(Field::ProcessExecutable, text(n % 100))
                .with(Field::ProcessUserId, n % 7);
            let key = ProcessKey { start: BootTime::from_ns(n * 977), pid: n as u32 };
            let subject = builder.subject(&Subject { key, image: 1, parent: None, is_new: true, row });
            let (kind, row) = match n % 2 {
                0 => (Kind::EXIT, Row::default().with(Field::ProcessExitCode, Value::Int(n as i64 % 3))),
                _ => (
                    Kind::CONNECT,
                    Row::default()
                        .with(Field::DestinationIp, Value::Ip([10, 0, (n >> 8) as u8, n as u8].into()))
                        .with(Field::DestinationPort, n)
                        .with(Field::NetworkTransport, Value::from("tcp")),
                ),
            };
            builder.push(&Event { time: BootTime::from_ns(n * 1_009), kind, row }, Some(subject));
        }
        seal(&mut builder)
    }

    fn slices(sealed: &Sealed, ranges: &[Range<u32>]) -> Vec<(u32, Bytes)> {
        let slice = |range: &Range<u32>| sealed.payload.slice(range.start as usize..range.end as usize);
        ranges.iter().map(|range| (range.start, slice(range))).collect()
    }

    #[test]
    fn what_is_needed_is_enough_and_less_than_all() {
        let sealed = large();
        let len = sealed.payload.len() as u32;
        let outer = host();
        let whole = Batch::open(&sealed).unwrap();
        for text in [
            "process.user.id:3",
            "destination.port > 2990",
            "destination.ip:10.0.1.0/24 and process.user.id:1",
            "process.name:*a*",
            "process.exit_code:1 or network.direction:outbound",
            "network.type:ipv6",
            "event.action:exit and host.name:web-*",
            "@timestamp > 1970-01-01T00:00:00.003Z",
            "process.pid < 5 and not process.parent.executable:*",
            "10.0.0.1 or beef",
        ] {
            let predicate = predicate(text);
            let ranges = predicate.needs().ranges(&whole.spans());
            let fetched: u32 = ranges.iter().map(|range| range.end - range.start).sum();
            assert!(fetched < len, "{text} reads all of it");
            let part = Batch::from_parts(&sealed.header, len, slices(&sealed, &ranges)).unwrap();
            assert_eq!(
                predicate.select(&part, &outer).unwrap(),
                predicate.select(&whole, &outer).unwrap(),
                "{text}"
            );

            let first = std::slice::from_ref(&(0..whole.spans().strings.end)).to_vec();
            let part = Batch::from_parts(&sealed.header, len, slices(&sealed, &first)).unwrap();
            predicate.judge(&outer).verdict(&part).unwrap();
        }
    }

    #[test]
    fn parts_that_are_not_named_are_not_needed() {
        let needs = predicate("event.action:exec and destination.port:443").needs();
        assert_eq!((needs.subjects, needs.events), (false, true));
        assert_eq!(needs.columns, [Field::DestinationPort]);
        assert_eq!(predicate("host.name:web-1").needs(), Needs::default());
    }

    #[test]
    fn processes_that_bound_a_query_are_named() {
        let n = |text: &str| predicate(text).entities().map(|entities| entities.len());
        let a = "process.entity_id:0000000000000001";
        assert_eq!(n(a), Some(1));
        assert_eq!(n(&format!("{a} and event.action:exec")), Some(1));
        assert_eq!(n(&format!("{a} or process.ancestor.entity_id:0000000000000002")), Some(2));
        assert_eq!(n(&format!("{a} or event.action:exec")), None);
        assert_eq!(n(&format!("not {a}")), None);
        assert_eq!(n("process.entity_id:nonsense"), Some(0));
    }
}
