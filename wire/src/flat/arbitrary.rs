//! Batches for property tests: small worlds, such as a hostile host may make them too.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::Outer;
use crate::batch::{Batch, Boundary, Builder};
use crate::event::{Event, Kind, Row};
use crate::field::{Field, Place};
use crate::id::{BootId, Epoch, HostId, Lane, ProcessKey};
use crate::ledger::Ledger;
use crate::query::arbitrary::{ADDRESSES, TEXTS};
use crate::subject::{Subject, SubjectNumber};
use crate::time::{BootTime, Clock, WallTime};
use crate::value::{FieldType, Value};

/// When the worlds' clocks stand at: 2023-11-14T22:13:20Z.
pub(crate) const NOW: WallTime = WallTime::from_unix_ns(1_700_000_000_000_000_000);

pub(crate) fn outer() -> impl Strategy<Value = Outer> {
    (text(), prop::collection::vec(text(), 0..2), 0u128..2).prop_map(|(host_name, host_tags, host)| Outer {
        host: HostId::new(Uuid::from_u128(host)),
        host_name,
        host_tags,
        received: NOW,
    })
}

pub(crate) fn batches() -> impl Strategy<Value = Batch> {
    let events =
        prop::collection::vec((kind(), row(Place::Event), 0u64..4, prop::option::of(0u32..6)), 0..12);
    // Parents may be any entries, even later ones: a host may claim cycles.
    let subjects = prop::collection::vec(
        (row(Place::Subject), 0u64..4, 0u32..4, prop::option::weighted(0.8, 0u32..6)),
        0..6,
    );
    let collection = prop::sample::select(vec![[0; 16], [0xab; 16]]);
    (subjects, events, prop_oneof![Just(0), Just(u64::MAX - 100)], collection).prop_map(
        |(subjects, events, first_seq, collection)| {
            let mut builder = Builder::new();
            let n = subjects.len() as u32;
            for (row, start, pid, parent) in subjects {
                builder.subject(&Subject {
                    key: ProcessKey { start: BootTime::from_ns(start), pid },
                    image: 0,
                    parent: parent.filter(|parent| *parent < n).map(SubjectNumber),
                    is_new: false,
                    row,
                });
            }
            for (kind, row, time, subject) in events {
                let event = Event { time: BootTime::from_ns(time * 1_000_000_000), kind, row };
                builder.push(&event, subject.filter(|subject| *subject < n).map(SubjectNumber));
            }
            let sealed = builder.seal(Boundary {
                epoch: Epoch::new(Uuid::from_u128(9)),
                lane: Lane::Bulk,
                first_seq,
                boot: BootId::new(Uuid::from_u128(8)),
                sealed: BootTime::from_ns(5_000_000_000),
                clock: Clock {
                    boot_to_wall_ns: NOW.unix_ns() - 2_000_000_000,
                    offset_ns: 1_000_000_000,
                    uncertainty_ns: 0,
                },
                ledger: Ledger::default(),
                collection,
            });
            Batch::open(&sealed).expect("a batch that was just built")
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::FORK,
        Kind::EXEC,
        Kind::EXIT,
        Kind::CONNECT,
        Kind::ACCEPT,
        Kind::CLOSE,
        Kind::SENSOR_LOSS,
        Kind::new(7),
    ])
}

fn row(place: Place) -> impl Strategy<Value = Row> {
    let fields: Vec<Field> = Field::ALL.iter().copied().filter(|field| field.place() == place).collect();
    // Now and then a column that does not belong there: a host claiming what is not its to say.
    let foreign = vec![Field::HostName, Field::ProcessName, Field::EventAction, Field::NetworkDirection];
    let common = COMMON.iter().copied().filter(|field| field.place() == place).collect::<Vec<_>>();
    let field = prop_oneof![
        8 => prop::sample::select(common),
        6 => prop::sample::select(fields),
        1 => prop::sample::select(foreign),
    ];
    prop::collection::vec(
        field.prop_flat_map(|field| value(field).prop_map(move |value| (field, value))),
        0..8,
    )
    .prop_map(|values| values.into_iter().fold(Row::default(), |row, (field, value)| row.with(field, value)))
}

fn value(field: Field) -> BoxedStrategy<Value> {
    match field.field_type() {
        FieldType::Keyword => text().prop_map(Value::Keyword).boxed(),
        FieldType::KeywordList => prop::collection::vec(text(), 0..4).prop_map(Value::List).boxed(),
        FieldType::Uint => {
            prop::sample::select(vec![0, 1, 2, 22, 443, u64::MAX]).prop_map(Value::Uint).boxed()
        }
        FieldType::Int => prop::sample::select(vec![-1, 0, 1, 137]).prop_map(Value::Int).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Ip => prop::sample::select(ADDRESSES)
            .prop_map(|text| Value::Ip(text.parse().unwrap_or([10, 0, 0, 1].into())))
            .boxed(),
        FieldType::Time => Just(Value::Time(NOW)).boxed(),
    }
}

fn text() -> impl Strategy<Value = Bytes> {
    let pieces = prop::collection::vec(prop::sample::select(TEXTS), 0..3);
    prop_oneof![
        4 => pieces.prop_map(|pieces| Bytes::from(pieces.concat())),
        1 => prop::sample::select(TEXTS).prop_map(Bytes::from_static),
    ]
}

const COMMON: &[Field] = &[
    Field::ProcessExecutable,
    Field::ProcessArgs,
    Field::ProcessUserId,
    Field::ProcessCapabilities,
    Field::DestinationIp,
    Field::SourceIp,
    Field::DestinationPort,
    Field::FilePath,
    Field::ProcessExitCode,
];
