//! The whole product beside a real Apache Kafka: what a search returns is what Kafka has.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "../../collector/tests/support/ocsf.rs"]
mod ocsf;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rand::Rng as _;
use serde_json::Value;
use tests::group::Group;
use tests::kafka::{Broker, Read, assert_order, needs_kafka};
use tests::site::Site;
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;
use wire::id::EventId;

/// What Kafka has of events, by id; each stream of a topic is in its order but for what came again.
fn by_id(read: &[Read]) -> BTreeMap<String, &Read> {
    let events = read.iter().filter(|record| !record.header("ce_type").starts_with("vedette.finding."));
    assert_order(events.clone().map(|record| {
        let id: EventId = record.id().parse().unwrap_or_else(|e| panic!("{e}: {record:?}"));
        (record.header("ce_type").split('.').nth(1), id)
    }));
    events.map(|record| (record.id().to_owned(), record)).collect()
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["event"]["id"].as_str().unwrap().to_owned()).collect()
}

fn same(searched: &BTreeSet<String>, read: &BTreeMap<String, &Read>) {
    let missing: Vec<_> = searched.iter().filter(|id| !read.contains_key(*id)).take(5).collect();
    let strange: Vec<_> = read.keys().filter(|id| !searched.contains(*id)).take(5).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing {missing:?}, strange {strange:?}");
}

#[test]
fn what_a_host_does_is_in_kafka_under_the_ids_that_a_search_returns() {
    let name = "what_a_host_does_is_in_kafka_under_the_ids_that_a_search_returns";
    if !needs_root(name) || !needs_kafka(name) {
        return;
    }
    let broker = Broker::start(&[]);
    let group = Group::new("kafka").unwrap();
    let address = broker.address();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap(), "--kafka", &address]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    let script = format!(
        "for n in 1 2 3 4 5; do /bin/true $n; done; echo x >'{0}'; cat '{0}' >/dev/null; rm '{0}'; exec 3<>/dev/tcp/127.0.0.1/{1}",
        file.display(),
        stack.port()
    );
    assert!(group.command("/bin/bash").args(["-c", &script]).status().unwrap().success());
    stack.expect("event.action:exec and process.name:true", 5);
    stack.expect("event.action:connect", 1);
    let status = || stack.json(&["status", "--output", "json"]).ok()?.into_iter().next();
    let caught_up = || status().filter(|status| status["kafka"]["watermark"] == "caught up");
    until("everything is exported", Duration::from_secs(40), caught_up);
    // Nothing more is stored; then what the search returns and what Kafka has are the same.
    let down = stack.vedette(&["down"]).unwrap();
    assert_eq!(down.code, 0, "{}", down.err);
    let read = broker.read("vedette.*");
    // All of it is as OCSF's schemas want it.
    let classes: BTreeSet<&str> =
        read.iter().filter_map(|record| record.value["class_name"].as_str()).collect();
    println!("{} records of {classes:?}", read.len());
    assert!(classes.len() >= 4, "{classes:?}");
    read.iter().for_each(|record| ocsf::check(&record.value));
    let read = by_id(&read);
    for (id, record) in &read {
        assert_eq!(record.value["metadata"]["uid"], id.as_str(), "{record:?}");
    }
    stack.again(&["--no-sensor", "--kafka", &address]).unwrap();
    let searched = ids(&stack.search("").unwrap());
    assert!(searched.len() > 20, "{}", searched.len());
    same(&searched, &read);
    // Started again, it sends nothing twice.
    until("everything is exported", Duration::from_secs(40), caught_up);
    assert_eq!(broker.read("vedette.*").len(), read.len());
    // And by hand, under the same ids.
    let ran = stack.vedette(&["export", "event.action:exec", "--since", "1h", "--to", "kafka"]).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let again = broker.read("vedette.*");
    assert!(again.len() > read.len());
    same(&searched, &by_id(&again));
    // Into files there is a row for each, and what is there already is not written over.
    let (lines, table) = (folder.path().join("e.ndjson"), folder.path().join("e.parquet"));
    let export = |file: &Path, to| {
        let file = file.to_str().unwrap();
        stack.vedette(&["export", "", file, "--since", "1h", "--format", "native", "--to", to]).unwrap()
    };
    for (file, to) in [(&lines, "ndjson"), (&table, "parquet")] {
        let ran = export(file, to);
        assert!(ran.code == 0 && ran.err.contains(&format!("{} events", searched.len())), "{}", ran.err);
        let ran = export(file, to);
        assert!(ran.code != 0 && ran.err.contains("is there already"), "{}", ran.err);
    }
    let lines = std::fs::read_to_string(lines).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&lines), searched);
    let table = std::fs::read(table).unwrap();
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"), "{} bytes", table.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left there");
}

#[test]
fn collectors_may_be_killed_at_any_moment() {
    let name = "collectors_may_be_killed_at_any_moment";
    if !needs_kafka(name) {
        return;
    }
    let broker = Broker::start(&[]);
    let variables = [
        ("VEDETTE_COLLECTOR_KAFKA__BOOTSTRAP", broker.address()),
        ("VEDETTE_COLLECTOR_KAFKA__CREATE_TOPICS", "true".to_owned()),
        ("VEDETTE_COLLECTOR_KAFKA__FORMAT", "native".to_owned()),
    ];
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut site = Site::start_with(3, rand::random(), &variables).unwrap();
    site.begin_round().unwrap();
    site.wait_until_going().unwrap();
    let n_kills = if std::env::var_os("VEDETTE_SOAK").is_some() { 60 } else { 5 };
    for n in 0..n_kills {
        let pause = Duration::from_millis(site.random.random_range(300..2_500));
        tests::site::pace::lasts(pause);
        let collector = &mut site.collectors[n % 2];
        collector.program.kill();
        collector.program.start().unwrap();
        collector.wait_until_ready().unwrap();
    }
    site.end_round().unwrap();
    let status = || site.json(&["status", "--output", "json"]).ok()?.into_iter().next();
    // The leases of those that were killed run out first.
    until("everything is exported", Duration::from_secs(60), || {
        status().filter(|status| status["kafka"]["events_behind"] == 0)
    });
    let found =
        site.json(&["search", "", "--since", "1h", "--limit", "1000000", "--output", "json"]).unwrap();
    let searched = ids(&found);
    let read = broker.read("vedette.*");
    same(&searched, &by_id(&read));
    println!("{} events, {} of them came twice", searched.len(), read.len() - searched.len());
}
