//! `vedette-sensor`: watches one host's kernel and reports to a collector.

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use vedette_sensor::check::{CollectionReport, Report, SpoolPlace};
use vedette_sensor::config::{Config, Flags, LogFormat};
use vedette_sensor::container::resolver::Source;
use vedette_sensor::enroll::EnrollArgs;
use vedette_sensor::identity::Identity;
use vedette_sensor::probe::Probe;
use vedette_sensor::{collection, home, manual, metrics, run};

/// One host's eyes: eBPF programs in the kernel, and what carries their events to a collector.
#[derive(Parser)]
#[command(name = "vedette-sensor", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch this host until SIGTERM or SIGINT; the programs stay in the kernel for the next run
    Run(Box<Flags>),
    /// Make this host one of a fleet, with a one-use token
    Enroll(EnrollFlags),
    /// Tell what this kernel allows, and what cannot be seen on it; exit code 1 when the sensor cannot run
    Check(CheckFlags),
    /// Remove every program and pin from the kernel
    Unload(UnloadFlags),
    /// Ask the sensor that runs here whether it reads what its programs see, at the address of its metrics; exit code 2 when not
    Health(HealthFlags),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder to write into
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
}

#[derive(Args)]
struct CheckFlags {
    /// Tell instead what each query of this collection takes in the kernel, or why it is refused; without FILE of the built-in
    /// one. Exit code 1 when a query is refused.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    collection: Option<Option<PathBuf>>,
    /// The file with the settings, as for run: which runtimes are asked for the names of containers, where
    /// batches go on disk.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the findings are written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

#[derive(Args)]
struct EnrollFlags {
    /// The folder for all state; default: /var/lib/vedette for root, else $XDG_STATE_HOME/vedette.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The name of the sensor on this host, as for run.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The control group of the sensor, as for run.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    #[command(flatten)]
    args: EnrollArgs,
}

#[derive(Args)]
struct HealthFlags {
    /// The file with the settings, as for run.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the sensor serves its metrics, as for run.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<String>,
}

#[derive(Args)]
struct UnloadFlags {
    /// Only those of the sensor of this name; default: all on this host.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(flags) => watch(&flags),
        Command::Enroll(flags) => enroll(flags),
        Command::Check(flags) => match &flags.collection {
            None => match settings(flags.config) {
                Ok((sources, spool)) => {
                    let report = Report::gather(&sources, spool.as_ref());
                    return check(&report, Report::is_usable, flags.output);
                }
                Err(error) => Err(error),
            },
            Some(path) => match collection::read(path.as_deref()) {
                Ok(found) => {
                    return check(&CollectionReport::new(&found), CollectionReport::is_usable, flags.output);
                }
                Err(error) => Err(error.into()),
            },
        },
        Command::Unload(flags) => unload(&flags),
        Command::Health(flags) => health(flags),
        Command::Completions { shell } => {
            manual::completions(Cli::command(), shell);
            Ok(())
        }
        Command::Man { dir } => manual::pages(Cli::command(), &dir).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vedette-sensor: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn watch(flags: &Flags) -> anyhow::Result<()> {
    let default_home = match &flags.home {
        Some(home) => home.clone(),
        None => home::default()?,
    };
    let config = Config::load(flags, &default_home)?;
    log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_on_signals(shutdown.clone())?);
        run::run(&config, flags.to, shutdown).await?;
        anyhow::Ok(())
    })
}

fn enroll(flags: EnrollFlags) -> anyhow::Result<()> {
    let EnrollFlags { home, name, cgroup, args } = flags;
    let default_home = match &home {
        Some(home) => home.clone(),
        None => home::default()?,
    };
    // The folder is the one that `run` with the same flags looks into.
    let flags = Flags { home, name, cgroup, ..Flags::default() };
    let folder = Config::load(&flags, &default_home)?.folder();
    if args.unless_enrolled && Identity::exists(&folder) {
        println!("this host is enrolled already; its identity is in {}", folder.display());
        return Ok(());
    }
    let args = args.enrolment()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let host = runtime.block_on(vedette_sensor::enroll::enroll(&args, &folder))?;
    println!("this host is enrolled as {host}; its identity is in {}", folder.display());
    Ok(())
}

/// Who is asked for the names of containers, and where batches may go on disk.
fn settings(config: Option<PathBuf>) -> anyhow::Result<(Vec<Source>, Option<SpoolPlace>)> {
    let flags = Flags { config, ..Flags::default() };
    let Ok(home) = home::default() else { return Ok((Source::defaults(), None)) };
    let config = Config::load(&flags, &home)?;
    let max_bytes = config.spool_disk_bytes;
    Ok((config.container_sources, config.spool_disk.map(|folder| SpoolPlace { folder, max_bytes })))
}

fn check<T: Display + Serialize>(report: &T, is_usable: fn(&T) -> bool, output: Output) -> ExitCode {
    let mut out = std::io::stdout();
    // Who closed our output has read enough; the exit code still says the rest.
    drop(match output {
        Output::Text => write!(out, "{report}"),
        Output::Json => writeln!(out, "{}", serde_json::json!(report)),
    });
    if is_usable(report) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn health(flags: HealthFlags) -> anyhow::Result<()> {
    let flags = Flags { config: flags.config, metrics: flags.metrics, ..Flags::default() };
    let address = Config::load(&flags, &home::default()?)?.metrics;
    let address = address.context(
        "the sensor serves no metrics; say where with metrics = \"127.0.0.1:7445\" in its settings",
    )?;
    metrics::ask(address)?;
    println!("the sensor reads what its programs see");
    Ok(())
}

fn unload(flags: &UnloadFlags) -> anyhow::Result<()> {
    let names = match &flags.name {
        Some(name) => vec![name.clone()],
        None => Probe::names().context("cannot unload")?,
    };
    for name in &names {
        if Probe::unload_named(name).with_context(|| format!("cannot unload sensor {name:?}"))? {
            println!("removed the programs and pins of sensor {name:?}");
        } else {
            println!("sensor {name:?} has no programs in this kernel");
        }
        clear_spool(name)?;
    }
    if names.is_empty() {
        println!("no sensor has programs in this kernel");
    }
    Ok(())
}

/// Removes the drained spools of the sensor of this name; batches that wait still are said and kept.
fn clear_spool(name: &str) -> anyhow::Result<()> {
    let spool = vedette_sensor::config::default_spool(name);
    let Ok(entries) = std::fs::read_dir(&spool) else { return Ok(()) };
    for entry in entries {
        let folder = entry.context("cannot read the spool")?.path();
        if !vedette_sensor::spool::clear_if_drained(&folder)? {
            println!("batches that were not acknowledged wait in {} for the next run", folder.display());
        }
    }
    // Only empty folders can be removed so.
    for folder in spool.ancestors().take(3) {
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Cancels at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_on_signals(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            tracing::info!("stopping");
            shutdown.cancel();
        }
    })
}

fn log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| {
        format!("invalid log {:?}, expected info, debug, or as in info,vedette_sensor=debug", config.log)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
