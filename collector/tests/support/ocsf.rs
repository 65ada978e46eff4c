//! The schemas of OCSF's classes, and what else must be true of every record.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value as Json;

/// By `class_uid`.
static SCHEMAS: LazyLock<BTreeMap<u64, (String, Validator)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector/tests/ocsf/schema");
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "zst") {
            continue;
        }
        let text = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
        let mut schema: Json = serde_json::from_slice(&text).unwrap();
        close(&mut schema);
        let uid = schema["properties"]["class_uid"]["enum"][0].as_u64().unwrap();
        let title = schema["title"].as_str().unwrap().to_owned();
        schemas.insert(uid, (title, jsonschema::validator_for(&schema).unwrap()));
    }
    assert_eq!(schemas.len(), 14);
    schemas
});

/// Lets nothing be valid where a schema leads to a definition of OCSF's Windows extension, which it does not have.
fn close(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            let leads_out = |target: &str| target.starts_with("#/$defs/win/");
            if members.get("$ref").and_then(Json::as_str).is_some_and(leads_out) {
                *schema = Json::Bool(false);
            } else {
                members.values_mut().for_each(close);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What is wrong with a record; nothing, if it is as its class's schema wants it and its numbers fit each other.
pub fn wrong(record: &Json) -> Vec<String> {
    let number = |name: &str| record[name].as_u64().unwrap_or_default();
    let class = number("class_uid");
    let Some((title, schema)) = SCHEMAS.get(&class) else { return vec![format!("no class {class}")] };
    let mut wrong: Vec<String> =
        schema.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect();
    let mut expect = |what: &str, holds: bool| {
        if !holds {
            wrong.push(format!("{what}: {record}"));
        }
    };
    expect("type_uid", number("type_uid") == class * 100 + number("activity_id"));
    expect("category_uid", number("category_uid") == class / 1_000);
    expect("class_name", record["class_name"] == title.as_str());
    let activity = match number("activity_id") {
        99 => "Other",
        _ => record["activity_name"].as_str().unwrap_or_default(),
    };
    expect("type_name", record["type_name"] == format!("{title}: {activity}").as_str());
    expect("time and time_dt", is_same_time(&record["time"], &record["time_dt"]));
    deprecated("", record, &mut wrong);
    wrong
}

/// Panics with what is wrong with a record, if anything is.
pub fn check(record: &Json) {
    let wrong = wrong(record);
    assert!(wrong.is_empty(), "{wrong:#?}\n{record:#}");
}

fn is_same_time(ms: &Json, text: &Json) -> bool {
    let time: jiff::Timestamp = text.as_str().unwrap_or_default().parse().unwrap_or_default();
    ms.as_i64() == i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// Attributes that OCSF 1.8 has but says not to use any more, by the object that has them.
const DEPRECATED: &[(&str, &str)] = &[
    ("process", "lineage"),
    ("process", "tid"),
    ("parent_process", "lineage"),
    ("parent_process", "tid"),
    ("container", "tag"),
    ("image", "tag"),
    ("file", "signature"),
    ("user", "credential_uid"),
    ("device", "imei"),
    ("finding_info", "product_uid"),
    ("metadata", "extension"),
    ("attacks", "tactics"),
];

fn deprecated(at: &str, json: &Json, wrong: &mut Vec<String>) {
    match json {
        // What is unmapped is named by us.
        Json::Object(_) if at == "unmapped" => {}
        Json::Object(members) => {
            for (name, value) in members {
                if DEPRECATED.contains(&(at, name)) {
                    wrong.push(format!("{at}.{name} is deprecated"));
                }
                deprecated(name, value, wrong);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| deprecated(at, item, wrong)),
        _ => {}
    }
}
