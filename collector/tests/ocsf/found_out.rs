//! What is wrong with a record is found out.

use serde_json::Value as Json;

use crate::schema::{check, wrong};

#[test]
fn a_record_that_is_wrong_is_found_out() {
    let good = crate::world::records(vedette_collector::record::Format::Ocsf, &crate::examples::batch());
    let good = crate::world::json(&good[0]);
    check(&good);
    for (name, value) in [
        ("type_uid", Json::from(100_702)),
        ("category_uid", Json::from(3)),
        ("surprise", Json::from(true)),
        ("activity_id", Json::from(57)),
        ("time_dt", Json::from("2023-11-14T22:13:30Z")),
        ("device", serde_json::json!({})),
        ("process", serde_json::json!({ "pid": 1, "lineage": [] })),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(!wrong(&bad).is_empty(), "{name} was not found out");
    }
}
