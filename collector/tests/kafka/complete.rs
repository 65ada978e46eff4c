//! Every event gets to Kafka, once, wherever it is in the store.

use std::collections::BTreeMap;
use std::time::Duration;

use vedette_collector::kafka::Topic;
use vedette_collector::listener::Outcome;
use vedette_collector::merge;
use vedette_collector::record::{Format, Group};
use vedette_collector::store::partitions::MINUTE_US;
use vedette_collector::store::{Group as Buckets, Stamp};
use wire::batch::Digest;

use crate::broker::{needs_kafka, shared};
use crate::support::{header, stream, wall_clock};
use crate::world::{World, in_order, same};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_exported_in_order_and_after_a_stop_nothing_comes_twice() {
    if !needs_kafka("what_is_stored_is_exported_in_order_and_after_a_stop_nothing_comes_twice") {
        return;
    }
    let broker = shared();
    let mut world = World::new(5).await;
    let exporting = world.export(world.settings(broker));
    for n_events in [20, 1_500, 3, 200] {
        world.store(n_events).await;
    }
    world.exported().await;
    exporting.stop().await;
    let exporting = world.export(world.settings(broker));
    world.store(50).await;
    world.exported().await;
    exporting.stop().await;

    let searched = world.searched("").await;
    assert_eq!(searched.len(), 5 * (20 + 1_500 + 3 + 200 + 50));
    let read = world.read(broker);
    assert_eq!(same(&read, &searched), 0, "some came twice");
    in_order(&read);
    let first = &read[0];
    assert_eq!(first.header("ce_specversion"), "1.0");
    assert_eq!(first.header("content-type"), "application/json");
    assert!(first.header("ce_source").ends_with(&first.key), "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_before_is_found_fresh_merged_shed_and_refused() {
    if !needs_kafka("what_was_stored_before_is_found_fresh_merged_shed_and_refused") {
        return;
    }
    let broker = shared();
    let mut world = World::new(3).await;
    // Small batches that are merged, and a large one beside.
    for n_events in [20, 30, 1_200, 40] {
        world.store(n_events).await;
    }
    let merger = merge::Config { pool: world.pool.clone(), group: Buckets::WHOLE };
    let later = Stamp::floor(wall_clock()).plus_us(2 * MINUTE_US);
    assert!(merge::catch_up(&merger, later).await.unwrap() > 0);
    // Ingest goes on behind what is merged: by another clock, as a minute cannot be waited for.
    let mut world = world.later().await;
    // A tombstone in the middle of the stream, and a batch that cannot be read.
    let source = &mut world.sources[0];
    let shed = source.batch(70);
    let (id, at, n) = (source.id, header(&shed).first_seq, header(&shed).n_events);
    let digest = Digest::START;
    let outcome = world.ingest.tombstone(stream(id, &shed), at, u64::from(n), digest).await.await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    world.store(25).await;
    let exporting = world.export(world.settings(broker));
    world.exported().await;
    exporting.stop().await;
    let searched = world.searched("").await;
    assert_eq!(searched.len(), 3 * (20 + 30 + 1_200 + 40 + 25));
    // The tombstone did not fit its chain, which is a finding.
    let (findings, read) = world.findings_and_events(broker);
    assert_eq!(same(&read, &searched), 0);
    in_order(&read);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].header("ce_type"), "vedette.finding.chain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_leaves_out_and_each_group_has_its_topic_and_format() {
    if !needs_kafka("a_filter_leaves_out_and_each_group_has_its_topic_and_format") {
        return;
    }
    let broker = shared();
    let mut world = World::new(2).await;
    let mut settings = world.settings(broker);
    settings.filter = "not event.category:file".into();
    for group in Group::ALL.iter().copied() {
        let format = if group == Group::Network { Format::Ecs } else { Format::Native };
        settings.topics.insert(group, Topic { name: format!("{}.{}", world.prefix, group.name()), format });
    }
    let exporting = world.export(settings);
    world.store(400).await;
    world.exported().await;
    exporting.stop().await;
    let searched = world.searched("not event.category:file").await;
    assert!(searched.len() > 100 && searched.len() < 800);
    let read = world.read(broker);
    let by_id: BTreeMap<&str, _> = read.iter().map(|record| (record.id(), record)).collect();
    assert_eq!(by_id.len(), searched.len());
    assert!(searched.keys().all(|id| by_id.contains_key(id.as_str())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_the_sink_is_left_out_unless_asked_for() {
    if !needs_kafka("what_was_there_before_the_sink_is_left_out_unless_asked_for") {
        return;
    }
    let broker = shared();
    let mut world = World::new(2).await;
    world.store(30).await;
    let mut settings = world.settings(broker);
    settings.from_now = true;
    let exporting = world.export(settings.clone());
    // It begins with where everything stands then.
    world.said("caught up").await;
    world.exported().await;
    world.store(7).await;
    world.exported().await;
    exporting.stop().await;
    // Only once: the second start goes on where the first ended.
    world.store(5).await;
    let exporting = world.export(settings);
    world.exported().await;
    exporting.stop().await;
    let read = world.read(broker);
    let became = sqlx::query("select next_seq, n_sent, n_left_out, n_expired, n_gone from export")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let became: Vec<[i64; 5]> =
        became.iter().map(|row| [0, 1, 2, 3, 4].map(|n| sqlx::Row::get(row, n))).collect();
    assert_eq!(read.len(), 2 * 12, "{became:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_replayed_from_quarantine_is_exported_too() {
    if !needs_kafka("what_is_replayed_from_quarantine_is_exported_too") {
        return;
    }
    let broker = shared();
    let mut world = World::new(1).await;
    let exporting = world.export(world.settings(broker));
    world.store(10).await;
    let outcome = world.quarantined(30).await;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
    world.store(20).await;
    world.exported().await;
    let listed = world.get("/api/v1/quarantine").await;
    let id = listed["batches"][0]["id"].as_str().unwrap().to_owned();
    let stored = world.post(&format!("/api/v1/quarantine/{id}/replay")).await;
    assert_eq!(stored["outcome"], "stored", "{stored}");
    let searched = world.searched("").await;
    assert_eq!(searched.len(), 60);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while crate::support::count(&world.pool, "select count(*) from export_late").await > 0 {
        assert!(std::time::Instant::now() < until, "it is not exported: {}", world.status().await);
        tokio::time::sleep(Duration::from_millis(100)).await; // poll interval
    }
    exporting.stop().await;
    let read = world.read(broker);
    assert_eq!(same(&read, &searched), 0);
}
