//! Ledgers that do not add up, and streams that leave something out: found once, where it appears, and shown.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod api;
mod support;

use api::Api;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use support::{Ingest, count, host_id, wall_clock};
use uuid::Uuid;
use vedette_collector::access::Role;
use vedette_collector::listener::{Item, Outcome};
use vedette_collector::postgres::scratch;
use vedette_collector::retention;
use vedette_collector::store::hosts::{self, NewHost};
use vedette_collector::store::{Stamp, findings};
use wire::batch::{Boundary, Builder, Sealed};
use wire::enrolment::HostFacts;
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{BootId, Epoch, Lane, StreamId};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock};

/// Each host has an epoch of its own, as epochs are random.
fn epoch_of(n: u64) -> Epoch {
    Epoch::new(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

fn of(n: u64) -> StreamId {
    StreamId { host: host_id(n), epoch: epoch_of(n), lane: Lane::Bulk }
}

/// A batch of 10 events from `first_seq` on, with this ledger.
fn batch(n: u64, first_seq: u64, ledger: Ledger) -> Item {
    let mut builder = Builder::new();
    for n in 0..10 {
        let row = Row::default().with(Field::FilePath, "/etc/passwd");
        builder.push(&Event { time: BootTime::from_ns(1_000 + n), kind: Kind::FILE_OPEN, row }, None);
    }
    let sealed: Sealed = builder.seal(Boundary {
        epoch: epoch_of(n),
        lane: Lane::Bulk,
        first_seq,
        boot: BootId::new(Uuid::from_u128(1)),
        sealed: BootTime::from_ns(2_000),
        clock: Clock { boot_to_wall_ns: wall_clock().unix_ns(), offset_ns: 0, uncertainty_ns: 0 },
        ledger,
        collection: [0; 16],
    });
    Item::Batch { first_seq, n_events: 10, sealed }
}

async fn enroll(api: &Api, n: u64, name: &str) {
    let facts = HostFacts {
        name: name.into(),
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
        sensor_version: "0.1.0".into(),
        boot: None,
    };
    let now = api.now();
    let host =
        NewHost { id: host_id(n), facts: &facts, tags: &[], serial: [0; 16], certified_until: now, now };
    hosts::enroll(&api.pool, host).await.unwrap();
}

async fn get(api: &Api, token: &str, path: &str) -> Value {
    let (status, body) = api.call(Method::GET, path, Some(token), None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_residue_is_found_once_where_it_appears_and_everyone_sees_it() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let api = Api::over(db.pool.clone(), ingest.committed.clone()).await;
    let viewer = api.token(Role::Viewer).await;
    enroll(&api, 1, "web-1").await;
    enroll(&api, 2, "web-2").await;
    // What was merged, lost and dropped explains the rest, until 3 are missing; later 2 more are there than were made.
    let residues = [0, 0, 3, 3, 3, -2, -2];
    for (n, residue) in residues.into_iter().enumerate() {
        let first_seq = n as u64 * 10;
        let explained = first_seq + 10 + 4 + 2 + 1;
        let ledger = Ledger {
            generated: explained.checked_add_signed(residue).unwrap(),
            merged: 4,
            lost: 2,
            dropped: 1,
        };
        // Some alone in their commit, some together.
        let first = ingest.send(of(1), batch(1, first_seq, ledger)).await;
        let outcome = first.await.unwrap();
        assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    }
    let honest = Ledger { generated: 10, ..Ledger::default() };
    ingest.send(of(2), batch(2, 0, honest)).await.await.unwrap();

    let found = get(&api, &viewer, "/api/v1/findings").await["findings"].as_array().unwrap().clone();
    let mut ranges: Vec<_> = found
        .iter()
        .map(|finding| {
            let evidence = &finding["evidence"];
            assert_eq!(
                (&finding["kind"], &finding["n"], &finding["host"]["name"]),
                (&"residue".into(), &1.into(), &"web-1".into())
            );
            let both =
                ["first_seq", "end_seq", "residue", "generated"].map(|name| evidence[name].as_i64().unwrap());
            let right = ["stored_shed_or_rejected", "merged", "lost", "dropped"]
                .map(|name| evidence[name].as_i64().unwrap());
            assert_eq!(both[3] - right.iter().sum::<i64>(), both[2], "both sides are told: {evidence}");
            (both[0], both[1], both[2])
        })
        .collect();
    ranges.sort_unstable();
    assert_eq!(ranges, [(20, 30, 3), (50, 60, -2)]);

    let shown = get(&api, &viewer, "/api/v1/hosts/web-1").await;
    assert_eq!(shown["findings"].as_array().unwrap().len(), 2);
    assert_eq!(shown["ledger"]["residue"], -2, "{shown}");
    let clean = get(&api, &viewer, "/api/v1/hosts/web-2").await;
    assert_eq!((&clean["findings"], &clean["ledger"]["residue"]), (&Value::Array(vec![]), &0.into()));
    let only = get(&api, &viewer, "/api/v1/findings?host=web-2").await;
    assert_eq!(only["findings"].as_array().unwrap().len(), 0);
    let status = get(&api, &viewer, "/api/v1/status").await;
    let wrong: Vec<_> =
        status["wrong"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let about: Vec<_> = wrong.iter().filter(|line| line.contains("does not add up: ")).collect();
    assert!(about.iter().any(|line| line.starts_with("web-1: ") && line.contains("residue 3")), "{wrong:?}");
    assert!(status["ledger"]["bulk_live"].as_str().unwrap().contains("+ -2 residue"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_makes_up_residues_and_counters_harms_nobody() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let api = Api::over(db.pool.clone(), ingest.committed.clone()).await;
    let viewer = api.token(Role::Viewer).await;
    enroll(&api, 1, "hostile").await;
    let n_batches = findings::MAX_OF_KIND as u64 + 20;
    for n in 0..n_batches {
        // Another residue each time, and numbers that no sum holds.
        let ledger = Ledger { generated: u64::MAX - n, merged: 0, lost: n << 40, dropped: u64::MAX / 2 };
        let answer = ingest.send(of(1), batch(1, n * 10, ledger)).await;
        assert!(matches!(answer.await.unwrap(), Outcome::Stored { .. }));
    }
    let others = "select n from finding where about = 'others'";
    assert_eq!(count(&db.pool, "select count(*) from finding").await, findings::MAX_OF_KIND + 1);
    assert_eq!(count(&db.pool, others).await, 20);
    for path in ["/api/v1/status", "/api/v1/hosts", "/api/v1/hosts/hostile", "/api/v1/findings"] {
        get(&api, &viewer, path).await;
    }
}

#[tokio::test]
async fn counters_that_were_changed_in_the_store_are_found() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let ledger = Ledger { generated: 10, ..Ledger::default() };
    ingest.send(of(1), batch(1, 0, ledger)).await.await.unwrap();
    let limits = retention::Limits { age: std::time::Duration::from_secs(7 * 86_400), max_bytes: None };
    let config = retention::Config { pool: db.pool.clone(), limits };
    let now = Stamp::floor(wall_clock());
    retention::tidy(&config, now).await.unwrap();
    assert_eq!(count(&db.pool, "select count(*) from finding").await, 0);
    sqlx::query("update stream set n_stored = n_stored - 1").execute(&db.pool).await.unwrap();
    for _ in 0..3 {
        retention::tidy(&config, now).await.unwrap();
    }
    assert_eq!(count(&db.pool, "select n from finding where kind = 'residue'").await, 1);
}
