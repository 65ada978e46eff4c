//! `vedette backup` and `vedette restore`: run the collector's own commands on this host, where its keys are.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use crate::Found;
use crate::cli::{BackupArgs, PlaceArgs, RestoreArgs};
use crate::up::child::sibling;

pub(crate) fn save(args: &BackupArgs) -> anyhow::Result<Found> {
    let mut command = collector("backup", &args.place)?;
    if let Some(out) = &args.out {
        command.arg("--out").arg(out);
    }
    become_it(command)
}

pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<Found> {
    let mut command = collector("restore", &args.place)?;
    if args.force_replace {
        command.arg("--force-replace");
    }
    command.arg(&args.file);
    become_it(command)
}

fn collector(word: &str, place: &PlaceArgs) -> anyhow::Result<Command> {
    let home = crate::home::resolve(place.home.clone())?;
    let mut command = Command::new(sibling("vedette-collector")?);
    command.arg(word).arg("--home").arg(home);
    if let Some(database) = &place.database {
        // Not among the words: those everybody can read.
        command.env("VEDETTE_DATABASE", database);
    }
    Ok(command)
}

fn become_it(mut command: Command) -> anyhow::Result<Found> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}
