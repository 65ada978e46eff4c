//! Whether the topics are there, and what a record may weigh; made where that was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::producer::{Context, PATIENCE, Reports, config, topic, wrong};
use super::settings::{self, Create, DEFAULT_MAX_BYTES, Settings};
use super::{Failure, Meaning};

/// What is known of the topics once they are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What a record may weigh, so that every topic takes it.
    pub max_bytes: usize,
    /// The topics that were made.
    pub created: Vec<String>,
}

/// How often it is looked whether a topic that was made has a leader.
const LOOK: Duration = Duration::from_millis(100);

/// Looks whether every topic is there, and makes those that are not if that was asked for. Blocks for some seconds.
///
/// # Errors
/// When Kafka cannot be asked, or a topic is missing: says which, and what to do.
pub fn prepare(settings: &Settings) -> Result<Ready, Failure> {
    let wanted: BTreeSet<&str> = settings.topics.values().map(|topic| topic.name.as_str()).collect();
    let all = settings::properties(settings, settings::read)?;
    let cluster = Cluster::connect(&all)?;
    let there = cluster.topics()?;
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| there.get(*name).is_none_or(Option::is_some)).collect();
    if let Some((name, Some(code))) = there.iter().find(|(name, error)| {
        let is_other = error.is_some_and(|code| code != Code::UnknownTopicOrPartition);
        wanted.contains(name.as_str()) && is_other
    }) {
        return Err(Failure::of(*code, &topic(name), ""));
    }
    let admin: AdminClient<DefaultClientContext> =
        AdminClient::from_config_and_context(&config(all), DefaultClientContext).map_err(wrong)?;
    match settings.create {
        _ if missing.is_empty() => {}
        None => return Err(lacking(&missing)),
        Some(create) => {
            make(&admin, &missing, create)?;
            cluster.wait_for(&missing)?;
        }
    }
    let max_bytes = limit(&admin, &wanted).unwrap_or(DEFAULT_MAX_BYTES);
    Ok(Ready { max_bytes, created: missing.into_iter().map(str::to_owned).collect() })
}

/// Says which topics are missing, and what to do.
fn lacking(missing: &[&str]) -> Failure {
    let list = missing.join(", ");
    let (topics, them) = if missing.len() == 1 { ("topic", "it") } else { ("topics", "them") };
    Failure::setup(format!(
        "Kafka has no {topics} {list}, or this user may not see {them}: create the {topics}, or set create_topics = true in [kafka]"
    ))
}

/// A connection that is asked, and what went wrong with it first.
struct Cluster {
    producer: ThreadedProducer<Context>,
    trouble: Arc<Mutex<Option<Failure>>>,
}

impl Cluster {
    fn connect(properties: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let trouble = Arc::new(Mutex::new(None::<Failure>));
        let noted = Arc::clone(&trouble);
        let reports = Reports {
            delivered: Box::new(|_, _| {}),
            trouble: Box::new(move |failure| {
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                // What an operator has to do is worth more than that a connection broke.
                if noted.as_ref().is_none_or(|known| known.meaning != Meaning::Setup) {
                    *noted = Some(failure);
                }
            }),
        };
        let mut properties = properties.clone();
        // Of a consumer or an admin nothing is asked for here that a producer's properties do not say.
        properties.insert("log_level".to_owned(), "3".to_owned());
        let producer = ThreadedProducer::from_config_and_context(&config(properties), Context { reports })
            .map_err(wrong)?;
        Ok(Self { producer, trouble })
    }

    /// The topics that this user may see, each with what is wrong with it. All at once: asking for one by name makes some
    /// brokers create it.
    fn topics(&self) -> Result<BTreeMap<String, Option<Code>>, Failure> {
        let metadata = self.producer.client().fetch_metadata(None, PATIENCE).map_err(|error| {
            let noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            noted.unwrap_or_else(|| of(&error, "Kafka"))
        })?;
        let topics = metadata.topics().iter();
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.error().map(Code::from))).collect())
    }

    /// Waits until all of them are known to the cluster.
    fn wait_for(&self, names: &[&str]) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            let there = self.topics()?;
            if names.iter().all(|name| there.get(*name).is_some_and(Option::is_none)) {
                return Ok(());
            }
            if Instant::now() > until {
                let said = format!("topics {} were made, and have no leader yet", names.join(", "));
                return Err(Failure { meaning: Meaning::Passing, said });
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn make(admin: &AdminClient<DefaultClientContext>, names: &[&str], create: Create) -> Result<(), Failure> {
    let replication = create.replication.unwrap_or(-1);
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| NewTopic::new(name, create.partitions, TopicReplication::Fixed(replication)))
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let made = block_on(admin.create_topics(&topics, &options)).map_err(|error| of(&error, "Kafka"))?;
    for outcome in made {
        match outcome {
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let why = Failure::of(code, &format!("topic {name} cannot be made"), "");
                return Err(match code {
                    Code::InvalidReplicationFactor | Code::InvalidPartitions | Code::PolicyViolation => {
                        Failure::setup(format!(
                            "{}; set partitions and replication in [kafka] as the cluster allows them",
                            why.said
                        ))
                    }
                    _ => why,
                });
            }
        }
    }
    Ok(())
}

/// The least of the topics' `max.message.bytes`; `None` where this user may not ask.
fn limit(admin: &AdminClient<DefaultClientContext>, names: &BTreeSet<&str>) -> Option<usize> {
    let specifiers: Vec<ResourceSpecifier<'_>> =
        names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = block_on(admin.describe_configs(&specifiers, &options)).ok()?;
    let mut least = None::<usize>;
    for resource in described {
        let resource = resource.ok()?;
        let said: usize = resource.get("max.message.bytes")?.value.as_ref()?.parse().ok()?;
        least = Some(least.map_or(said, |least| least.min(said)));
    }
    least
}

fn of(error: &KafkaError, about: &str) -> Failure {
    match error.rdkafka_error_code() {
        Some(code) => Failure::of(code, about, ""),
        None => Failure { meaning: Meaning::Passing, said: format!("{about}: {error}") },
    }
}
