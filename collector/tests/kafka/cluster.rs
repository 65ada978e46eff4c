//! A cluster of several brokers, librdkafka's own imitation of one, as a real one would take three machines: leaders that move and
//! brokers that refuse. What is sent is read back by librdkafka too.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Error};
use vedette_collector::kafka::Setting;
use wire::id::EventId;

use crate::broker::assert_order;
use crate::world::{World, settings};

const PARTITIONS: i32 = 3;
const BROKERS: i32 = 3;

/// The ids of what a topic holds, each once; waits until there are so many.
pub(crate) fn read_ids(bootstrap: &str, topic: &str, n_ids: usize) -> BTreeSet<String> {
    read(bootstrap, topic, n_ids).into_iter().map(|(_, id)| id).collect()
}

/// The ids of what a topic holds, in the order of each partition; waits until there are so many, each counted once.
fn read(bootstrap: &str, topic: &str, n_ids: usize) -> Vec<(i32, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (mut read, mut ids) = (Vec::new(), BTreeSet::new());
    let until = Instant::now() + Duration::from_secs(40);
    while ids.len() < n_ids && Instant::now() < until {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        let headers = message.headers().unwrap();
        let id = headers.iter().find(|header| header.key == "ce_id").unwrap().value.unwrap();
        let id = std::str::from_utf8(id).unwrap();
        ids.insert(id.to_owned());
        read.push((message.partition(), id.to_owned()));
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_leaders_move_and_brokers_refuse_nothing_is_skipped_and_each_stream_keeps_its_order() {
    let cluster = MockCluster::new(BROKERS).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let mut world = World::new(6).await;
    let topic = world.prefix.clone();
    cluster.create_topic(&topic, PARTITIONS, BROKERS).unwrap();
    let mut settings = settings(&topic, &bootstrap);
    settings.create = None;
    for (name, value) in [("topic.metadata.refresh.interval.ms", "500"), ("socket.timeout.ms", "3000")] {
        settings.properties.insert(name.into(), Setting::Plain(value.into()));
    }
    let exporting = world.export(settings);
    world.store(20).await;
    world.exported().await;
    for round in 0..6_i32 {
        let (down, leader) = (round % BROKERS + 1, (round + 1) % BROKERS + 1);
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[
                Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            ],
        );
        cluster.broker_down(down).unwrap();
        world.store(60).await;
        for partition in 0..PARTITIONS {
            cluster.partition_leader(&topic, partition, Some(leader)).unwrap();
        }
        world.store(40).await;
        cluster.broker_up(down).unwrap();
        world.store(20).await;
    }
    world.exported_within(Duration::from_secs(60)).await;
    exporting.stop().await;
    let searched = world.searched("").await;
    assert_eq!(searched.len(), 6 * (20 + 6 * 120));
    let read = tokio::task::block_in_place(|| read(&bootstrap, &topic, searched.len()));
    // Findings have other ids.
    let read: Vec<(i32, EventId)> =
        read.into_iter().filter_map(|(partition, id)| Some((partition, id.parse().ok()?))).collect();
    let ids: BTreeSet<String> = read.iter().map(|(_, id)| id.to_string()).collect();
    let missing: Vec<_> = searched.keys().filter(|id| !ids.contains(*id)).take(5).collect();
    assert!(
        missing.is_empty() && ids.len() == searched.len(),
        "missing {missing:?}, {} are there",
        ids.len()
    );
    assert_order(read.into_iter());
}
