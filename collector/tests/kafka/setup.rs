//! What is wrong with settings, Kafka's or ours, is said; what Kafka refuses is set aside.

use vedette_collector::kafka::{self, Meaning, Setting};

use crate::broker::{Broker, needs_kafka, shared};
use crate::world::{World, ids, in_order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_named_and_found_once_it_is_there() {
    if !needs_kafka("a_missing_topic_is_named_and_found_once_it_is_there") {
        return;
    }
    let broker = shared();
    let mut world = World::new(1).await;
    let mut settings = world.settings(broker);
    settings.create = None;
    let exporting = world.export(settings);
    world.store(10).await;
    world.said(&format!("Kafka has no topic {}", world.prefix)).await;
    let prefix = world.prefix.clone();
    tokio::task::block_in_place(|| {
        broker.topics(&["--create", "--topic", &prefix, "--partitions", "1", "--replication-factor", "1"]);
    });
    world.exported().await;
    exporting.stop().await;
    assert_eq!(world.read(broker).len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_large_is_set_aside_and_the_others_come() {
    if !needs_kafka("an_event_that_is_too_large_is_set_aside_and_the_others_come") {
        return;
    }
    let broker = shared();
    let mut world = World::new(2).await;
    world.store(300).await;
    let searched = world.searched("").await;
    // So small that the largest do not fit.
    let mut sizes: Vec<usize> = searched.values().map(|event| event.to_string().len()).collect();
    sizes.sort_unstable();
    let limit = format!("max.message.bytes={}", sizes[sizes.len() * 9 / 10] + 700);
    let prefix = world.prefix.clone();
    tokio::task::block_in_place(|| {
        let make = ["--create", "--topic", &prefix, "--partitions", "1", "--replication-factor", "1"];
        broker.topics(&[&make[..], &["--config", &limit]].concat());
    });
    let exporting = world.export(world.settings(broker));
    world.exported().await;
    exporting.stop().await;
    let refused = world.get("/api/v1/export/refused").await["records"].as_array().unwrap().clone();
    assert!(
        !refused.is_empty() && refused.len() < searched.len() / 2,
        "{} of {}",
        refused.len(),
        searched.len()
    );
    assert!(refused[0]["reason"].as_str().unwrap().contains("max.message.bytes"), "{}", refused[0]);
    let read = world.read(broker);
    in_order(&read);
    let mut all = ids(&read);
    assert_eq!(all.len() + refused.len(), searched.len());
    all.extend(refused.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
    assert_eq!(all.len(), searched.len(), "none is both refused and there");
    world.said(&format!("{} records were refused by Kafka", refused.len())).await;
}

#[test]
fn what_is_wrong_with_the_connection_is_said_with_what_to_do() {
    if !needs_kafka("what_is_wrong_with_the_connection_is_said_with_what_to_do") {
        return;
    }
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"collector\" password=\"right\" user_collector=\"right\";";
    let broker = Broker::start_with_sasl(jaas);
    let settings = |password: &str| {
        let mut settings = crate::world::settings("sasl-test", &broker.address());
        for (name, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "collector"),
            ("sasl.password", password),
        ] {
            settings.properties.insert(name.into(), Setting::Plain(value.into()));
        }
        settings
    };
    kafka::prepare(&settings("right")).unwrap();
    let wrong = kafka::prepare(&settings("wrong")).unwrap_err();
    assert_eq!(wrong.meaning, Meaning::Setup);
    assert!(wrong.said.contains("sasl.password") && !wrong.said.contains("\"wrong\""), "{wrong}");
    let mut unknown = settings("right");
    unknown.properties.insert("linger".into(), Setting::Plain("5".into()));
    let said = kafka::prepare(&unknown).unwrap_err().said;
    assert!(said.contains("\"linger\""), "{said}");
}
