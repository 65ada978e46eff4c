//! The connection: librdkafka, and the thread that hears what became of what it was given.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tracing::{debug, warn};

use super::settings::{self, Settings};
use super::{Failure, Meaning};
use crate::record::{self, ExportRecord};

/// Who is told what becomes of records, from a thread of the connection's own: it must not wait.
pub struct Reports {
    /// A record, by its number, has arrived, or will not.
    pub delivered: Box<dyn Fn(u64, Result<(), Failure>) + Send + Sync>,
    /// Something is wrong with the connection.
    pub trouble: Box<dyn Fn(Failure) + Send + Sync>,
}

/// Why a record was not taken. It is not reported then.
#[derive(Debug)]
pub enum Unsent {
    /// Too much is on its way: later.
    Full,
    /// It cannot be taken.
    Failed(Failure),
}

/// A connection to Kafka. When it is dropped, what is still on its way is given up, and reported so.
pub struct Producer {
    producer: ThreadedProducer<Context>,
}

pub(super) struct Context {
    pub(super) reports: Reports,
}

impl Producer {
    /// Begins to connect. Whether that works is seen later.
    ///
    /// # Errors
    /// When a property is wrong; says which.
    pub fn connect(settings: &Settings, max_bytes: usize, reports: Reports) -> Result<Self, Failure> {
        let all = settings::of_producer(settings::properties(settings, settings::read)?, max_bytes);
        let producer =
            ThreadedProducer::from_config_and_context(&config(all), Context { reports }).map_err(wrong)?;
        Ok(Self { producer })
    }

    /// Gives it a record of `source` for a topic, to be reported by its number. The records of one host arrive in the order given.
    ///
    /// A record's timestamp is when it is given to the connection and not when the event was: by that Kafka deletes what is too
    /// old and refuses what is of the future, and neither a clock of a host's nor a late export may bring that about.
    ///
    /// # Errors
    /// When it is not taken; then it is not reported.
    pub fn send(&self, to: &str, record: &ExportRecord, source: &str, number: u64) -> Result<(), Unsent> {
        let (key, said) = (record.key.to_string(), record::headers(record, source));
        let mut headers = OwnedHeaders::new_with_capacity(said.len());
        for (key, value) in &said {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let sent =
            BaseRecord::with_opaque_to(to, number as usize).key(&key).payload(&record.value).headers(headers);
        match self.producer.send(sent) {
            Ok(()) => Ok(()),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(Code::QueueFull) => Err(Unsent::Full),
                Some(code) => Err(Unsent::Failed(Failure::of(code, &topic(to), ""))),
                None => Err(Unsent::Failed(Failure::setup(format!("{}: {error}", topic(to))))),
            },
        }
    }

    /// How many records are on their way, those that are about to be reported among them.
    pub fn n_waiting(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    /// Gives up what is on its way, and returns when all of it is reported.
    pub fn close(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        // Reports come from the connection's own thread.
        let until = Instant::now() + CLOSING;
        while self.n_waiting() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a topic is called in messages.
pub(super) fn topic(name: &str) -> String {
    format!("topic {name}")
}

pub(super) fn config(properties: std::collections::BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    config
}

/// What is wrong with the properties.
pub(super) fn wrong(error: KafkaError) -> Failure {
    match error {
        // Not the value: it may be a secret.
        KafkaError::ClientConfig(_, reason, name, _) => {
            Failure::setup(format!("[kafka.properties] {name:?}: {reason}"))
        }
        other => Failure::setup(format!("[kafka.properties] {other}")),
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(fac, "librdkafka: {message}");
            }
            _ => debug!(fac, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let failure = match error.rdkafka_error_code() {
            Some(code) => Failure::of(code, "Kafka", reason),
            None => Failure { meaning: Meaning::Passing, said: format!("Kafka: {error} ({reason})") },
        };
        (self.reports.trouble)(failure);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = match result {
            Ok(_) => Ok(()),
            Err((error, message)) => Err(match error.rdkafka_error_code() {
                Some(code) => Failure::of(code, &topic(message.topic()), ""),
                None => Failure { meaning: Meaning::Passing, said: format!("{}: {error}", message.topic()) },
            }),
        };
        (self.reports.delivered)(number as u64, outcome);
    }
}

/// How long a question to the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long librdkafka may take to give up.
const CLOSING: Duration = Duration::from_secs(2);
