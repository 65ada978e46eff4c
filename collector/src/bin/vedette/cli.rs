//! Every command and flag, once: help, completions and man pages come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Security observability and enforcement for fleets of Linux hosts.
#[derive(Parser)]
#[command(name = "vedette", version, about, propagate_version = true)]
#[command(after_help = "Exit codes: 0 found, 1 nothing found, 2 error.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connect: Connect,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the collector is. After `vedette up` on this host none of these is needed.
#[derive(Args)]
pub(crate) struct Connect {
    /// The collector's API, as https://HOST:7443
    #[arg(long, global = true, env = "VEDETTE_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// An API token (vedette token create)
    #[arg(long, global = true, env = "VEDETTE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The collector's CA certificate, a PEM file
    #[arg(long, global = true, env = "VEDETTE_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Search what every host reported
    Search(SearchArgs),
    /// Replay what is stored, the oldest first, into a file or into Kafka; the same command goes on where it stopped
    Export(ExportArgs),
    /// Follow events as they are stored
    Tail(TailArgs),
    /// Show a process's ancestors and descendants
    Tree(TreeArgs),
    /// List hosts, or show one
    Hosts(HostsArgs),
    /// Say how the collector is, and what is wrong now
    Status(StatusArgs),
    /// List what should not be: broken chains, ledgers that do not add up, cloned certificates
    Findings(FindingsArgs),
    /// List batches that could not be stored, and replay them; for analysts, replaying for admins
    Quarantine(QuarantineArgs),
    /// Check rules, and say what they would have hit
    Rules(RulesArgs),
    /// Turn what others have written into rules
    Import(ImportArgs),
    /// Make, list and revoke API tokens
    Token(TokenArgs),
    /// Make a token that enrols a host
    EnrollToken(EnrollTokenArgs),
    /// Who did what to tokens, enrolments and hosts; for admins
    Audit(AuditArgs),
    /// Start a private PostgreSQL, the collector and, as root, a sensor on this host
    Up(UpArgs),
    /// Stop what `up` started, and remove every BPF program and pin
    Down(DownArgs),
    /// Write store, keys and configuration of the collector on this host into one file
    Backup(BackupArgs),
    /// Put a backup back, while no collector runs; then `vedette up`
    Restore(RestoreArgs),
    /// Print a shell's completions
    Completions(CompletionsArgs),
    /// Write the man pages into a folder
    Man(ManArgs),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Default, Debug)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// One JSON object a line
    Json,
}

#[derive(Args)]
pub(crate) struct OutputArgs {
    /// How to print
    #[arg(long, short, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum ExportTo {
    /// One JSON object a line, into FILE or to standard output
    Ndjson,
    /// A row an event and a column a field, into FILE
    Parquet,
    /// Into the Kafka that the collector exports to, under the same ids; FILE remembers how far it has come
    Kafka,
}

