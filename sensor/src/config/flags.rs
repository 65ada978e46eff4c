//! The flags of `vedette-sensor run`, most of which stand for a key of the file.

use std::path::PathBuf;

use clap::Args;
use figment::value::Value;

use super::LogFormat;

/// What may be said on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// The file with the settings; default: NAME/sensor.toml under the home, else /etc/vedette/sensor.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for all state; default: /var/lib/vedette for root, else $XDG_STATE_HOME/vedette.
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The name of this sensor on this host, if there are several; default: sensor.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// See only this control group (its directory) and those below it.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// The collectors to report to instead of those of the enrolment, the preferred one first; may be repeated.
    #[arg(long = "collector", value_name = "HOST:PORT", value_delimiter = ',')]
    pub collectors: Vec<String>,
    /// Where the events go.
    #[arg(long, value_enum, default_value_t)]
    pub to: To,
    /// Where batches wait for the collector; default: /dev/shm/vedette/NAME/spool.
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// Where batches go while no collector takes them, so that a power cut leaves them; default: NAME/spool under the home.
    #[arg(long, value_name = "DIR")]
    pub spool_disk: Option<PathBuf>,
    /// How much of that disk they may take, at most 5 % of it; 0: they stay in memory; default: 512.
    #[arg(long, value_name = "MIB")]
    pub spool_disk_mb: Option<u64>,
    /// Ship what a query of this file matches; default: the built-in collection (`check --collection` shows it).
    #[arg(long, value_name = "FILE")]
    pub collection: Option<PathBuf>,
    /// Serve what the sensor counts at http://ADDR:PORT/metrics, on loopback; default: not served.
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<String>,
    /// What is logged: error, warn, info, debug, or as RUST_LOG has it; default: info.
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How the log is written; default: text.
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum To {
    /// To the collectors of the enrolment.
    #[default]
    Collector,
    /// To standard output, one JSON object a line; needs no enrolment, keeps nothing.
    Stdout,
}

impl Flags {
    /// The keys that were given, with their values.
    pub(super) fn given(&self) -> Vec<(&'static str, Value)> {
        let mut given = Vec::new();
        let mut put = |key, value: Option<Value>| given.extend(value.map(|value| (key, value)));
        let path = |path: &PathBuf| Value::from(path.to_string_lossy().into_owned());
        put("home", self.home.as_ref().map(path));
        put("name", self.name.clone().map(Value::from));
        put("cgroup", self.cgroup.as_ref().map(path));
        put("collectors", (!self.collectors.is_empty()).then(|| Value::from(self.collectors.clone())));
        put("spool", self.spool.as_ref().map(path));
        put("spool_disk", self.spool_disk.as_ref().map(path));
        put("spool_disk_mb", self.spool_disk_mb.map(Value::from));
        put("collection", self.collection.as_ref().map(path));
        put("metrics", self.metrics.clone().map(Value::from));
        put("log", self.log.clone().map(Value::from));
        let format = |format| match format {
            LogFormat::Text => Value::from("text"),
            LogFormat::Json => Value::from("json"),
        };
        put("log_format", self.log_format.map(format));
        given
    }
}
