//! What a sink is told, and the properties of librdkafka that come of it. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::Failure;
use crate::record::{Format, Group};

/// Where and how events go to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Brokers to begin with: `HOST:PORT`, several with commas between.
    pub bootstrap: String,
    /// Where each group of events goes.
    pub topics: BTreeMap<Group, Topic>,
    /// Only events that match this query; empty: all.
    pub filter: String,
    /// How topics are made that are not there; `None`: they are not made.
    pub create: Option<Create>,
    /// At the very first start: leave out what is stored already.
    pub from_now: bool,
    /// Whether findings are sent too.
    pub findings: bool,
    /// What CloudEvents name as the source, before the host.
    pub source: String,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, Setting>,
}

/// A topic, and what is written into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The schema of its records.
    pub format: Format,
}

/// How topics are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Create {
    /// Into how many parts.
    pub partitions: i32,
    /// How many brokers keep each; `None`: as the cluster has it.
    pub replication: Option<i32>,
}

/// A property's value, or where it is. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Setting {
    /// The value.
    Plain(String),
    /// In a file, without the end of its last line.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Plain(_) => f.write_str("…"),
            Setting::File(path) => write!(f, "file {}", path.display()),
            Setting::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// What a record may weigh where the topic's own limit is not known: Kafka's default, less what a batch adds.
pub const DEFAULT_MAX_BYTES: usize = 1_000_000;
/// The most that a record may weigh, whatever a topic says.
pub const MOST_BYTES: usize = 64 << 20;
/// Events in librdkafka's hands at most; the exporter keeps well below it.
pub const MAX_QUEUED: usize = 200_000;
/// The same in bytes.
pub const MAX_QUEUED_BYTES: usize = 128 << 20;

/// What nobody may set, and why.
const OURS: [(&str, &str); 15] = [
    ("bootstrap.servers", "set bootstrap in [kafka]"),
    ("metadata.broker.list", "set bootstrap in [kafka]"),
    ("enable.idempotence", "without it order and completeness cannot be promised"),
    ("enable.gapless.guarantee", "without it order cannot be promised"),
    ("acks", "events count as exported only when all replicas in sync have them"),
    ("request.required.acks", "events count as exported only when all replicas in sync have them"),
    ("message.timeout.ms", "what is not delivered is tried again for ever"),
    ("delivery.timeout.ms", "what is not delivered is tried again for ever"),
    ("retries", "what is not delivered is tried again for ever"),
    ("message.send.max.retries", "what is not delivered is tried again for ever"),
    ("transactional.id", "the exporter makes no transactions"),
    ("message.max.bytes", "it follows the topics' max.message.bytes"),
    ("queue.buffering.max.messages", "the exporter bounds what is on its way"),
    ("queue.buffering.max.kbytes", "the exporter bounds what is on its way"),
    ("plugin.library.paths", "the collector loads no libraries"),
];

/// Why this property may not be set, if it may not.
pub fn is_ours(property: &str) -> Option<&'static str> {
    OURS.iter().find(|(name, _)| *name == property).map(|(_, why)| *why)
}

/// The properties of a connection, with the operator's own. `read` reads a file or a variable.
///
/// # Errors
/// When a secret cannot be read; says which.
pub(super) fn properties(
    settings: &Settings,
    read: impl Fn(&Setting) -> Result<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut all: BTreeMap<String, String> = [
        ("bootstrap.servers", settings.bootstrap.as_str()),
        ("client.id", "vedette-collector"),
        // A broker that says goodbye is no news.
        ("log.connection.close", "false"),
        ("reconnect.backoff.max.ms", "5000"),
        ("socket.keepalive.enable", "true"),
        // OpenSSL is linked statically: where a distribution keeps its authorities has to be looked for.
        ("ssl.ca.location", "probe"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for (name, setting) in &settings.properties {
        if name.starts_with("ssl.ca.") {
            all.remove("ssl.ca.location");
        }
        let value = read(setting)
            .map_err(|why| Failure::setup(format!("[kafka.properties] {name:?} cannot be read: {why}")))?;
        all.insert(name.clone(), value);
    }
    Ok(all)
}

/// What a producer has beside them. The operator's win where they may be set at all.
pub(super) fn of_producer(mut all: BTreeMap<String, String>, max_bytes: usize) -> BTreeMap<String, String> {
    let batch = max_bytes.min(512 << 10).to_string();
    let max_bytes = max_bytes.clamp(1_000, MOST_BYTES).to_string();
    let (messages, kbytes) = (MAX_QUEUED.to_string(), (MAX_QUEUED_BYTES >> 10).to_string());
    for (name, value) in [
        ("compression.type", "zstd"),
        ("compression.level", "1"),
        // As Java's clients do, so that consumers of theirs agree on who reads a host.
        ("partitioner", "murmur2_random"),
        ("linger.ms", "20"),
        ("batch.size", batch.as_str()),
        ("topic.metadata.refresh.interval.ms", "30000"),
    ] {
        let is_level = name == "compression.level" && all.contains_key("compression.type");
        if !is_level {
            all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    for (name, value) in [
        ("enable.idempotence", "true"),
        ("enable.gapless.guarantee", "true"),
        ("acks", "all"),
        ("message.timeout.ms", "0"),
        ("message.max.bytes", max_bytes.as_str()),
        ("queue.buffering.max.messages", messages.as_str()),
        ("queue.buffering.max.kbytes", kbytes.as_str()),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

/// Reads a setting where it is.
pub(super) fn read(setting: &Setting) -> Result<String, String> {
    match setting {
        Setting::Plain(value) => Ok(value.clone()),
        Setting::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| format!("{}: {error}", path.display())),
        Setting::Env(name) => std::env::var(name).map_err(|_| format!("the variable {name} is not set")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn settings(properties: &[(&str, Setting)]) -> Settings {
        Settings {
            bootstrap: "kafka:9092".into(),
            topics: BTreeMap::new(),
            filter: String::new(),
            create: None,
            from_now: true,
            findings: true,
            source: "/vedette".into(),
            properties: properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    #[test]
    fn the_operators_properties_win_but_not_over_what_is_promised() {
        let own = [("linger.ms", "5"), ("compression.type", "lz4"), ("ssl.ca.location", "/ca.pem")]
            .map(|(name, value)| (name, Setting::Plain(value.into())));
        let all = of_producer(properties(&settings(&own), read).unwrap(), 600_000);
        assert_eq!((all["linger.ms"].as_str(), all["compression.type"].as_str()), ("5", "lz4"));
        assert_eq!(all["ssl.ca.location"], "/ca.pem");
        assert!(!all.contains_key("compression.level"));
        assert_eq!((all["acks"].as_str(), all["enable.idempotence"].as_str()), ("all", "true"));
        assert_eq!((all["message.max.bytes"].as_str(), all["batch.size"].as_str()), ("600000", "524288"));
        assert!(is_ours("acks").is_some() && is_ours("linger.ms").is_none());
    }

    #[test]
    fn a_secret_comes_from_its_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let settings = settings(&[
            ("sasl.password", Setting::File(file)),
            ("ssl.key.password", Setting::Plain("hidden".into())),
        ]);
        let all = properties(&settings, read).unwrap();
        assert_eq!(all["sasl.password"], "s3cret");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hidden") && !shown.contains("s3cret"), "{shown}");
        let error =
            properties(&self::settings(&[("sasl.password", Setting::Env("NOT_THERE_1".into()))]), read);
        let said = error.unwrap_err().said;
        assert!(said.contains("sasl.password") && said.contains("NOT_THERE_1"), "{said}");
    }
}
