//! A host is revoked by one collector, and cut off by all.

use std::time::{Duration, Instant};

use vedette_collector::postgres::scratch;
use vedette_sensor::uplink::State;

use crate::collector::Collector;
use crate::sensor::{Build, Sensor};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_is_revoked_is_cut_off_everywhere_within_five_seconds() {
    let database = scratch::database().await;
    let here = Collector::start(Some(&database.url));
    let there = Collector::beside(&here);
    let mut healthy = Sensor::enroll(&[&there], Build::Today).await;
    let mut near = Sensor::enroll(&[&here], Build::Today).await;
    let mut far = Sensor::enroll(&[&there], Build::Today).await;
    for sensor in [&mut healthy, &mut near, &mut far] {
        sensor.ship("before", 5).await;
    }
    let state_of = |id: &str| {
        let hosts = here.json(&["hosts", "--output", "json"]);
        let host = hosts.iter().find(|host| host["host"]["id"] == id).unwrap();
        host["state"].as_str().unwrap().to_owned()
    };
    let far_id = far.host.to_string();
    crate::sensor::until("all are connected", || state_of(&far_id) == "connected").await;

    let asked = here.vedette(&["hosts", "revoke", &far_id]);
    assert!(asked.code == 2 && asked.err.contains("--yes"), "{}", asked.err);
    assert!(matches!(far.state(), State::Up { .. }), "nobody has said yes");
    for sensor in [&near, &far] {
        let revoked = Instant::now();
        let ran = here.vedette(&["hosts", "revoke", &sensor.host.to_string(), "--yes"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        sensor.down_for("revoked").await;
        assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    }
    assert_eq!(state_of(&far_id), "revoked");
    let again = here.vedette(&["hosts", "revoke", &far_id, "--yes"]);
    assert!(again.code == 0 && again.out.contains("already"), "{}{}", again.out, again.err);
    let nobody = here.vedette(&["hosts", "revoke", "nobody", "--yes"]);
    assert_eq!(nobody.code, 1, "{}", nobody.err);
    let refused = far.renew().await.unwrap_err();
    assert!(refused.contains("revoked"), "{refused}");
    let audit = here.json(&["audit", "--output", "json"]);
    let entries = audit.iter().filter(|entry| entry["action"] == "host.revoke");
    assert_eq!(entries.count(), 2, "{audit:?}");

    healthy.ship("after", 5).await;
    here.expect("after", 5);
    here.expect("before", 15);
}
