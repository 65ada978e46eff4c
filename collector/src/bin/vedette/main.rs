//! The operator's command line. It talks to the collector's API and to nothing else, but for
//! `up` and `down`, which start and stop the programs on this host, and `backup` and `restore`, which run the collector's own.

mod audit;
mod backup;
mod cli;
mod client;
mod down;
mod enroll_token;
mod event_row;
mod export;
mod findings;
mod home;
mod hosts;
mod import;
mod output;
mod quarantine;
mod rules;
mod search;
mod status;
mod table;
mod tail;
mod token;
mod tree;
mod up;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use vedette_collector::manual;

use crate::cli::{Cli, Command};
use crate::client::NotFound;

/// What a command found, as its exit code says: 0, 1, and 2 for an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Something,
    Nothing,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vedette: cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(Found::Something) => ExitCode::SUCCESS,
        Ok(Found::Nothing) => ExitCode::from(1),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vedette: {error:#}");
            ExitCode::from(if error.is::<NotFound>() { 1 } else { 2 })
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<Found> {
    let connect = cli.connect;
    match cli.command {
        Command::Search(args) => search::run(&connect, args).await,
        Command::Export(args) => export::run(&connect, args).await,
        Command::Tail(args) => tail::run(&connect, args).await,
        Command::Tree(args) => tree::run(&connect, args).await,
        Command::Hosts(args) => hosts::run(&connect, args).await,
        Command::Status(args) => status::run(&connect, args).await,
        Command::Findings(args) => findings::run(&connect, args).await,
        Command::Quarantine(args) => quarantine::run(&connect, args).await,
        Command::Rules(args) => rules::run(&connect, args).await,
        Command::Import(args) => import::run(args),
        Command::Token(args) => token::run(&connect, args).await,
        Command::EnrollToken(args) => enroll_token::run(&connect, args).await,
        Command::Up(args) => up::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Audit(args) => audit::run(&connect, args).await,
        Command::Backup(args) => backup::save(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Completions(args) => {
            manual::completions(Cli::command(), args.shell);
            Ok(Found::Something)
        }
        Command::Man(args) => {
            manual::pages(Cli::command(), &args.dir)?;
            Ok(Found::Something)
        }
    }
}
