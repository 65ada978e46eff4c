//! Records in ECS sort events by ECS's own words.

use serde_json::Value as Json;
use vedette_collector::record::Format;
use wire::event::{Kind, Row};

use crate::world::{json, of_one, records};

/// The types that ECS 8.17 expects of each category that is used:
/// <https://www.elastic.co/guide/en/ecs/8.17/ecs-allowed-values-event-category.html>.
const TYPES: &[(&str, &[&str])] = &[
    ("configuration", &["access", "change", "creation", "deletion", "info"]),
    ("driver", &["change", "end", "info", "start"]),
    ("file", &["access", "change", "creation", "deletion", "info"]),
    ("host", &["access", "change", "end", "info", "start"]),
    ("intrusion_detection", &["allowed", "denied", "info"]),
    ("library", &["start"]),
    ("network", &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]),
    ("process", &["access", "change", "end", "info", "start"]),
];

#[test]
fn every_kind_is_sorted_as_ecs_expects() {
    for kind in Kind::known().map(|info| info.kind).chain([Kind::new(7_000)]) {
        let record = json(&records(Format::Ecs, &of_one(kind, Row::default(), Row::default()))[0]);
        let event = &record["event"];
        assert!(matches!(event["kind"].as_str(), Some("event" | "alert")), "{event}");
        let categories = texts(&event["category"]);
        assert_eq!(categories.len(), 1, "{event}");
        let (_, types) = TYPES.iter().find(|(category, _)| *category == categories[0]).unwrap();
        assert!(texts(&event["type"]).iter().all(|one| types.contains(one)), "{kind}: {event}");
        assert_eq!(record["ecs"]["version"], "8.17.0");
        assert_eq!(record["process"]["pid"], 77);
    }
}

fn texts(json: &Json) -> Vec<&str> {
    json.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}
