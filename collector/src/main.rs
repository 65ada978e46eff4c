//! `vedette-collector`: reads its settings, and serves until it is told to stop.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use vedette_collector::ca::Authority;
use vedette_collector::command::{authority, owner};
use vedette_collector::config::{Config, LogFormat, ServeFlags};
use vedette_collector::{backup, home, manual, plural, serve};

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
    /// The certificate authority that says who is a host and who is a collector (docs/keys.md)
    Ca {
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Write store, keys and configuration into one file, beside a collector that runs. It holds the authority's key: keep it
    /// like that
    Backup {
        #[command(flatten)]
        place: Place,
        /// The file to make; default: backup/vedette-TIME.tar under the home
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put a backup back, into a home and a database that are empty, while no collector runs
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Remove the authority and the database that are here first
        #[arg(long)]
        force_replace: bool,
    },
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

/// Where the collector of this host keeps its state.
#[derive(Args)]
struct Place {
    /// The file with the settings, as for serve.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for all state, as for serve.
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The PostgreSQL, as for serve.
    #[arg(long, value_name = "URL", env = "VEDETTE_DATABASE", hide_env_values = true)]
    database: Option<String>,
}

#[derive(Subcommand)]
enum CaCommand {
    /// Make an authority in a folder, for collectors that are to be started with it
    Create {
        /// The folder; its two files hold the fleet's key: keep them like that
        dir: PathBuf,
    },
    /// Take over the authority that a folder holds, before this collector's first start
    Import {
        /// The folder, with ca.key and ca.pem
        dir: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Tell which authorities there are, which collector holds which, and which hosts are left on the old one
    Status {
        #[command(flatten)]
        place: Place,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Make the next authority beside the one there is; hosts move to it by themselves
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Put the next authority in the place of the old one, whose key is gone then; refused while hosts are left
        #[arg(long)]
        finish: bool,
        /// With --finish: so many hosts are left, and may have to be enrolled again
        #[arg(long, value_name = "HOSTS", requires = "finish")]
        force: Option<usize>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(flags) => run(&flags),
        Command::Ca { command } => authority(command),
        Command::Backup { place, out } => save(&place, out.as_deref()),
        Command::Restore { file, place, force_replace } => restore(&file, &place, force_replace),
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

fn authority(command: CaCommand) -> anyhow::Result<()> {
    match command {
        CaCommand::Create { dir } => {
            let made = Authority::open_or_create(&dir, time::OffsetDateTime::now_utc())?;
            println!("{} holds the authority {}", dir.display(), made.fingerprint());
        }
        CaCommand::Import { dir, place } => {
            let folder = place.config()?.folder();
            let taken = Authority::import(&dir, &folder)?;
            println!("{} holds the authority {}", folder.display(), taken.fingerprint());
        }
        CaCommand::Status { place, json } => {
            let report = blocking(authority::status(&place.config()?))?;
            let text = if json { format!("{}\n", report.json()) } else { report.text() };
            // Who closed our output has read enough.
            drop(std::io::stdout().write_all(text.as_bytes()));
        }
        CaCommand::Rotate { place, finish: false, .. } => {
            let config = place.config()?;
            let made = authority::rotate(&config)?;
            let next = made.next().map(|next| next.fingerprint().to_string()).unwrap_or_default();
            let folder = config.folder();
            println!("made the next authority {next} beside {}", made.serving().fingerprint());
            println!(
                "If other collectors share this database, copy ca-next.pem and ca-next.key from {} into the folder of each, with mode 600.",
                folder.display()
            );
            println!(
                "Hosts move by themselves; `vedette-collector ca status` says who is left. Then: vedette-collector ca rotate --finish"
            );
        }
        CaCommand::Rotate { place, finish: true, force } => {
            let done = blocking(authority::finish(&place.config()?, force))?;
            println!("the authority is {} now; the old one's key is gone", done.serving().fingerprint());
            println!(
                "Copies of ca.pem elsewhere (VEDETTE_CA) that hold only the old one have to be replaced."
            );
        }
    }
    Ok(())
}

fn save(place: &Place, out: Option<&Path>) -> anyhow::Result<()> {
    let (config, settings) = place.look_up()?;
    let saved = blocking(backup::save(&config, &settings, out))?;
    println!("{}", saved.path.display());
    eprintln!(
        "{} bytes as of {}, with the authority's key in it: whoever has this file can make himself any host.",
        saved.n_bytes, saved.manifest.taken
    );
    Ok(())
}

fn restore(file: &Path, place: &Place, replace: bool) -> anyhow::Result<()> {
    let config = place.config()?;
    let restored = blocking(backup::restore(&config, file, replace))?;
    println!(
        "restored the backup of {} with {} into {}; start the collector",
        restored.manifest.taken,
        plural::hosts(restored.n_hosts),
        config.home.display()
    );
    println!(
        "Sensors come back by themselves; `vedette status` says what is missing. Hosts and tokens that were revoked after the backup are not: revoke them again."
    );
    Ok(())
}

fn blocking<T, E>(work: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(work)?)
}

impl Place {
    fn config(&self) -> anyhow::Result<Config> {
        Ok(self.look_up()?.0)
    }

    /// The settings and their file. From here on, root is the user whose collector this is.
    fn look_up(&self) -> anyhow::Result<(Config, PathBuf)> {
        let flags = ServeFlags {
            config: self.config.clone(),
            home: self.home.clone(),
            database: self.database.clone(),
            ..ServeFlags::default()
        };
        let default_home = match &flags.home {
            Some(home) => home.clone(),
            None => home::default()?,
        };
        let config = Config::load(&flags, &default_home)?;
        if let Some(user) = owner::become_owner(&config)? {
            eprintln!("as user {user}, whose collector this is");
        }
        Ok((config, Config::file(&flags, &default_home)))
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
