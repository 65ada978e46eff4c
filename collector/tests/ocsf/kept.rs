//! Nothing is lost: what the search shows of an event is in its record.

use serde_json::Value as Json;
use vedette_collector::record::Format;
use wire::event::FlatEvent;
use wire::field::Field;
use wire::flat::flatten;
use wire::value::Value;

use crate::examples;
use crate::world::{json, outer, records};

/// Texts that OCSF and ECS have words or numbers of their own for.
const TRANSLATED: &[Field] = &[
    Field::EventOutcome,
    Field::FileType,
    Field::NetworkDirection,
    Field::NetworkType,
    Field::DnsOpCode,
    Field::DnsResponseCode,
    // Stands beside its category.
    Field::EventAction,
    Field::EventCategory,
];

#[test]
fn every_value_of_every_example_is_in_its_records() {
    let batch = examples::batch();
    for format in [Format::Ocsf, Format::Ecs] {
        for (number, record) in (0..).zip(records(format, &batch)) {
            let flat = flatten(&batch, &outer(), number).unwrap().unwrap();
            let mut leaves = Vec::new();
            collect(&json(&record), &mut leaves);
            for (field, value) in flat.row.iter().filter(|(field, _)| !TRANSLATED.contains(field)) {
                for shown in shown(field, value) {
                    assert!(
                        shown.iter().any(|one| leaves.contains(one)),
                        "{format}: {field} of {} is not there: {shown:?}",
                        record.class
                    );
                }
            }
        }
    }
}

#[test]
fn our_own_json_is_what_the_search_prints() {
    let batch = examples::batch();
    for (number, record) in (0..).zip(records(Format::Native, &batch)) {
        let flat = flatten(&batch, &outer(), number).unwrap().unwrap();
        assert_eq!(json(&record), flat.to_json());
        let text = |field: Field| match flat.row.get(field) {
            Some(Value::Keyword(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        assert_eq!(record.id, text(Field::EventId));
        assert_eq!(record.key.to_string(), text(Field::HostId));
        assert_eq!(flat.row.get(Field::Timestamp), Some(&Value::Time(record.time)));
    }
}

/// The leaves as they may stand there, for each item of the value.
fn shown(field: Field, value: &Value) -> Vec<Vec<Json>> {
    let mut alone = FlatEvent::default();
    alone.row.set(field, value.clone());
    let mut plain = Vec::new();
    collect(&alone.to_json(), &mut plain);
    let plain = plain.into_iter().filter(|leaf| leaf.as_str() != Some(field.name()));
    match value {
        Value::Uint(mask) if field == Field::ProcessCapabilities => {
            let names = plain.clone().map(|name| vec![name, Json::from(format!("{mask:#x}"))]);
            names.collect()
        }
        Value::Uint(number) => {
            let forms = [format!("{number}"), format!("{number:04o}"), format!("{number:#x}")];
            vec![plain.chain(forms.map(Json::from)).collect()]
        }
        // A command line tells them.
        Value::List(_) if field == Field::ProcessArgs => Vec::new(),
        _ => plain.map(|leaf| vec![leaf]).collect(),
    }
}

fn collect(json: &Json, leaves: &mut Vec<Json>) {
    match json {
        Json::Object(members) => members.values().for_each(|value| collect(value, leaves)),
        Json::Array(items) => items.iter().for_each(|item| collect(item, leaves)),
        leaf => leaves.push(leaf.clone()),
    }
}
