//! A collector is lost and comes back out of a backup: sensors return by themselves, and it says what is missing.

use serde_json::Value;

use crate::collector::Collector;
use crate::sensor::{Build, Sensor, until};

fn restored(collector: &Collector, name: &str) -> Value {
    collector.status()["restored"][name].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restored_collector_takes_up_its_sensors_and_says_what_is_missing() {
    let mut collector = Collector::start(None);
    let mut steady = Sensor::enroll(&[&collector], Build::Today).await;
    let mut restarted = Sensor::enroll(&[&collector], Build::Today).await;
    let mut quiet = Sensor::enroll(&[&collector], Build::Today).await;
    for sensor in [&mut steady, &mut restarted, &mut quiet] {
        sensor.ship("before", 50).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.tar");
    let made = collector.vedette(&["backup", "--out", file.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777, 0o600);
    let twice = collector.vedette(&["backup", "--out", file.to_str().unwrap()]);
    assert!(twice.code == 2 && twice.err.contains("exists already"), "{}", twice.err);

    // What the backup will not know: events, a sensor that began anew, a certificate, and a host.
    steady.ship("gone", 30).await;
    steady.renew().await.unwrap();
    restarted.ship("gone", 3).await;
    restarted.begin_anew();
    restarted.ship("gone", 4).await;
    let mut late = Sensor::enroll(&[&collector], Build::Today).await;
    late.ship("gone", 5).await;

    let running = collector.vedette(&["restore", file.to_str().unwrap()]);
    assert!(running.code == 2 && running.err.contains("running already"), "{}", running.err);
    collector.down();
    let occupied = collector.vedette(&["restore", file.to_str().unwrap()]);
    assert!(occupied.code == 2 && occupied.err.contains("--force-replace"), "{}", occupied.err);
    collector.destroy();
    for sensor in [&mut steady, &mut late] {
        sensor.tell("meanwhile", 20);
    }
    let mut damaged = std::fs::read(&file).unwrap();
    damaged[5_000] ^= 1;
    let bad = folder.path().join("damaged.tar");
    std::fs::write(&bad, damaged).unwrap();
    let refused = collector.vedette(&["restore", bad.to_str().unwrap()]);
    assert!(refused.code == 2 && refused.err.contains("nothing was touched"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(collector.home()).unwrap().count(), 0, "nothing was touched");

    let done = collector.vedette(&["restore", file.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    collector.up();
    for sensor in [&mut steady, &mut late, &mut restarted, &mut quiet] {
        sensor.acknowledged().await;
        sensor.ship("after", 10).await;
    }
    for (marker, n) in [("before", 150), ("meanwhile", 40), ("after", 40)] {
        collector.expect(marker, n);
    }
    assert_eq!(collector.found("gone"), (0, 0));

    // 30 of the steady one, 4 of the new epoch, 5 of the late host; 3 before the new epoch, which nobody can count.
    until("everything that is missing is known", || restored(&collector, "events_missing") == 39).await;
    assert_eq!(restored(&collector, "streams_of_unknown_end"), 1);
    until("all are heard of", || restored(&collector, "hosts_not_heard_since") == 0).await;
    let wrong = collector.status()["wrong"].to_string();
    assert!(wrong.contains("39 events of 3 hosts that were stored since are missing"), "{wrong}");
    let missing = |sensor: &Sensor| -> Vec<Value> {
        let shown =
            collector.json(&["hosts", "show", &sensor.host.to_string(), "--output", "json"]).remove(0);
        shown["missing"].as_array().cloned().unwrap_or_default()
    };
    let [stretch] = &missing(&steady)[..] else { panic!("{:?}", missing(&steady)) };
    assert_eq!(
        (&stretch["first_sequence"], &stretch["next_sequence"], &stretch["lane"]),
        (&Value::from(50), &Value::from(80), &Value::from("bulk")),
    );
    assert!(stretch["since"].as_str() < stretch["until"].as_str(), "{stretch}");
    assert_eq!(missing(&quiet), Vec::<Value>::new());
    let of_restarted = missing(&restarted);
    assert_eq!(of_restarted.iter().map(|m| m["events"].clone()).collect::<Vec<_>>(), [Value::Null, 4.into()]);
    let shown = collector.vedette(&["hosts", "show", &steady.host.to_string()]);
    assert!(shown.out.contains("Missing since the store was restored"), "{}", shown.out);
    // A residue would say that something vanished without a trace.
    for sensor in [&steady, &restarted, &quiet, &late] {
        let shown =
            collector.json(&["hosts", "show", &sensor.host.to_string(), "--output", "json"]).remove(0);
        let residues: Vec<_> =
            shown["streams"].as_array().unwrap().iter().map(|stream| stream["residue"].clone()).collect();
        assert!(residues.iter().all(|residue| *residue == 0), "{shown}");
    }
    // Certificates made after the backup, which the store does not know, still renew; once.
    for sensor in [&mut steady, &mut late, &mut quiet] {
        sensor.renew().await.unwrap();
        sensor.renew().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_replaces_what_is_there_only_when_that_is_said() {
    let mut first = Collector::start(None);
    let mut sensor = Sensor::enroll(&[&first], Build::Today).await;
    sensor.ship("first", 5).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("first.tar");
    assert_eq!(first.vedette(&["backup", "--out", file.to_str().unwrap()]).code, 0);
    let listed = first.vedette(&["backup"]);
    let default = listed.out.trim();
    assert!(default.starts_with(first.home().join("backup").to_str().unwrap()), "{default} {}", listed.err);
    let mut second = Collector::start(None);
    let fingerprint = |collector: &Collector| collector.enroll_token().1;
    assert_ne!(fingerprint(&first), fingerprint(&second));
    second.down();
    assert_eq!(second.vedette(&["restore", file.to_str().unwrap()]).code, 2);
    let forced = second.vedette(&["restore", "--force-replace", file.to_str().unwrap()]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    second.up();
    assert_eq!(fingerprint(&first), fingerprint(&second));
    second.expect("first", 5);
    first.down();
}
