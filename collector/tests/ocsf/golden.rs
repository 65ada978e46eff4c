//! The records of the examples, as they were: one file a class, and one for ECS. `UPDATE_GOLDEN=1` writes them anew; the difference is to
//! be read.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;
use vedette_collector::record::Format;

use crate::examples;
use crate::world::{json, records};

#[test]
fn the_records_of_every_class_are_as_they_were() {
    let mut classes: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for record in records(Format::Ocsf, &examples::batch()) {
        let json = json(&record);
        let name = json["class_name"].as_str().unwrap().to_lowercase().replace(' ', "_");
        classes.entry(format!("{}_{name}", json["class_uid"])).or_default().push(json);
    }
    assert_eq!(classes.len(), 10);
    for (name, records) in classes {
        check(&name, &records);
    }
}

#[test]
fn the_records_in_ecs_are_as_they_were() {
    // The first of every group: the tables are the same for all.
    let mut groups = BTreeMap::new();
    for record in records(Format::Ecs, &examples::batch()) {
        groups.entry(record.group).or_insert_with(|| json(&record));
    }
    check("ecs", &groups.into_values().collect::<Vec<_>>());
}

fn check(name: &str, records: &[Json]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/ocsf/golden/{name}.json"));
    let mut text = serde_json::to_string_pretty(records).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{} is not what is written now; run again with UPDATE_GOLDEN=1 and read the difference",
        path.display()
    );
}
