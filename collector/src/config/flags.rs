//! The flags of `vedette-collector serve`, each of which stands for a key of the file.

use std::path::PathBuf;

use clap::Args;
use figment::value::Value;

use super::LogFormat;

/// What may be said on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeFlags {
    /// The file with the settings; default: collector/collector.toml under the home, else /etc/vedette/collector.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for all state; default: /var/lib/vedette for root, else $XDG_STATE_HOME/vedette.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Where sensors (UDP) and the API (TCP) are listened for; default: 0.0.0.0:7443.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Where /metrics is served on loopback; default: 127.0.0.1 and the port after --listen's.
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<String>,
    /// The PostgreSQL to use; default: a private one under the home.
    #[arg(long, value_name = "URL", env = "VEDETTE_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// How long events are kept; default: 30d.
    #[arg(long, value_name = "DURATION")]
    pub retention: Option<String>,
    /// How much is kept at most, in GB of stored events; default: as much as fits.
    #[arg(long, value_name = "GB")]
    pub retention_gb: Option<u64>,
    /// How long a host's certificate is valid, 10s to 7d; it is renewed at half of that; default: 24h.
    #[arg(long, value_name = "DURATION")]
    pub certificate_lifetime: Option<String>,
    /// One more DNS name or address that the API is called by; may be repeated.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// What is logged: error, warn, info, debug, or as RUST_LOG has it; default: info.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How the log is written; default: text.
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Send events to the Kafka with these brokers (docs/kafka.md); several with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Make topics that Kafka does not have.
    #[arg(long)]
    pub kafka_create_topics: bool,
    /// Leave a token for the vedette CLI of this host in collector/cli.toml.
    #[arg(long)]
    pub local_cli: bool,
}

impl ServeFlags {
    /// The keys that were given, with their values.
    pub(super) fn given(&self) -> Vec<(&'static str, Value)> {
        let mut given = Vec::new();
        let mut put = |key, value: Option<Value>| given.extend(value.map(|value| (key, value)));
        let path = |p: &PathBuf| Value::from(p.to_string_lossy().into_owned());
        put("home", self.home.as_ref().map(path));
        put("listen", self.listen.clone().map(Value::from));
        put("metrics", self.metrics.clone().map(Value::from));
        put("database", self.database.clone().map(Value::from));
        put("retention", self.retention.clone().map(Value::from));
        put("retention_gb", self.retention_gb.map(Value::from));
        put("certificate_lifetime", self.certificate_lifetime.clone().map(Value::from));
        put("names", (!self.names.is_empty()).then(|| Value::from(self.names.clone())));
        put("log", self.log.clone().map(Value::from));
        let format = |format| match format {
            LogFormat::Text => Value::from("text"),
            LogFormat::Json => Value::from("json"),
        };
        put("log_format", self.log_format.map(format));
        put("kafka.bootstrap", self.kafka.clone().map(Value::from));
        put("kafka.create_topics", self.kafka_create_topics.then(|| Value::from(true)));
        given
    }
}
