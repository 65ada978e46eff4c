//! What brokers refuse by itself is set aside, whatever it is: by librdkafka's own imitation of a broker, which can be told to.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Error};
use serde_json::Value;
use vedette_collector::kafka::{Setting, Settings};
use vedette_collector::listener::Outcome;
use vedette_collector::store::Stamp;
use vedette_collector::store::findings::{self, Found, Kind};

use crate::support::wall_clock;
use crate::world::{World, settings};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// One broker with one topic, and a store that is exported to it.
async fn cluster() -> (Cluster, World, Settings) {
    let cluster = MockCluster::new(1).unwrap();
    let world = World::new(1).await;
    cluster.create_topic(&world.prefix, 1, 1).unwrap();
    let mut settings = settings(&world.prefix, &cluster.bootstrap_servers());
    settings.create = None;
    (cluster, world, settings)
}

/// Refuses what comes next, and the first record that comes alone thereafter.
fn refuse(cluster: &Cluster) {
    let error = Error::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error, error]);
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "not within 40 s: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await; // poll interval
    }
}

async fn refused(world: &World) -> Vec<Value> {
    world.get("/api/v1/export/refused").await["records"].as_array().unwrap().clone()
}

async fn find(world: &World, about: &str) {
    let mut conn = world.pool.acquire().await.unwrap();
    let host = world.sources[0].id;
    let found = Found {
        host,
        kind: Kind::Gap,
        about: about.into(),
        at: Stamp::floor(wall_clock()),
        evidence: Value::Null,
    };
    findings::add(&mut conn, &found).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_that_is_refused_is_listed_until_it_is_taken() {
    let (cluster, mut world, settings) = cluster().await;
    let (topic, bootstrap) = (world.prefix.clone(), settings.bootstrap.clone());
    let exporting = world.export(settings);
    world.store(10).await;
    world.exported().await;
    refuse(&cluster);
    find(&world, "this").await;
    let listed = until("the finding is listed as refused", async || {
        let listed = refused(&world).await;
        (!listed.is_empty()).then_some(listed)
    });
    let listed = listed.await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["topic"], *topic);
    assert!(listed[0]["id"].as_str().unwrap().ends_with(".1"), "how often it was found: {}", listed[0]);
    assert!(listed[0]["bytes"].as_u64().unwrap() > 100, "{}", listed[0]);
    world.said("1 records were refused by Kafka").await;
    // Events go on, and when it is found again it is tried again.
    world.store(10).await;
    world.exported().await;
    find(&world, "this").await;
    until("it is taken", async || refused(&world).await.is_empty().then_some(())).await;
    exporting.stop().await;
    let read = tokio::task::block_in_place(|| crate::cluster::read_ids(&bootstrap, &topic, 21));
    assert_eq!(
        read.len(),
        21,
        "20 events and what was found twice, of which the first was refused: {read:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_refused_of_a_batch_that_was_stored_late_is_listed_and_the_others_come() {
    const N_LATE: u32 = 5;
    let (cluster, mut world, mut settings) = cluster().await;
    let (topic, bootstrap) = (world.prefix.clone(), settings.bootstrap.clone());
    // So that its records come in one request.
    settings.properties.insert("linger.ms".into(), Setting::Plain("300".into()));
    let exporting = world.export(settings);
    world.store(10).await;
    let rejected = world.quarantined(N_LATE).await;
    assert!(matches!(rejected, Outcome::Rejected { .. }), "{rejected:?}");
    world.store(10).await;
    world.exported().await;
    // What it is found for goes first.
    let unsent = "select count(*) from finding where n > n_exported";
    until("findings are exported", async || {
        (crate::support::count(&world.pool, unsent).await == 0).then_some(())
    })
    .await;
    refuse(&cluster);
    let listed = world.get("/api/v1/quarantine").await;
    let id = listed["batches"][0]["id"].as_str().unwrap().to_owned();
    let stored = world.post(&format!("/api/v1/quarantine/{id}/replay")).await;
    assert_eq!(stored["outcome"], "stored", "{stored}");
    until("what was stored late is done with", async || {
        let n_waiting = crate::support::count(&world.pool, "select count(*) from export_late").await;
        (n_waiting == 0).then_some(())
    })
    .await;
    exporting.stop().await;
    let refused = refused(&world).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let refused = refused[0]["id"].as_str().unwrap();
    let searched = world.searched("").await;
    let n_sent = searched.len() - 1;
    let read = tokio::task::block_in_place(|| crate::cluster::read_ids(&bootstrap, &topic, n_sent));
    let there: BTreeSet<&str> = read.iter().map(String::as_str).collect();
    let missing: Vec<_> = searched.keys().filter(|id| !there.contains(id.as_str())).collect();
    assert_eq!(missing, [refused]);
    for (sql, expected) in [
        ("select sum(n_sent)::bigint from export", 24),
        ("select sum(n_refused)::bigint from export", 1),
        ("select sum(n_gone)::bigint from export", 0),
        ("select sum(next_seq)::bigint from export", 25),
    ] {
        assert_eq!(crate::support::count(&world.pool, sql).await, expected, "{sql}");
    }
}