/// Where in history to look.
#[derive(Args)]
pub(crate) struct Within {
    /// Not before: 15m, 24h, 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    pub(crate) since: String,
    /// Not after: like --since
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// Only this host: its name or id
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

#[derive(Subcommand)]
pub(crate) enum ImportFrom {
    /// Tetragon's tracing policies (docs/tracing-policy.md): prints rules, and says on standard error what became of each part
    TracingPolicy {
        /// Policies, as YAML; - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write the rules into this file, which must not be there yet
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Subcommand)]
pub(crate) enum RulesCommand {
    /// Say what is wrong with rules, and where each can be decided
    Check {
        /// Files of rules (docs/rules.md); - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Say what rules would have hit: hosts, programs, first and last, over time, and a sample
    DryRun {
        /// Files of rules (docs/rules.md); - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        within: Within,
        /// How many of the events to show, the newest first
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        sample: u32,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// What to export, as 'process.name:curl and host.name:web-*'; everything if absent
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// The file to write
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) within: Within,
    /// Where to
    #[arg(long, value_enum, default_value = "ndjson")]
    pub(crate) to: ExportTo,
    /// The schema, ocsf, ecs or native; into Kafka each topic has its own, and Parquet has our fields [default: ocsf]
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) format: Option<vedette_collector::record::Format>,
}

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// What to look for, as 'process.name:curl and host.name:web-*'; everything if absent
    #[arg(default_value = "")]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) within: Within,
    /// How many events at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Go on where an earlier search stopped
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    /// Count over time instead of listing
    #[arg(long, conflicts_with_all = ["top", "cursor"])]
    pub(crate) histogram: bool,
    /// Count a field's most frequent values instead of listing
    #[arg(long, value_name = "FIELD", conflicts_with = "cursor")]
    pub(crate) top: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
pub(crate) struct TailArgs {
    /// What to follow, as 'event.action:connect and destination.port:443'; everything if absent
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
pub(crate) struct TreeArgs {
    /// The process, by its process.entity_id
    #[arg(value_name = "ENTITY_ID", required_unless_present = "pid", conflicts_with = "pid")]
    pub(crate) entity: Option<String>,
    /// The host, by name or id
    #[arg(long, value_name = "HOST", required_unless_present = "entity")]
    pub(crate) host: Option<String>,
    /// The latest process that had this pid
    #[arg(long, value_name = "PID", requires = "host")]
    pub(crate) pid: Option<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HostsCommand>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Subcommand)]
pub(crate) enum HostsCommand {
    /// One host: version, kernel, clock, the ledger of every stream, and its open findings
    Show {
        /// The host, by name or id
        host: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Revoke a host, for ever: its sessions are cut within seconds, and it can neither connect nor renew
    Revoke {
        /// The host, by name or id
        host: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
pub(crate) struct FindingsArgs {
    /// Only those about this host: its name or id
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    pub(crate) command: Option<QuarantineCommand>,
    #[command(flatten)]
    pub(crate) list: QuarantineListArgs,
}

#[derive(Args)]
pub(crate) struct QuarantineListArgs {
    /// Only the batches of this host: its name or id
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List them, the one that came last first
    List(QuarantineListArgs),
    /// One of them: why it is there, and what its header says
    Show {
        /// Its id, as list shows it
        id: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// The events that Kafka refused, the last first: too large for their topic, or against its rules
    Records {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Read them again, as after an upgrade, and store them in their place; what is refused again stays
    Replay {
        /// Their ids, as list shows them
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// All of them
        #[arg(long)]
        all: bool,
        /// With --all: only those of this host, by name or id
        #[arg(long, value_name = "HOST", requires = "all")]
        host: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum RoleName {
    /// May search and look
    Viewer,
    /// May also work on findings
    Analyst,
    /// May also act upon hosts and rules
    Responder,
    /// May do everything
    Admin,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        /// What its holder may do
        #[arg(long, value_enum)]
        role: RoleName,
        /// How long it lives, as 12h or 30d
        #[arg(long, default_value = "30d", value_name = "DURATION")]
        ttl: String,
        /// What it is for
        #[arg(long, default_value = "", value_name = "TEXT")]
        name: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List tokens (never their secrets)
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Revoke a token
    Revoke {
        /// The token's id, as list shows it
        id: uuid::Uuid,
    },
}

#[derive(Args)]
pub(crate) struct EnrollTokenArgs {
    #[command(subcommand)]
    pub(crate) command: EnrollTokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum EnrollTokenCommand {
    /// Make a token that enrols one host, once, and print the command that does it
    Create {
        /// How long it lives, as 10m
        #[arg(long, default_value = "10m", value_name = "DURATION")]
        ttl: String,
        /// A tag that the host will carry, as env=prod; may be given many times
        #[arg(long = "tag", value_name = "KEY=VALUE")]
        tags: Vec<String>,
        /// How many hosts it enrols: the nodes of a cluster, say
        #[arg(long, value_name = "N", default_value_t = 1)]
        hosts: u16,
        /// Write what `vedette-sensor enroll --with` reads into this file, which only you can read, instead of printing
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    /// Not before: 15m, 24h, 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// How many entries at most, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Go on where an earlier list stopped
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Follow the chain of entries from the first to the last, and say where it is broken
    Verify {
        /// An end of the chain that an earlier verification printed, NUMBER:DIGEST: shows a log that was written anew
        #[arg(long, value_name = "HEAD")]
        noted: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Args, Clone)]
pub(crate) struct UpArgs {
    /// Give the terminal back once everything runs
    #[arg(long)]
    pub(crate) detach: bool,
    /// The folder for all state [default: /var/lib/vedette as root, else $XDG_STATE_HOME/vedette]
    #[arg(long, env = "VEDETTE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Where the collector listens, UDP for sensors and TCP for the API
    #[arg(long, default_value = "127.0.0.1:7443", value_name = "ADDR:PORT")]
    pub(crate) listen: std::net::SocketAddr,
    /// Use this PostgreSQL instead of a private one
    #[arg(long, env = "VEDETTE_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Keep events so long
    #[arg(long, default_value = "30d", value_name = "DURATION")]
    pub(crate) retention: String,
    /// Send events to the Kafka with these brokers too, several with commas between; topics are made (docs/kafka.md)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) kafka: Option<String>,
    /// Start no sensor on this host
    #[arg(long)]
    pub(crate) no_sensor: bool,
    /// Let the sensor see only this control group
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DownArgs {
    /// The folder that `up` used
    #[arg(long, env = "VEDETTE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

/// Where the collector of this host keeps its state.
#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// The folder for all state [default: /var/lib/vedette as root, else $XDG_STATE_HOME/vedette]
    #[arg(long, env = "VEDETTE_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The PostgreSQL, if it is not the private one
    #[arg(long, env = "VEDETTE_DATABASE", value_name = "URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
}

#[derive(Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The file to make [default: backup/vedette-TIME.tar under the home]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Remove the authority and the database that are here first
    #[arg(long)]
    pub(crate) force_replace: bool,
}

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder to write into
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
}
