//! What a collector is told: defaults, then a TOML file, then the environment, then flags.

mod flags;
mod kafka;
mod wrong;

pub use flags::ServeFlags;
pub use wire::settings::ConfigError;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// The settings of a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder for all state.
    pub home: PathBuf,
    /// Where sensors (UDP) and the API (TCP) are listened for.
    pub listen: SocketAddr,
    /// Where `/metrics` is served, without a password: a loopback address.
    pub metrics: SocketAddr,
    /// The PostgreSQL to use; `None`: a private one under `home`.
    pub database: Option<String>,
    /// How long events are kept.
    pub retention: Duration,
    /// Beyond this many bytes of stored events the oldest days go, whatever `retention` says.
    pub retention_bytes: Option<u64>,
    /// How long a host's certificate is valid; it is renewed at half of that.
    pub certificate_lifetime: Duration,
    /// More DNS names and addresses that the API is called by.
    pub names: Vec<String>,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// Where events go beside the store; `None`: nowhere.
    pub kafka: Option<crate::kafka::Settings>,
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
    listen: String,
    metrics: Option<String>,
    database: Option<String>,
    database_file: Option<PathBuf>,
    retention: String,
    retention_gb: Option<u64>,
    certificate_lifetime: String,
    names: Vec<String>,
    log: String,
    log_format: LogFormat,
    kafka: kafka::Written,
}

/// The prefix of the variables that stand for keys of the file: `VEDETTE_COLLECTOR_LISTEN`.
const PREFIX: &str = "VEDETTE_COLLECTOR_";
const DAY: Duration = Duration::from_secs(86_400);

impl Config {
    /// Reads the settings: `flags` win over the environment, that over the file, that over defaults. The file
    /// is the one `flags` names, else `collector/collector.toml` under the home if it is there, else the system's.
    ///
    /// # Errors
    /// When a file or a value cannot be read, or a key is not known; says which and what was expected.
    pub fn load(flags: &ServeFlags, default_home: &Path) -> Result<Self, ConfigError> {
        let file = Self::file(flags, default_home);
        if flags.config.is_some() && !file.is_file() {
            return Err(ConfigError::NoFile { path: file });
        }
        let mut figment = Figment::from(Serialized::defaults(Written::defaults(default_home.to_owned())));
        if file.is_file() {
            figment = figment.merge(Toml::file_exact(&file));
        }
        // A table's keys behind two underscores: VEDETTE_COLLECTOR_KAFKA__BOOTSTRAP.
        figment = figment.merge(Env::prefixed(PREFIX).split("__"));
        for (key, value) in flags.given() {
            figment = figment.merge(Serialized::default(key, value));
        }
        let written: Written = figment.extract().map_err(|e| wrong::explain(&e, &file))?;
        Self::read(written)
    }

    /// The file that [`Self::load`] reads, or would if it were there.
    pub fn file(flags: &ServeFlags, default_home: &Path) -> PathBuf {
        let home = flags.home.as_deref().unwrap_or(default_home);
        flags.config.clone().unwrap_or_else(|| wire::home::settings(home, "collector", "collector.toml"))
    }

    fn read(written: Written) -> Result<Self, ConfigError> {
        let address = |key: &'static str, text: &str| {
            text.parse::<SocketAddr>().map_err(|_| ConfigError::Value {
                key,
                found: text.to_owned(),
                expected: "an address and a port such as 0.0.0.0:7443 or [::]:7443".to_owned(),
            })
        };
        let listen = address("listen", &written.listen)?;
        let metrics = match &written.metrics {
            Some(text) => address("metrics", text)?,
            // Any port for metrics beside any port for the rest.
            None if listen.port() == 0 => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port().wrapping_add(1)),
        };
        if !metrics.ip().is_loopback() {
            return Err(ConfigError::Value {
                key: "metrics",
                found: metrics.to_string(),
                expected: "a loopback address, as metrics are served to anybody".to_owned(),
            });
        }
        let span = |key: &'static str, text: &str, (least, most): (Duration, Duration), bounds: &str| {
            let refused =
                |expected: String| Err(ConfigError::Value { key, found: text.to_owned(), expected });
            match crate::span::parse(text) {
                Err(wrong) => refused(wrong.to_string()),
                Ok(span) if span < least || span > most => refused(bounds.to_owned()),
                Ok(span) => Ok(span),
            }
        };
        let retention = span("retention", &written.retention, (DAY, Duration::MAX), "at least 1d")?;
        let certificate_lifetime = span(
            "certificate_lifetime",
            &written.certificate_lifetime,
            (Duration::from_secs(10), 7 * DAY),
            "10s to 7d",
        )?;
        Ok(Self {
            home: std::path::absolute(&written.home).map_err(|_| ConfigError::Value {
                key: "home",
                found: written.home.display().to_string(),
                expected: "the path of a folder".to_owned(),
            })?,
            listen,
            metrics,
            database: match written.database.filter(|url| !url.is_empty()) {
                Some(url) => Some(url),
                None => written.database_file.as_deref().map(secret).transpose()?,
            },
            retention,
            certificate_lifetime,
            retention_bytes: written.retention_gb.map(|gb| gb.saturating_mul(1_000_000_000)),
            names: written.names,
            log: written.log,
            log_format: written.log_format,
            kafka: kafka::read(written.kafka)?,
        })
    }

    /// The collector's own folder: its authority, and what the CLI of this host needs.
    pub fn folder(&self) -> PathBuf {
        self.home.join("collector")
    }
}

