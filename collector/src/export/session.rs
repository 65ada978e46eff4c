//! One connection to the sink, from its making to its end, and what outlives it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_util::sync::CancellationToken;
use tracing::info;
use wire::predicate::Predicate;

use super::Config;
use super::commit::Notes;
use super::drive::Driver;
use super::feed::Ear;
use super::flight::Flight;
use super::hosts::Hosts;
use super::late::Strays;
use super::ownership::Owner;
use super::queue::Queue;
use super::report::Report;
use super::round::{Doubts, Sink};
use crate::kafka::{self, Failure, Meaning, Producer, Reports};
use crate::store::leases::Share;

/// What outlives a connection.
pub(super) struct Memory {
    pub(super) ear: Ear,
    pub(super) queue: Queue,
    pub(super) notes: Notes,
    pub(super) hosts: Hosts,
    pub(super) strays: Strays,
    pub(super) held: BTreeSet<Share>,
    /// What was refused lately.
    pub(super) doubts: Doubts,
}

impl Memory {
    /// Nothing, and an ear for what is stored from now on.
    pub(super) fn new(ear: Ear) -> Self {
        Self {
            ear,
            queue: Queue::default(),
            notes: Notes::default(),
            hosts: Hosts::default(),
            strays: Strays::default(),
            held: BTreeSet::new(),
            doubts: Doubts::new(),
        }
    }
}

/// How a connection ended.
pub(super) enum Ended {
    /// As was asked.
    Stopped,
    /// Something is wrong.
    Failed {
        /// What.
        failure: Failure,
        /// Whether anything was taken before that.
        worked: bool,
    },
}

/// A connection that is to be made.
pub(super) struct Session<'a> {
    config: &'a Config,
    predicate: &'a Arc<Predicate>,
    owner: &'a Owner,
    report: &'a Arc<Report>,
    memory: &'a mut Memory,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        config: &'a Config,
        predicate: &'a Arc<Predicate>,
        owner: &'a Owner,
        report: &'a Arc<Report>,
        memory: &'a mut Memory,
    ) -> Self {
        Self { config, predicate, owner, report, memory }
    }

    /// Connects, and exports until it is stopped or something is wrong.
    pub(super) async fn run(self, shutdown: &CancellationToken) -> Ended {
        let settings = self.config.settings.clone();
        let preparing = tokio::task::spawn_blocking(move || kafka::prepare(&settings));
        let Some(prepared) = shutdown.run_until_cancelled(preparing).await else { return Ended::Stopped };
        let ready = match prepared {
            Ok(Ok(ready)) => ready,
            Ok(Err(failure)) => return Ended::Failed { failure, worked: false },
            Err(_) => return Ended::Failed { failure: broken(), worked: false },
        };
        if !ready.created.is_empty() {
            info!("made the topics {}", ready.created.join(", "));
        }
        let flight = Arc::new(Flight::default());
        let producer = Producer::connect(&self.config.settings, ready.max_bytes, self.reports(&flight));
        let producer = match producer {
            Ok(producer) => producer,
            Err(failure) => return Ended::Failed { failure, worked: false },
        };
        self.report.connected();
        let sink = Arc::new(Sink {
            producer,
            topics: self.config.settings.topics.clone(),
            source: self.config.settings.source.clone(),
            max_bytes: ready.max_bytes,
            predicate: Arc::clone(self.predicate),
            flight,
            doubts: self.memory.doubts.clone(),
            stop: AtomicBool::new(false),
        });
        info!(max_bytes = ready.max_bytes, "events go to Kafka at {}", self.config.settings.bootstrap);
        let mut driver = Driver::new(self.config, self.report, self.memory, self.owner, sink);
        let ended = driver.drive(shutdown).await;
        driver.end(ended).await
    }

    fn reports(&self, flight: &Arc<Flight>) -> Reports {
        let (delivered, troubled) = (Arc::clone(flight), Arc::clone(flight));
        let (report, clock) = (Arc::clone(self.report), self.config.clock);
        Reports {
            delivered: Box::new(move |number, outcome| delivered.reported(number, outcome)),
            trouble: Box::new(move |failure| match failure.meaning {
                // librdkafka goes on trying.
                Meaning::Passing | Meaning::Refused => report.noted(&failure, clock()),
                Meaning::Setup | Meaning::Broken => troubled.failed(failure),
            }),
        }
    }
}

/// A thread that hands records over has ended as it should not.
pub(super) fn broken() -> Failure {
    Failure {
        meaning: Meaning::Broken,
        said: "a thread of the export failed, which is a defect of this version".to_owned(),
    }
}
