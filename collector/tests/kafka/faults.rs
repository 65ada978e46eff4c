//! Kafka killed, paused, without room or without its topic; exporters killed, and several of them: nothing is missing, what
//! comes twice has the same id, and each stream keeps its order.

use std::time::{Duration, Instant};

use uuid::Uuid;
use vedette_collector::kafka::Setting;

use crate::broker::{Broker, needs_kafka, needs_root, shared};
use crate::world::{World, ids, in_order, same};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_kafka_is_paused_or_dead_ingest_goes_on_and_then_all_of_it_comes() {
    if !needs_kafka("while_kafka_is_paused_or_dead_ingest_goes_on_and_then_all_of_it_comes") {
        return;
    }
    let mut broker = Broker::start(&[]);
    let mut world = World::new(4).await;
    let mut settings = world.settings(&broker);
    settings.properties.insert("socket.timeout.ms".into(), Setting::Plain("3000".into()));
    settings.properties.insert("request.timeout.ms".into(), Setting::Plain("2000".into()));
    let exporting = world.export(settings.clone());
    world.store(100).await;
    world.exported().await;
    broker.pause();
    let begun = Instant::now();
    for _ in 0..20 {
        world.store(100).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "ingest waited {:?} for Kafka", begun.elapsed());
    broker.begin();
    world.exported().await;
    broker.kill();
    for _ in 0..20 {
        world.store(100).await;
    }
    // One that begins while Kafka is away goes on where the other was.
    exporting.stop().await;
    let exporting = world.export(settings);
    world.said("events_behind\":8000").await;
    world.store(100).await;
    tokio::task::block_in_place(|| broker.begin());
    world.exported().await;
    exporting.stop().await;
    let searched = world.searched("").await;
    assert_eq!(searched.len(), 4 * 42 * 100);
    let read = world.read(&broker);
    same(&read, &searched);
    in_order(&read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_that_is_killed_anywhere_is_followed_by_another_without_a_gap() {
    if !needs_kafka("an_exporter_that_is_killed_anywhere_is_followed_by_another_without_a_gap") {
        return;
    }
    let broker = shared();
    let mut world = World::new(6).await;
    // The same run, so that its leases need not run out first.
    let run = Uuid::now_v7();
    for n in 0..12_u64 {
        let exporting = world.export_as(run, world.settings(broker));
        world.store(300).await;
        // At another step of its loop each time.
        tokio::time::sleep(Duration::from_millis(n * 73 % 400)).await; // poll interval
        exporting.kill().await;
    }
    let exporting = world.export_as(run, world.settings(broker));
    world.exported().await;
    exporting.stop().await;
    let searched = world.searched("").await;
    assert_eq!(searched.len(), 6 * 12 * 300);
    let read = world.read(broker);
    same(&read, &searched);
    in_order(&read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_collectors_share_the_hosts_and_one_takes_over_when_the_other_dies() {
    if !needs_kafka("two_collectors_share_the_hosts_and_one_takes_over_when_the_other_dies") {
        return;
    }
    let broker = shared();
    let mut world = World::new(24).await;
    let first = world.export(world.settings(broker));
    world.store(10).await;
    world.exported().await;
    let second = world.export(world.settings(broker));
    let halves = "select count(*) from (select holder from lease where task like 'export-%' group by holder having count(*) = 8) h";
    let until = Instant::now() + Duration::from_secs(30);
    while crate::support::count(&world.pool, halves).await != 2 {
        assert!(Instant::now() < until, "they do not share: {}", world.status().await);
        world.store(10).await;
        tokio::time::sleep(Duration::from_millis(300)).await; // poll interval
    }
    for _ in 0..10 {
        world.store(20).await;
    }
    world.exported().await;
    first.kill().await;
    world.store(30).await;
    // The lease of the dead one runs out first.
    world.exported_within(Duration::from_secs(45)).await;
    second.stop().await;
    let searched = world.searched("").await;
    let read = world.read(broker);
    same(&read, &searched);
    in_order(&read);
    assert!(ids(&read).len() == searched.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_brokers_disk_is_full_events_are_kept_back_until_there_is_room() {
    let name = "while_the_brokers_disk_is_full_events_are_kept_back_until_there_is_room";
    if !needs_kafka(name) || !needs_root(name) {
        return;
    }
    let mut broker = Broker::start_small(16, &[("compression.type", "uncompressed")]);
    let mut world = World::new(4).await;
    let exporting = world.export(world.settings(&broker));
    world.store(20).await;
    world.exported().await;
    // It ends when it can write no more.
    let until = Instant::now() + Duration::from_secs(60);
    let mut n_events = 4 * 20;
    while broker.runs() {
        assert!(Instant::now() < until, "Kafka goes on with a full disk: {}", broker.log());
        world.store(400).await;
        n_events += 4 * 400;
    }
    let said = world.status().await.to_string();
    assert!(!said.contains("caught up"), "{said}");
    world.store(50).await;
    broker.kill();
    broker.resize(512);
    tokio::task::block_in_place(|| broker.begin());
    world.exported_within(Duration::from_secs(60)).await;
    exporting.stop().await;
    let searched = world.searched("").await;
    assert_eq!(searched.len(), n_events + 4 * 50);
    let read = world.read(&broker);
    same(&read, &searched);
    in_order(&read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_keeps_events_back_until_it_is_there_again() {
    if !needs_kafka("a_topic_that_is_deleted_keeps_events_back_until_it_is_there_again") {
        return;
    }
    let broker = shared();
    let mut world = World::new(3).await;
    let mut settings = world.settings(broker);
    let make =
        ["--create", "--topic", world.prefix.as_str(), "--partitions", "3", "--replication-factor", "1"];
    let make: Vec<String> = make.iter().map(|word| (*word).to_owned()).collect();
    let make: Vec<&str> = make.iter().map(String::as_str).collect();
    tokio::task::block_in_place(|| broker.topics(&make));
    settings.create = None;
    settings.properties.insert("topic.metadata.refresh.interval.ms".into(), Setting::Plain("500".into()));
    settings.properties.insert("topic.metadata.propagation.max.ms".into(), Setting::Plain("1000".into()));
    let exporting = world.export(settings);
    world.store(50).await;
    world.exported().await;
    let before = world.searched("").await;
    let prefix = world.prefix.clone();
    tokio::task::block_in_place(|| {
        broker.topics(&["--delete", "--topic", &prefix]);
        broker.wait_until_gone(&prefix);
    });
    world.store(50).await;
    world.store(50).await;
    world.said("create the topic").await;
    tokio::task::block_in_place(|| broker.topics(&make));
    world.exported().await;
    exporting.stop().await;
    let mut searched = world.searched("").await;
    // What the topic had is gone with it.
    searched.retain(|id, _| !before.contains_key(id));
    let mut read = world.read(broker);
    read.retain(|record| !before.contains_key(record.id()));
    same(&read, &searched);
    in_order(&read);
}
