//! What a sensor is told: defaults, then a TOML file, then the environment, then flags.

mod flags;
mod wrong;

pub use flags::{Flags, To};
pub use wire::settings::ConfigError;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::container::resolver::{Source, SourceError};
use crate::probe::MAX_DNS_PORTS;
use crate::record::PerClass;
use crate::redact::{Redaction, RedactionError, Redactor};

/// The settings of a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder for all state.
    pub home: PathBuf,
    /// Where these settings stand, or would.
    pub file: PathBuf,
    /// The name of this sensor on this host: of its pins, its spool and its identity's folder.
    pub name: String,
    /// The control group that it is confined to; none: it sees all of the host.
    pub cgroup: Option<PathBuf>,
    /// The collectors to report to, the preferred one first; none given: those of the enrolment.
    pub collectors: Vec<String>,
    /// Where sealed batches wait for their acknowledgement; should be in tmpfs.
    /// Each enrolment has a folder of its own in it, named by its host id.
    pub spool: PathBuf,
    /// How many bytes they may take.
    pub spool_bytes: u64,
    /// Where they go while no collector takes them: a folder on disk, with one in it for each enrolment. None: nowhere.
    pub spool_disk: Option<PathBuf>,
    /// How many bytes they may take there; less of a small file system.
    pub spool_disk_bytes: u64,
    /// Sizes of the rings, in bytes.
    pub ring_bytes: PerClass<u32>,
    /// Where DNS servers listen: what goes to and comes from these ports is told as DNS.
    pub dns_ports: Vec<u16>,
    /// The file that says which events are shipped; none: the built-in collection.
    pub collection: Option<PathBuf>,
    /// Whose records the kernel leaves out.
    pub exclude: Exclude,
    /// Which secrets in arguments are replaced.
    pub redaction: Redaction,
    /// Which executables are hashed; none: none.
    pub hashing: Option<Hashing>,
    /// Who is asked for the names of containers, in this order; nobody: they have none.
    pub container_sources: Vec<Source>,
    /// Where `/metrics` is served, without a password: a loopback address. None: nowhere.
    pub metrics: Option<SocketAddr>,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
}

/// Processes of which the kernel records nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclude {
    /// Those of these real user ids.
    pub users: Vec<u32>,
    /// Those that run these files.
    pub executables: Vec<PathBuf>,
    /// Those in these control groups (their directories), not in groups below.
    pub cgroups: Vec<PathBuf>,
}

/// Which executables are hashed, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// Files of up to so many bytes.
    pub max_file_bytes: u64,
    /// So many MiB a second are read.
    pub mib_per_second: NonZeroU32,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The same as it is written in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    home: PathBuf,
    name: Option<String>,
    cgroup: Option<PathBuf>,
    collectors: Vec<String>,
    spool: Option<PathBuf>,
    spool_mb: u64,
    spool_disk: Option<PathBuf>,
    spool_disk_mb: u64,
    process_ring_mb: u32,
    bulk_ring_mb: u32,
    file_ring_mb: u32,
    dns_ports: Vec<u16>,
    collection: Option<PathBuf>,
    exclude_users: Vec<u32>,
    exclude_executables: Vec<PathBuf>,
    exclude_cgroups: Vec<PathBuf>,
    redact: bool,
    redact_without: Vec<String>,
    redact_patterns: Vec<String>,
    hash: bool,
    hash_max_mb: u32,
    hash_mb_per_second: u32,
    container_names: bool,
    container_sources: Vec<String>,
    metrics: Option<String>,
    log: String,
    log_format: LogFormat,
}

/// The prefix of the variables that stand for keys of the file: `VEDETTE_SENSOR_SPOOL_MB`.
const PREFIX: &str = "VEDETTE_SENSOR_";
/// The most sources of containers' names.
const MAX_SOURCES: usize = 32;
/// The most that batches may take on disk, in MiB: a TiB.
const MAX_SPOOL_DISK_MB: u64 = 1 << 20;
/// The name of a sensor that sees all of the host.
const NAME: &str = "sensor";

/// Where batches of the sensor of this name wait when nothing else is said.
pub fn default_spool(name: &str) -> PathBuf {
    PathBuf::from("/dev/shm/vedette").join(name).join("spool")
}

