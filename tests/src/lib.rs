//! Runs the whole product for scenarios: the only crate that sees both ends.
//!
//! | module | holds |
//! |---|---|
//! | [`stack`] | one running product: its home, its programs, its command line |
//! | [`counts`] | what programs count of themselves |
//! | [`group`] | a control group of a scenario's own, so that its sensor sees nothing else |
//! | [`kafka`] | a real Apache Kafka, and its own consumer |
//! | [`lone`] | one more sensor of a product, started and killed as a scenario wants it |
//! | [`load`] | many execs, and what became of them |
//! | [`loops`] | deeds that are repeated while somebody measures |
//! | [`pairs`] | what measurements in pairs say |
//! | [`papers`] | certificates of hosts without sensors, and TLS with them |
//! | [`watcher`] | a sensor that is started and stopped as a measurement wants it |
//! | [`bpftrace`] | bpftrace at work, to compare with |
//! | [`usage`] | what running processes have used |
//! | [`wait`] | waiting for a thing to become true |
//! | [`site`] | a fleet in small, that things go wrong with: database, collectors, network, hosts whose events are numbered |
//! | [`skip`] | saying loudly that something cannot run here |

pub mod bpftrace;
pub mod counts;
pub mod group;
#[path = "../../collector/tests/support/kafka.rs"]
pub mod kafka;
pub mod load;
pub mod lone;
pub mod loops;
pub mod pairs;
pub mod papers;
pub mod site;
pub mod skip;
pub mod stack;
pub mod usage;
pub mod wait;
pub mod watcher;
