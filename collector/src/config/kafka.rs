//! `[kafka]` as it is written in the file, and what it means.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::predicate::{Options, Predicate};

use super::ConfigError;
use crate::kafka::settings::is_ours;
use crate::kafka::{Create, Setting, Settings, Topic};
use crate::record::{Format, Group};

/// The table `[kafka]`. It is a sink if it has a `bootstrap`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    bootstrap: Option<String>,
    format: Format,
    filter: String,
    /// One topic for all groups.
    topic: Option<String>,
    topics: BTreeMap<String, WrittenTopic>,
    create_topics: bool,
    partitions: Option<i32>,
    replication: Option<i32>,
    start: Start,
    findings: Option<bool>,
    source: Option<String>,
    properties: BTreeMap<String, WrittenSetting>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Start {
    /// With what is stored from then on.
    #[default]
    Now,
    /// With the oldest that is stored.
    Oldest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenTopic {
    Name(String),
    Table(TopicTable),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicTable {
    name: Option<String>,
    format: Option<Format>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenSetting {
    Text(String),
    Number(i64),
    Flag(bool),
    Place(Place),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    file: Option<PathBuf>,
    env: Option<String>,
}

impl std::fmt::Debug for WrittenSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Into how many parts topics are made.
const PARTITIONS: i32 = 6;
/// The source that CloudEvents name.
const SOURCE: &str = "/vedette";

/// What it means; `None` where there is no sink.
///
/// # Errors
/// When a value is wrong, or a filter cannot be read; says which and what was expected.
pub(super) fn read(written: Written) -> Result<Option<Settings>, ConfigError> {
    let Some(bootstrap) = written.bootstrap.filter(|bootstrap| !bootstrap.is_empty()) else {
        return Ok(None);
    };
    let brokers_are_named = bootstrap.split(',').all(|broker| {
        let port = broker.trim().rsplit_once(':').map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        matches!(port, Some((true, Ok(_))))
    });
    if !brokers_are_named {
        let expected = "HOST:PORT, or several with commas between".to_owned();
        return Err(ConfigError::Value { key: "kafka.bootstrap", found: bootstrap, expected });
    }
    // Any moment will do: it is only tried whether it can be read.
    if let Err(error) = Predicate::parse(&written.filter, &Options::default()) {
        let expected = format!("a query: {}", wire::cause::chain(&error));
        return Err(ConfigError::Value { key: "kafka.filter", found: written.filter, expected });
    }
    Ok(Some(Settings {
        topics: topics(written.format, written.topic.as_deref(), written.topics)?,
        create: create(written.create_topics, written.partitions, written.replication)?,
        properties: properties(written.properties)?,
        bootstrap,
        filter: written.filter,
        from_now: written.start == Start::Now,
        findings: written.findings.unwrap_or(true),
        source: written.source.unwrap_or_else(|| SOURCE.to_owned()),
    }))
}

fn topics(
    format: Format,
    single: Option<&str>,
    mut written: BTreeMap<String, WrittenTopic>,
) -> Result<BTreeMap<Group, Topic>, ConfigError> {
    let mut topics = BTreeMap::new();
    for group in Group::ALL.iter().copied() {
        let default = || single.map_or_else(|| group.topic().to_string(), str::to_owned);
        let topic = match written.remove(group.name()) {
            None => Topic { name: default(), format },
            Some(WrittenTopic::Name(name)) => Topic { name, format },
            Some(WrittenTopic::Table(TopicTable { name, format: own })) => {
                Topic { name: name.unwrap_or_else(default), format: own.unwrap_or(format) }
            }
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.name.is_empty() || topic.name.len() > 249 || !topic.name.chars().all(is_name) {
            return Err(ConfigError::Value {
                key: "kafka.topics",
                found: topic.name,
                expected: "a topic's name: 1 to 249 letters, digits, '.', '_' and '-'".to_owned(),
            });
        }
        topics.insert(group, topic);
    }
    match written.into_keys().next() {
        None => Ok(topics),
        Some(found) => Err(ConfigError::Value {
            key: "kafka.topics",
            found,
            expected: format!(
                "one of {}",
                Group::ALL.iter().map(|g| g.name()).collect::<Vec<_>>().join(", ")
            ),
        }),
    }
}

fn create(
    wanted: bool,
    partitions: Option<i32>,
    replication: Option<i32>,
) -> Result<Option<Create>, ConfigError> {
    for (key, n) in [("kafka.partitions", partitions), ("kafka.replication", replication)] {
        if let Some(n) = n.filter(|n| *n < 1) {
            return Err(ConfigError::Value { key, found: n.to_string(), expected: "at least 1".to_owned() });
        }
    }
    Ok(wanted.then(|| Create { partitions: partitions.unwrap_or(PARTITIONS), replication }))
}

fn properties(written: BTreeMap<String, WrittenSetting>) -> Result<BTreeMap<String, Setting>, ConfigError> {
    let mut properties = BTreeMap::new();
    for (name, setting) in written {
        let refused =
            |expected: String| ConfigError::Value { key: "kafka.properties", found: name.clone(), expected };
        if let Some(why) = is_ours(&name) {
            return Err(refused(format!("not this property: {why}")));
        }
        let setting = match setting {
            WrittenSetting::Text(text) => Setting::Plain(text),
            WrittenSetting::Number(n) => Setting::Plain(n.to_string()),
            WrittenSetting::Flag(flag) => Setting::Plain(flag.to_string()),
            WrittenSetting::Place(Place { file: Some(path), env: None }) => Setting::File(path),
            WrittenSetting::Place(Place { file: None, env: Some(name) }) => Setting::Env(name),
            WrittenSetting::Place(_) => {
                return Err(refused("a value, { file = \"PATH\" } or { env = \"NAME\" }".to_owned()));
            }
        };
        properties.insert(name, setting);
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    use super::*;

    fn load(toml: &str) -> Result<Option<Settings>, String> {
        let written: Written = Figment::from(Toml::string(toml)).extract().map_err(|e| e.to_string())?;
        read(written).map_err(|e| e.to_string())
    }

    #[test]
    fn without_brokers_there_is_no_sink() {
        assert_eq!(load("").unwrap(), None);
        let settings = load("bootstrap = \"a:9092, [::1]:9093\"").unwrap().unwrap();
        assert_eq!(settings.topics[&Group::Process].name, "vedette.process");
        assert!(settings.from_now && settings.findings && settings.create.is_none());
    }

    #[test]
    fn a_topic_has_a_name_and_a_format_of_its_own() {
        let settings = load(
            "bootstrap = \"a:1\"\ntopic = \"all\"\nformat = \"ecs\"\ncreate_topics = true\nreplication = 3\n\
             [topics]\nfile = \"files\"\ndns = { format = \"native\" }",
        );
        let settings = settings.unwrap().unwrap();
        let topic = |group| &settings.topics[&group];
        assert_eq!((topic(Group::Process).name.as_str(), topic(Group::Process).format), ("all", Format::Ecs));
        assert_eq!((topic(Group::File).name.as_str(), topic(Group::File).format), ("files", Format::Ecs));
        assert_eq!((topic(Group::Dns).name.as_str(), topic(Group::Dns).format), ("all", Format::Native));
        assert_eq!(settings.create, Some(Create { partitions: PARTITIONS, replication: Some(3) }));
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not() {
        for (toml, expected) in [
            ("bootstrap = \"kafka\"", "HOST:PORT"),
            ("bootstrap = \"a:1\"\nfilter = \"event.categry:file\"", "event.categry"),
            ("bootstrap = \"a:1\"\nfilter = \"lineage.ancestor.name:sh\"", "lineage"),
            ("bootstrap = \"a:1\"\n[topics]\nfiles = \"x\"", "one of process, file"),
            ("bootstrap = \"a:1\"\ntopic = \"no such/name\"", "letters, digits"),
            ("bootstrap = \"a:1\"\npartitions = 0", "at least 1"),
            ("bootstrap = \"a:1\"\n[properties]\nacks = \"1\"", "not this property"),
            ("bootstrap = \"a:1\"\n[properties]\n\"sasl.password\" = { file = \"a\", env = \"b\" }", "env"),
            ("bootstrap = \"a:1\"\nformat = \"xml\"", "format"),
        ] {
            let error = load(toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        let settings = load("bootstrap = \"a:1\"\n[properties]\n\"sasl.password\" = \"s3cret\"").unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
