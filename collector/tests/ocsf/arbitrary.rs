//! Batches such as a hostile host may make: any kinds, any fields, any bytes, any parents.

use bytes::Bytes;
use proptest::prelude::*;
use wire::batch::{Batch, Builder};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::subject::SubjectNumber;
use wire::time::WallTime;
use wire::value::{FieldType, Value};

use crate::world::{event, process, seal};

/// A batch, told in a few words where a test fails.
pub(crate) struct MadeUp(pub(crate) Batch);

impl std::fmt::Debug for MadeUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let events = (0..self.0.n_events()).map(|number| self.0.event(number));
        f.debug_list().entries(events).finish()
    }
}

pub(crate) fn batches() -> impl Strategy<Value = MadeUp> {
    let events = prop::collection::vec((kind_and_row(), prop::option::weighted(0.8, 0u32..4)), 1..12);
    let subjects = prop::collection::vec((row(Field::ALL), prop::option::weighted(0.7, 0u32..4)), 0..4);
    (subjects, events).prop_map(|(subjects, events)| {
        let mut builder = Builder::new();
        let n = subjects.len() as u32;
        let within = |number: Option<u32>| number.filter(|number| *number < n).map(SubjectNumber);
        for (at, (row, parent)) in subjects.into_iter().enumerate() {
            builder.subject(&process(at as u64, at as u32, within(parent), row));
        }
        for ((kind, row), subject) in events {
            builder.push(&event(kind, row), within(subject));
        }
        MadeUp(seal(&mut builder))
    })
}

/// A kind, mostly with its own columns.
fn kind_and_row() -> impl Strategy<Value = (Kind, Row)> {
    let known: Vec<Kind> = Kind::known().map(|info| info.kind).filter(|kind| !kind.is_call()).collect();
    let kinds = prop_oneof![
        8 => prop::sample::select(known),
        1 => (512u16..1_600).prop_map(Kind::new),
        1 => any::<u16>().prop_map(Kind::new),
    ];
    kinds.prop_flat_map(|kind| {
        let own = kind.info().map(|info| info.columns).filter(|columns| !columns.is_empty());
        prop_oneof![4 => row(own.unwrap_or(Field::ALL)), 1 => row(Field::ALL)]
            .prop_map(move |row| (kind, row))
    })
}

fn row(fields: &'static [Field]) -> impl Strategy<Value = Row> {
    let value =
        prop::sample::select(fields).prop_flat_map(|field| value(field).prop_map(move |v| (field, v)));
    prop::collection::vec(value, 0..24)
        .prop_map(|values| values.into_iter().fold(Row::default(), |row, (field, v)| row.with(field, v)))
}

fn value(field: Field) -> BoxedStrategy<Value> {
    match field.field_type() {
        FieldType::Keyword => text().prop_map(Value::Keyword).boxed(),
        FieldType::KeywordList => prop::collection::vec(text(), 0..4).prop_map(Value::List).boxed(),
        FieldType::Uint => prop_oneof![0u64..300, any::<u64>()].prop_map(Value::Uint).boxed(),
        FieldType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Ip => prop_oneof![
            any::<[u8; 4]>().prop_map(|octets| Value::Ip(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| Value::Ip(octets.into())),
        ]
        .boxed(),
        FieldType::Time => any::<i64>().prop_map(|ns| Value::Time(WallTime::from_unix_ns(ns))).boxed(),
    }
}

fn text() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        3 => prop::sample::select(&[
            "", "/", "//", "/a/", "success", "failure", "inbound", "outbound", "tcp", "regular", "NOERROR", "QUERY", "denied",
            "ECONNREFUSED", "read", "\"", "\\", "\u{0}\u{1f}", "é漢\u{2028}", " ",
        ][..]).prop_map(|text: &str| Bytes::from(text.to_owned())),
        2 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from),
    ]
}