impl Config {
    /// Reads the settings: `flags` win over the environment, that over the file, that over defaults. The file
    /// is the one `flags` names, else `NAME/sensor.toml` under the home if it is there, else the system's.
    ///
    /// # Errors
    /// When a file or a value cannot be read, or a key is not known; says which and what was expected.
    pub fn load(flags: &Flags, default_home: &Path) -> Result<Self, ConfigError> {
        let home = flags.home.clone().unwrap_or_else(|| default_home.to_owned());
        let name = flags.name.clone().unwrap_or_else(|| default_name(flags.to, flags.cgroup.as_deref()));
        let file = match &flags.config {
            Some(file) if !file.is_file() => return Err(ConfigError::NoFile { path: file.clone() }),
            Some(file) => file.clone(),
            None => wire::home::settings(&home, &name, "sensor.toml"),
        };
        let mut figment = Figment::from(Serialized::defaults(Written::defaults(home)));
        if file.is_file() {
            figment = figment.merge(Toml::file_exact(&file));
        }
        figment = figment.merge(Env::prefixed(PREFIX));
        for (key, value) in flags.given() {
            figment = figment.merge(Serialized::default(key, value));
        }
        let written: Written = figment.extract().map_err(|e| wrong::explain(&e, &file))?;
        Self::read(written, file, flags.to)
    }

    /// The folder of this sensor's identity.
    pub fn folder(&self) -> PathBuf {
        self.home.join(&self.name)
    }

    fn read(written: Written, file: PathBuf, to: To) -> Result<Self, ConfigError> {
        let name = written.name.unwrap_or_else(|| default_name(to, written.cgroup.as_deref()));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(ConfigError::Value {
                key: "name",
                found: name,
                expected: "1 to 64 letters, digits, - or _".to_owned(),
            });
        }
        if let Some(found) = written.collectors.iter().find(|collector| !is_host_port(collector)) {
            return Err(ConfigError::Value {
                key: "collectors",
                found: found.clone(),
                expected: "host:port such as collector.example:7443".to_owned(),
            });
        }
        let mib = |key: &'static str, n: u64, most: u64| match n {
            n if (1..=most).contains(&n) => Ok(n << 20),
            n => {
                Err(ConfigError::Value { key, found: n.to_string(), expected: format!("1 to {most} (MiB)") })
            }
        };
        let ring =
            |key, n: u32| mib(key, n.into(), 1024).map(|bytes| u32::try_from(bytes).unwrap_or(1 << 30));
        let max_file_bytes = mib("hash_max_mb", written.hash_max_mb.into(), 1024)?;
        mib("hash_mb_per_second", written.hash_mb_per_second.into(), 1024)?;
        let mib_per_second = NonZeroU32::new(written.hash_mb_per_second).unwrap_or(NonZeroU32::MIN);
        let spool = written.spool.unwrap_or_else(|| default_spool(&name));
        let home = absolute("home", &written.home)?;
        let spool_disk = match &written.spool_disk {
            _ if written.spool_disk_mb == 0 => None,
            Some(folder) => Some(absolute("spool_disk", folder)?),
            None => Some(home.join(&name).join("spool")),
        };
        let spool_disk_bytes = match written.spool_disk_mb {
            0 => 0,
            n => mib("spool_disk_mb", n, MAX_SPOOL_DISK_MB)?,
        };
        Ok(Self {
            home,
            file,
            cgroup: written.cgroup,
            collectors: written.collectors,
            spool,
            spool_bytes: mib("spool_mb", written.spool_mb, 1024)?,
            spool_disk,
            spool_disk_bytes,
            ring_bytes: [
                ring("process_ring_mb", written.process_ring_mb)?,
                ring("bulk_ring_mb", written.bulk_ring_mb)?,
                ring("file_ring_mb", written.file_ring_mb)?,
            ],
            dns_ports: ports(written.dns_ports)?,
            collection: written.collection,
            exclude: Exclude {
                users: written.exclude_users,
                executables: written.exclude_executables,
                cgroups: written.exclude_cgroups,
            },
            redaction: usable(Redaction {
                on: written.redact,
                without: written.redact_without,
                patterns: written.redact_patterns,
            })?,
            hashing: written.hash.then_some(Hashing { max_file_bytes, mib_per_second }),
            container_sources: match written.container_names {
                true => sources(written.container_sources)?,
                false => Vec::new(),
            },
            metrics: written.metrics.map(loopback).transpose()?,
            log: written.log,
            log_format: written.log_format,
            name,
        })
    }
}

