//! `docs/ocsf.md` says what the code does. `UPDATE_DOCS=1` writes its tables anew.

use std::path::Path;

use serde_json::Value as Json;
use vedette_collector::ocsf::class::Class;
use vedette_collector::ocsf::reference;
use vedette_collector::record::Format;

use crate::examples;
use crate::world::{json, records};

#[test]
fn the_reference_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ocsf.md");
    let (mut found, expected) = (std::fs::read_to_string(&path).unwrap(), generated());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (before, _) = found.split_once(reference::HEADING).unwrap();
        found = format!("{before}{expected}");
        std::fs::write(&path, &found).unwrap();
    }
    let (_, tables) = found.split_once(reference::HEADING).unwrap();
    assert!(
        expected == format!("{}{tables}", reference::HEADING),
        "docs/ocsf.md is not what the tables say: run again with UPDATE_DOCS=1"
    );
}

#[test]
fn every_attribute_of_the_reference_has_an_example() {
    let text = generated();
    // No sensor tells a verdict yet.
    let without = text.lines().filter(|line| line.ends_with("|  |") && !line.contains("`rule."));
    assert_eq!(without.collect::<Vec<_>>(), [] as [&str; 0]);
}

fn generated() -> String {
    let records: Vec<Json> = records(Format::Ocsf, &examples::batch()).iter().map(json).collect();
    reference::text(&|class: Option<&Class>, path: &str| {
        let of_class = |record: &&Json| class.is_none_or(|class| record["class_uid"] == class.uid);
        records.iter().filter(of_class).find_map(|record| at(record, path)).map(|value| value.to_string())
    })
}

/// The value at a path such as `file.hashes[].value`: of a list the first item that has it. Our own names have dots themselves.
fn at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    if let Some(value) = json.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    match first.strip_suffix("[]") {
        Some(name) => json.get(name)?.as_array()?.iter().find_map(|item| at(item, rest)),
        None => at(json.get(first)?, rest),
    }
}
