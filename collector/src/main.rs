//! `vedette-collector`: reads its settings, and serves until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use vedette_collector::config::{Config, LogFormat, ServeFlags};
use vedette_collector::{home, manual, serve};

/// Batches of thousands of connections come and go on many threads: with the system's allocator, a small batch took half
/// as much CPU again, most of it in putting freed pieces together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a fleet of Vedette sensors reports to, and what is searched.
#[derive(Parser)]
#[command(name = "vedette-collector", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take in what sensors send, store it, and answer the API, until SIGTERM or SIGINT
    Serve(Box<ServeFlags>),
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

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(flags) => run(&flags),
        Command::Completions { shell } => {
            manual::completions(Cli::command(), shell);
            Ok(())
        }
        Command::Man { dir } => manual::pages(Cli::command(), &dir).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vedette-collector: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(flags: &ServeFlags) -> anyhow::Result<()> {
    let default_home = match &flags.home {
        Some(home) => home.clone(),
        None => home::default()?,
    };
    let config = Config::load(flags, &default_home)?;
    log(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_on_signals(shutdown.clone())?);
        serve::serve(config, serve::Extras { local_cli: flags.local_cli }, shutdown).await?;
        anyhow::Ok(())
    })
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
        format!("invalid log {:?}, expected info, debug, or as in info,vedette_collector=debug", config.log)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