impl Written {
    fn defaults(home: PathBuf) -> Self {
        Self {
            home,
            name: None,
            cgroup: None,
            collectors: Vec::new(),
            spool: None,
            spool_mb: 64,
            spool_disk: None,
            spool_disk_mb: 512,
            process_ring_mb: 8,
            bulk_ring_mb: 4,
            file_ring_mb: 4,
            dns_ports: vec![53],
            collection: None,
            exclude_users: Vec::new(),
            exclude_executables: Vec::new(),
            exclude_cgroups: Vec::new(),
            redact: true,
            redact_without: Vec::new(),
            redact_patterns: Vec::new(),
            hash: true,
            hash_max_mb: 64,
            hash_mb_per_second: 32,
            container_names: true,
            container_sources: Source::defaults().iter().map(Source::to_string).collect(),
            metrics: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

/// Confined sensors, and those that only print, get a name of their own, so that several live on
/// one kernel.
fn default_name(to: To, cgroup: Option<&Path>) -> String {
    let name = match to {
        To::Collector => NAME,
        To::Stdout => "stdout",
    };
    match cgroup {
        None => name.to_owned(),
        Some(path) => {
            let hash = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
            format!("{name}-{}", hash.get(..8).unwrap_or_default())
        }
    }
}

/// The same, if it can be done.
fn usable(redaction: Redaction) -> Result<Redaction, ConfigError> {
    let wrong = |key, found, expected| Err(ConfigError::Value { key, found, expected });
    match Redactor::new(&redaction) {
        Ok(_) => Ok(redaction),
        Err(RedactionError::Rule { name, known }) => {
            wrong("redact_without", name, format!("some of {known}"))
        }
        Err(RedactionError::Pattern { pattern, reason }) => {
            wrong("redact_patterns", pattern, format!("a regular expression of the regex crate: {reason}"))
        }
        Err(error) => wrong("redact_patterns", redaction.patterns.len().to_string(), error.to_string()),
    }
}

fn ports(found: Vec<u16>) -> Result<Vec<u16>, ConfigError> {
    if found.len() <= MAX_DNS_PORTS && !found.contains(&0) {
        return Ok(found);
    }
    Err(ConfigError::Value {
        key: "dns_ports",
        found: format!("{found:?}"),
        expected: format!("at most {MAX_DNS_PORTS} ports from 1 to 65535, such as [53, 5353]"),
    })
}

/// The sources that are named; a runtime has a socket or two.
fn sources(texts: Vec<String>) -> Result<Vec<Source>, ConfigError> {
    let wrong = |found, expected| ConfigError::Value { key: "container_sources", found, expected };
    if texts.len() > MAX_SOURCES {
        return Err(wrong(texts.len().to_string(), format!("at most {MAX_SOURCES} of them")));
    }
    let read = |text: String| text.parse().map_err(|error: SourceError| wrong(text, error.wanted()));
    texts.into_iter().map(read).collect()
}

fn absolute(key: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|_| ConfigError::Value {
        key,
        found: path.display().to_string(),
        expected: "the path of a folder".to_owned(),
    })
}

fn loopback(text: String) -> Result<SocketAddr, ConfigError> {
    let address = text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
    address.ok_or(ConfigError::Value {
        key: "metrics",
        found: text,
        expected: "a loopback address and a port such as 127.0.0.1:7445, as metrics are served to anybody"
            .to_owned(),
    })
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn load(toml: &str, flags: Flags) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sensor.toml");
        std::fs::write(&file, toml).unwrap();
        let flags = Flags { config: Some(file), ..flags };
        Config::load(&flags, Path::new("/home/of/vedette")).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_win_over_the_file_and_that_over_defaults() {
        let flags = Flags { name: Some("web".to_owned()), ..Flags::default() };
        let text = "name = \"db\"\nspool_mb = 7\nexclude_users = [33]\ncollection = \"/etc/ship.txt\"";
        let config = load(text, flags).unwrap();
        assert_eq!(config.name, "web");
        assert_eq!(config.spool, Path::new("/dev/shm/vedette/web/spool"));
        assert_eq!(config.spool_bytes, 7 << 20);
        assert_eq!(config.exclude.users, [33]);
        assert_eq!(config.collection.as_deref(), Some(Path::new("/etc/ship.txt")));
        assert_eq!(config.metrics, None, "served only if asked for");
        assert_eq!(config.folder(), Path::new("/home/of/vedette/web"));
        assert_eq!(load("", Flags::default()).unwrap().folder(), Path::new("/home/of/vedette/sensor"));
    }

    #[test]
    fn batches_go_to_disk_beside_the_identity_unless_something_else_is_said() {
        let disk = |toml: &str| {
            let config = load(toml, Flags::default()).unwrap();
            (config.spool_disk, config.spool_disk_bytes)
        };
        assert_eq!(disk(""), (Some("/home/of/vedette/sensor/spool".into()), 512 << 20));
        let own = "spool_disk = \"/data/spool\"\nspool_disk_mb = 7";
        assert_eq!(disk(own), (Some("/data/spool".into()), 7 << 20));
        assert_eq!(disk("spool_disk_mb = 0"), (None, 0));
    }

    #[test]
    fn a_confined_sensor_has_a_name_of_its_own() {
        let confined = |path: &str| {
            let flags = Flags { cgroup: Some(path.into()), ..Flags::default() };
            load("", flags).unwrap().name
        };
        assert_ne!(confined("/sys/fs/cgroup/a"), confined("/sys/fs/cgroup/b"));
        assert_eq!(confined("/sys/fs/cgroup/a"), confined("/sys/fs/cgroup/a"));
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest() {
        let error = load("spol_mb = 7", Flags::default()).unwrap_err();
        assert!(error.contains("spol_mb") && error.contains("did you mean spool_mb"), "{error}");
        assert!(error.contains("sensor.toml"), "{error}");
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        for (toml, expected) in [
            ("name = \"../x\"", "letters"),
            ("spool_mb = 0", "1 to 1024"),
            ("spool_disk_mb = 2000000", "1 to 1048576"),
            ("bulk_ring_mb = 5000", "1 to 1024"),
            ("collectors = [\"host\"]", "host:port"),
            ("collectors = [\"::1:7443\"]", "host:port"),
            ("spool_mb = \"much\"", "spool_mb"),
            ("metrics = \"0.0.0.0:7445\"", "loopback"),
            ("metrics = \"7445\"", "127.0.0.1:7445"),
            ("redact_without = [\"jwtt\"]", "jwt, private-key"),
            ("redact_patterns = [\"a(b\"]", "unclosed group"),
            ("redact = \"some\"", "redact"),
            ("dns_ports = [53, 0]", "1 to 65535"),
            ("dns_ports = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "at most 8"),
            ("dns_ports = [65536]", "dns_ports"),
            ("hash_max_mb = 0", "1 to 1024"),
            ("hash_mb_per_second = 0", "hash_mb_per_second"),
            ("container_sources = [\"/run/docker.sock\"]", "docker:/run/docker.sock"),
        ] {
            let error = load(toml, Flags::default()).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
        load("collectors = [\"[::1]:7443\", \"a.b:1\"]", Flags::default()).unwrap();
        load("metrics = \"[::1]:7445\"", Flags::default()).unwrap();
    }

    #[test]
    fn redaction_is_on_and_is_changed_by_rule_and_by_pattern() {
        assert_eq!(load("", Flags::default()).unwrap().redaction, Redaction::default());
        let toml = "redact = true\nredact_without = [\"jwt\"]\nredact_patterns = ['^--pin=(\\d+)$']";
        let redaction = load(toml, Flags::default()).unwrap().redaction;
        assert_eq!(
            (redaction.on, redaction.without, redaction.patterns),
            (true, vec!["jwt".to_owned()], vec![r"^--pin=(\d+)$".to_owned()])
        );
        assert!(!load("redact = false", Flags::default()).unwrap().redaction.on);
    }

    #[test]
    fn executables_are_hashed_unless_that_is_switched_off() {
        let hashing = load("hash_max_mb = 7", Flags::default()).unwrap().hashing.unwrap();
        assert_eq!((hashing.max_file_bytes, hashing.mib_per_second.get()), (7 << 20, 32));
        assert_eq!(load("hash = false", Flags::default()).unwrap().hashing, None);
    }

    #[test]
    fn dns_is_looked_for_at_its_port_unless_others_are_named() {
        assert_eq!(load("", Flags::default()).unwrap().dns_ports, [53]);
        assert_eq!(load("dns_ports = [53, 5353]", Flags::default()).unwrap().dns_ports, [53, 5353]);
        assert!(load("dns_ports = []", Flags::default()).unwrap().dns_ports.is_empty());
    }

    #[test]
    fn containers_are_named_unless_that_is_switched_off() {
        let sources = |toml: &str| load(toml, Flags::default()).unwrap().container_sources;
        assert_eq!(sources(""), Source::defaults());
        assert_eq!(sources("container_names = false"), []);
        let own = "container_sources = [\"containerd:/run/k0s/containerd.sock\"]";
        assert_eq!(sources(own), ["containerd:/run/k0s/containerd.sock".parse().unwrap()]);
    }

    #[test]
    fn what_packages_bring_says_what_the_defaults_are() {
        let brought = include_str!("../../deploy/settings/sensor.toml");
        assert!(load(brought, Flags::default()).is_ok(), "as it is");
        // A setting is commented out without a blank, what is said of it with one.
        let lines =
            brought.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
        let is_example = |line: &&str| line.starts_with("metrics") || line.starts_with("collection ");
        let (examples, defaults): (Vec<&str>, Vec<&str>) = lines.partition(is_example);
        assert_eq!(examples.len(), 2);
        assert!(defaults.len() > 15, "{defaults:?}");
        let with = |toml: &str| Config { file: PathBuf::new(), ..load(toml, Flags::default()).unwrap() };
        assert_eq!(with(&defaults.join("\n")), with(""));
        load(&examples.join("\n"), Flags::default()).unwrap();
    }

    #[test]
    fn a_named_file_must_be_there() {
        let flags = Flags { config: Some("/nowhere/sensor.toml".into()), ..Flags::default() };
        let error = Config::load(&flags, Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/sensor.toml"), "{error}");
    }
}