/// The URL that a file holds, for where secrets are files.
fn secret(file: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(file);
    let found = text.map(|text| text.trim().to_owned()).unwrap_or_default();
    if found.is_empty() {
        return Err(ConfigError::Value {
            key: "database_file",
            found: file.display().to_string(),
            expected: "a file that can be read and holds a URL such as postgres://vedette:…@db/vedette"
                .to_owned(),
        });
    }
    Ok(found)
}

impl Written {
    fn defaults(home: PathBuf) -> Self {
        Self {
            home,
            listen: "0.0.0.0:7443".to_owned(),
            metrics: None,
            database: None,
            database_file: None,
            retention: "30d".to_owned(),
            retention_gb: None,
            certificate_lifetime: "24h".to_owned(),
            names: Vec::new(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            kafka: kafka::Written::default(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn load(toml: &str, flags: ServeFlags) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("collector.toml");
        std::fs::write(&file, toml).unwrap();
        let flags = ServeFlags { config: Some(file), ..flags };
        Config::load(&flags, Path::new("/home/of/vedette")).map_err(|e| e.to_string())
    }

    #[test]
    fn flags_win_over_the_file_and_that_over_defaults() {
        let flags = ServeFlags { listen: Some("127.0.0.1:9000".to_owned()), ..ServeFlags::default() };
        let config = load("retention = \"7d\"\nlisten = \"0.0.0.0:1\"", flags).unwrap();
        assert_eq!(config.listen, "127.0.0.1:9000".parse().unwrap());
        assert_eq!(config.metrics, "127.0.0.1:9001".parse().unwrap());
        assert_eq!(config.retention, Duration::from_secs(7 * 86_400));
        assert_eq!(config.home, Path::new("/home/of/vedette"));
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest() {
        let error = load("retenton = \"7d\"", ServeFlags::default()).unwrap_err();
        assert!(error.contains("retenton") && error.contains("did you mean retention"), "{error}");
        assert!(error.contains("collector.toml"), "{error}");
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        for (toml, expected) in [
            ("listen = \"7443\"", "0.0.0.0:7443"),
            ("listen = 7443", "listen"),
            ("retention = \"long\"", "30d"),
            ("retention = \"1h\"", "at least 1d"),
            ("certificate_lifetime = \"9s\"", "10s to 7d"),
            ("certificate_lifetime = \"8d\"", "10s to 7d"),
            ("certificate_lifetime = 60", "certificate_lifetime"),
            ("metrics = \"0.0.0.0:7444\"", "loopback"),
            ("log_format = \"xml\"", "log_format"),
        ] {
            let error = load(toml, ServeFlags::default()).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }

    #[test]
    fn a_file_may_hold_where_the_database_is() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        let toml = format!("database_file = {:?}", secret.path());
        let error = load(&toml, ServeFlags::default()).unwrap_err();
        assert!(error.contains("holds a URL"), "{error}");
        std::fs::write(secret.path(), "postgres://a:b@c/d\n").unwrap();
        let found = |flags| load(&toml, flags).unwrap().database;
        assert_eq!(found(ServeFlags::default()).as_deref(), Some("postgres://a:b@c/d"));
        let flags = ServeFlags { database: Some("postgres://e/f".to_owned()), ..ServeFlags::default() };
        assert_eq!(found(flags).as_deref(), Some("postgres://e/f"), "what is said goes before");
    }

    #[test]
    fn what_packages_bring_says_what_the_defaults_are() {
        let brought = include_str!("../../deploy/settings/collector.toml");
        let config = |toml: &str| load(toml, ServeFlags::default()).unwrap();
        assert_eq!(config(brought), config(""), "as it is");
        // A setting is commented out without a blank, what is said of it with one.
        let lines =
            brought.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
        let examples = ["names", "database_file", "retention_gb"];
        let is_example = |line: &&str| examples.iter().any(|name| line.split(' ').next() == Some(name));
        let (shown, defaults): (Vec<_>, Vec<_>) = lines.partition(is_example);
        assert_eq!(shown.len(), examples.len());
        assert!(defaults.len() > 5, "{defaults:?}");
        assert_eq!(config(&defaults.join("\n")), config(""));
        config(&shown.join("\n").replace("/etc/vedette/database", "/proc/version"));
    }

    #[test]
    fn a_named_file_must_be_there() {
        let flags = ServeFlags { config: Some("/nowhere/collector.toml".into()), ..ServeFlags::default() };
        let error = Config::load(&flags, Path::new("/tmp")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/collector.toml"), "{error}");
    }
}
