//! The Kafka sink: the only place that names rdkafka.
//!
//! What it is given it hands to librdkafka, in order and with an idempotent producer, and tells of each record what became
//! of it. It keeps no record of its own and decides nothing about streams: that is [`crate::export`].
//!
//! | file | holds |
//! |---|---|
//! | [`settings`] | what a sink is told, and the properties of librdkafka that come of it; pure |
//! | `classify` | what an error of Kafka means, and what is to be done about it; pure |
//! | `topics` | are they there, and what may a record weigh; made where that was asked for |
//! | `producer` | the connection |

mod classify;
mod producer;
pub mod settings;
mod topics;

pub use classify::{Failure, Meaning};
pub use producer::{Producer, Reports, Unsent};
pub use settings::{Create, Setting, Settings, Topic};
pub use topics::{Ready, prepare};
