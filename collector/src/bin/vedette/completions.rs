//! Completions and man pages, from the definitions in `cli`.

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::Found;
use crate::cli::{Cli, CompletionsArgs, ManArgs};

pub(crate) fn completions(args: CompletionsArgs) -> anyhow::Result<Found> {
    clap_complete::generate(args.shell, &mut Cli::command(), "vedette", &mut std::io::stdout());
    Ok(Found::Something)
}

pub(crate) fn man(args: ManArgs) -> anyhow::Result<Found> {
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("cannot write man pages into {}", args.dir.display()))?;
    Ok(Found::Something)
}
