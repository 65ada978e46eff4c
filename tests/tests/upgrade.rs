//! A sensor is replaced by one of another make while programs are run: each is found once, and the ledger knows of no loss.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tests::group::Group;
use tests::load::Load;
use tests::lone::LoneSensor;
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;

const N_EXECS: usize = 2_500;

/// Rings of another size are rings of another make: another version's programs need others, too.
fn start(sensor: &mut LoneSensor<'_>, ring_mb: &str) {
    sensor.start(&[("VEDETTE_SENSOR_PROCESS_RING_MB", ring_mb)]).unwrap();
}

#[test]
fn a_sensor_of_another_make_goes_on_where_the_one_before_was() {
    if !needs_root("a_sensor_of_another_make_goes_on_where_the_one_before_was") {
        return;
    }
    let (idle, group) = (Group::new("upgrade-idle").unwrap(), Group::new("upgrade").unwrap());
    let stack = Stack::up(&["--cgroup", idle.path().to_str().unwrap()]).unwrap();
    let mut sensor = LoneSensor::enroll(&stack, &group, "upgrade").unwrap();
    start(&mut sensor, "8");
    let started = format!("event.action:started and host.id:{}", sensor.id());
    stack.expect(&started, 1);
    let mut load = Load::start(&group, N_EXECS).unwrap();
    for (n, ring_mb) in [(1, "16"), (2, "8"), (3, "32")] {
        load.reached(600 * n);
        sensor.stop();
        start(&mut sensor, ring_mb);
        stack.expect(&started, n + 1);
    }
    let query = format!("{} and host.id:{}", load.end(&group), sensor.id());
    let found = until("every exec is found", Duration::from_secs(60), || {
        let found = stack.search(&query).unwrap();
        (found.len() >= N_EXECS).then_some(found)
    });
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &found {
        *times.entry(event.pointer("/process/args/1").and_then(Value::as_str).unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty() && times.len() == N_EXECS, "{} found, twice: {twice:?}", times.len());
    assert_eq!(sensor.lost(), Some(0), "{}", stack.logs());
    let reasons = stack.search(&started).unwrap();
    let upgraded = |event: &&Value| {
        event
            .pointer("/sensor/reason")
            .and_then(Value::as_str)
            .is_some_and(|why| why.starts_with("programs replaced"))
    };
    assert_eq!(reasons.iter().filter(upgraded).count(), 3, "{reasons:#?}");
    sensor.stop();
}
