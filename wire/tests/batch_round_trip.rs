//! Whatever goes into a batch comes out of it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;
use wire::batch::{Batch, Boundary, Builder, Sealed};
use wire::event::{Event, Kind, Row};
use wire::field::{Field, Place};
use wire::id::{BootId, Epoch, Lane, ProcessKey};
use wire::ledger::Ledger;
use wire::subject::{Subject, SubjectNumber};
use wire::time::{BootTime, Clock, WallTime};
use wire::value::{FieldType, Value};

fn boundary() -> Boundary {
    Boundary {
        epoch: Epoch::new(Uuid::from_u128(1)),
        lane: Lane::Bulk,
        first_seq: 7,
        boot: BootId::new(Uuid::from_u128(2)),
        sealed: BootTime::from_ns(9),
        clock: Clock::default(),
        ledger: Ledger::default(),
        collection: [0; 16],
    }
}

fn string() -> impl Strategy<Value = Bytes> {
    let few =
        prop::sample::select(vec![&b""[..], b"/bin/sh", b"\xff\xfe", b"a\0b"]).prop_map(Bytes::from_static);
    prop_oneof![few, vec(any::<u8>(), 0..40).prop_map(Bytes::from)]
}

/// Any number, the small and the greatest ones more often.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..4u64, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

fn value(field_type: FieldType) -> BoxedStrategy<Value> {
    match field_type {
        FieldType::Keyword => string().prop_map(Value::Keyword).boxed(),
        FieldType::KeywordList => vec(string(), 0..5).prop_map(Value::List).boxed(),
        FieldType::Uint => number().prop_map(Value::Uint).boxed(),
        FieldType::Int => number().prop_map(|n| Value::Int(n as i64)).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Ip => any::<IpAddr>().prop_map(Value::Ip).boxed(),
        FieldType::Time => number().prop_map(|n| Value::Time(WallTime::from_unix_ns(n as i64))).boxed(),
    }
}

fn row(place: Place) -> impl Strategy<Value = Row> {
    let fields: Vec<Field> = Field::ALL.iter().copied().filter(|field| field.place() == place).collect();
    let values = vec(
        prop::sample::select(fields).prop_flat_map(|f| value(f.field_type()).prop_map(move |v| (f, v))),
        0..6,
    );
    values.prop_map(|values| {
        values.into_iter().fold(Row::default(), |row, (field, value)| row.with(field, value))
    })
}

fn time() -> impl Strategy<Value = BootTime> {
    number().prop_map(BootTime::from_ns)
}

prop_compose! {
    fn subject()(
        start in time(), pid in any::<u32>(), image in any::<u32>(), parent in any::<prop::sample::Index>(),
        orphan in any::<bool>(), is_new in any::<bool>(), row in row(Place::Subject),
    ) -> (Subject, Option<prop::sample::Index>) {
        let key = ProcessKey { start, pid };
        (Subject { key, image, parent: None, is_new, row }, (!orphan).then_some(parent))
    }
}

prop_compose! {
    fn event()(time in time(), kind in 0..6u16, row in row(Place::Event), subject in any::<Option<prop::sample::Index>>())
        -> (Event, Option<prop::sample::Index>) {
        (Event { time, kind: Kind::new(kind * 1000), row }, subject)
    }
}

type Contents = (Vec<Subject>, Vec<(Event, Option<SubjectNumber>)>);

fn contents() -> impl Strategy<Value = Contents> {
    (vec(subject(), 0..20), vec(event(), 0..40)).prop_map(|(subjects, events)| {
        let n = subjects.len();
        let pick =
            |index: prop::sample::Index, n: usize| (n > 0).then(|| SubjectNumber(index.index(n) as u32));
        let subjects = subjects.into_iter().enumerate().map(|(at, (subject, parent))| Subject {
            parent: parent.and_then(|index| pick(index, at)),
            ..subject
        });
        let events =
            events.into_iter().map(|(event, subject)| (event, subject.and_then(|index| pick(index, n))));
        (subjects.collect(), events.collect())
    })
}

fn seal(builder: &mut Builder, (subjects, events): &Contents) -> Sealed {
    for subject in subjects {
        builder.subject(subject);
    }
    for (event, subject) in events {
        builder.push(event, *subject);
    }
    builder.seal(boundary())
}

fn read(sealed: &Sealed) -> Contents {
    let batch = Batch::validate(sealed).unwrap();
    let subjects = (0..batch.n_subjects()).map(|n| batch.subject(SubjectNumber(n)).unwrap().unwrap());
    let events = (0..batch.n_events()).map(|n| batch.event(n).unwrap().unwrap());
    (subjects.collect(), events.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_goes_in_comes_out(one in contents(), two in contents()) {
        let mut builder = Builder::new();
        let sealed = seal(&mut builder, &one);
        prop_assert_eq!(&read(&sealed), &one);
        // The builder forgets: what came before leaves no trace.
        let second = seal(&mut builder, &two);
        prop_assert_eq!(&read(&second), &two);
        prop_assert_eq!(second, seal(&mut Builder::new(), &two));
    }

    #[test]
    fn what_is_learned_of_a_subject_later_is_as_if_known_from_the_start(
        (mut subjects, events) in contents(),
        late in vec((any::<prop::sample::Index>(), row(Place::Subject)), 0..8),
        n_before in any::<prop::sample::Index>(),
    ) {
        let mut builder = Builder::new();
        let n_before = n_before.index(subjects.len() + 1);
        let late = late.into_iter().filter(|_| n_before > 0).map(|(at, row)| (at.index(n_before.max(1)), row));
        let late: Vec<(usize, Row)> = late.collect();
        let (before, after) = subjects.split_at(n_before);
        for subject in before {
            builder.subject(subject);
        }
        for (at, row) in &late {
            row.iter().for_each(|(field, value)| builder.amend(SubjectNumber(*at as u32), field, value));
        }
        for subject in after {
            builder.subject(subject);
        }
        events.iter().for_each(|(event, subject)| builder.push(event, *subject));
        builder.amend(SubjectNumber(subjects.len() as u32), Field::ProcessPid, &Value::Uint(1));
        let sealed = builder.seal(boundary());
        for (at, row) in late {
            let known = &mut subjects.get_mut(at).unwrap().row;
            row.iter().for_each(|(field, value)| known.set(field, value.clone()));
        }
        prop_assert_eq!(read(&sealed), (subjects, events));
    }

    #[test]
    fn any_bytes_are_answered(header in vec(any::<u8>(), 0..200), payload in vec(any::<u8>(), 0..300)) {
        let sealed = Sealed { header: header.into(), payload: payload.into() };
        prop_assert!(Batch::validate(&sealed).is_err());
    }
}
