//! A fleet moves to its next authority while it works, and nobody is enrolled again.

use vedette_collector::postgres::scratch;
use vedette_sensor::uplink::State;
use wire::authority::AuthorityId;

use crate::collector::Collector;
use crate::sensor::{Build, Sensor, until};

fn authority(collector: &Collector, name: &str) -> AuthorityId {
    let ran = collector.run(&["ca", "status", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    status[name].as_str().unwrap().parse().unwrap()
}

fn refused(collector: &Collector, words: &[&str], expected: &str) {
    let ran = collector.run(words);
    assert!(ran.code == 2 && ran.err.contains(expected), "{words:?}: {}{}", ran.out, ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fleet_moves_to_its_next_authority_and_nobody_is_enrolled_again() {
    let database = scratch::database().await;
    let a = Collector::start(Some(&database.url));
    let b = Collector::beside(&a);
    let old = authority(&a, "sha256");
    let mut of_a = Sensor::enroll(&[&a, &b], Build::Today).await;
    let mut of_b = Sensor::enroll(&[&b, &a], Build::Today).await;
    let mut asleep = Sensor::enroll(&[&a], Build::Today).await;
    let mut aged = Sensor::enroll(&[&b], Build::Before).await;
    for sensor in [&mut of_a, &mut of_b, &mut asleep, &mut aged] {
        sensor.ship("first", 3).await;
    }
    asleep.stop().await;
    refused(&a, &["ca", "rotate", "--finish"], "no rotation is under way");

    // Begun on one collector: both authorities are told of, and the old one goes on certifying.
    let begun = a.run(&["ca", "rotate"]);
    assert_eq!(begun.code, 0, "{}", begun.err);
    refused(&a, &["ca", "rotate"], "under way already");
    let next = authority(&a, "next_sha256");
    until("a host of the first collector trusts both", || of_a.identity().trusted_ids() == [old, next]).await;
    of_a.renew().await.unwrap();
    assert!(of_a.is_of(old), "the other collector would not take a certificate of the next one");
    let said = a.run(&["ca", "status"]).out;
    assert!(said.contains("LACKS THE NEXT ONE") && said.contains("4 hosts are left"), "{said}");
    refused(&a, &["ca", "rotate", "--finish"], "not hold the next authority");

    // Brought to the other one: hosts renew by themselves, and what they see meanwhile is stored.
    let thief = tempfile::tempdir().unwrap();
    for file in ["host.pem", "ca.pem", "collectors"] {
        std::fs::copy(of_b.folder().join(file), thief.path().join(file)).unwrap();
    }
    a.bring(&["ca-next.pem", "ca-next.key"], &b);
    until("the hosts that are awake have renewed", || of_a.is_of(next) && of_b.is_of(next)).await;
    for sensor in [&mut of_a, &mut of_b, &mut aged] {
        sensor.ship("second", 3).await;
    }
    let left = |collector: &Collector| -> serde_json::Value {
        let ran = collector.run(&["ca", "status", "--json"]);
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["hosts_left"].clone()
    };
    until("two hosts are left", || left(&a).as_array().unwrap().len() == 2).await;
    let why: Vec<_> = left(&a).as_array().unwrap().iter().map(|host| host["why"].to_string()).collect();
    assert!(why.iter().any(|why| why.contains("update it")), "{why:?}");
    refused(&a, &["ca", "rotate", "--finish"], "2 hosts are left");
    refused(&a, &["ca", "rotate", "--finish", "--force", "7"], "not 7 as --force says");
    let wrong = a.status()["wrong"].to_string();
    assert!(wrong.contains("2 hosts are left on the old one"), "{wrong}");

    // A host that slept wakes up and follows; one that cannot is given up.
    asleep.start();
    until("it has woken up and renewed", || asleep.is_of(next)).await;
    let copy_of_both = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(a.folder().join("ca.pem"), copy_of_both.path()).unwrap();
    until("one host is left", || left(&a).as_array().unwrap().len() == 1).await;
    let done = a.run(&["ca", "rotate", "--finish", "--force", "1"]);
    assert_eq!(done.code, 0, "{}", done.err);

    // Half way: one collector is certified by each.
    until("the first collector is certified by the next one", || {
        a.status()["authority"]["sha256"] == next.to_string()
    })
    .await;
    for sensor in [&mut of_a, &mut of_b] {
        sensor.stop().await;
        sensor.start();
        sensor.ship("third", 3).await;
    }
    let ran = tests::stack::vedette(a.home()).arg("status").env("VEDETTE_CA", copy_of_both.path()).output();
    assert!(ran.unwrap().status.success(), "a copy of ca.pem with both goes on working");
    assert_eq!(b.run(&["ca", "rotate", "--finish", "--force", "1"]).code, 0);
    until("the hosts have forgotten the old one", || {
        [&of_a, &of_b, &asleep].iter().all(|sensor| sensor.identity().trusted_ids() == [next])
    })
    .await;
    for sensor in [&mut of_a, &mut of_b, &mut asleep] {
        sensor.ship("last", 3).await;
        assert!(matches!(sensor.state(), State::Up { .. }));
    }
    // What the old one had certified counts no more, wherever it was copied to.
    let stolen = vedette_sensor::identity::Identity::load(thief.path()).unwrap();
    let refused = crate::handshake::outcome(&b.address(), &stolen).await;
    assert!(refused.is_err(), "{refused:?}");
    let mut new = Sensor::enroll(&[&b], Build::Today).await;
    new.ship("new", 1).await;
    for (marker, n) in [("first", 12), ("second", 9), ("third", 6), ("last", 9), ("new", 1)] {
        a.expect(marker, n);
    }
    let audit = a.json(&["audit", "--output", "json"]);
    let told = |action: &str| audit.iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((told("ca.rotate"), told("ca.rotated")), (2, 2), "{audit:?}");
    assert_eq!(a.run(&["ca", "status"]).out.matches("holds it").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_collector_that_starts_anew_goes_on_with_the_rotation() {
    let database = scratch::database().await;
    let mut collector = Collector::start(Some(&database.url));
    let mut sensor = Sensor::enroll(&[&collector], Build::Today).await;
    sensor.ship("before", 2).await;
    assert_eq!(collector.run(&["ca", "rotate"]).code, 0);
    let next = authority(&collector, "next_sha256");
    collector.down();
    collector.up();
    until("the host has renewed", || sensor.is_of(next)).await;
    // Killed between two steps of the end: the key was replaced, and nothing else.
    collector.down();
    let folder = collector.folder();
    std::fs::copy(folder.join("ca-next.key"), folder.join("ca.key")).unwrap();
    collector.up();
    assert!(!folder.join("ca-next.key").exists(), "the rest is done at the start");
    assert_eq!(authority(&collector, "sha256"), next);
    sensor.ship("after", 2).await;
    collector.expect("after", 2);
}
