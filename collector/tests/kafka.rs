//! The export to a real Apache Kafka, read back by Kafka's own console consumer.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod api;
#[path = "support/kafka.rs"]
mod broker;
mod support;

#[path = "kafka/world.rs"]
mod world;

#[path = "kafka/cluster.rs"]
mod cluster;
#[path = "kafka/complete.rs"]
mod complete;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/refused.rs"]
mod refused;
#[path = "kafka/setup.rs"]
mod setup;
