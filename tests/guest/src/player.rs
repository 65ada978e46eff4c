//! One scenario in a process of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::expect::Expect;
use crate::scenario::{self, Absent};
use crate::stage::{Place, Stage};

/// What a player prints on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Part {
    /// It did its thing.
    Expect(Expect),
    /// This kernel does not do such a thing.
    Absent(String),
    /// It could not do its thing.
    Broken(String),
}

/// The variable that carries the [`Place`] as JSON.
const PLACE: &str = "VEDETTE_GUEST_PLACE";

/// The command that plays a scenario.
pub(crate) fn command(me: &Path, place: &Place, words: [&str; 4]) -> anyhow::Result<Command> {
    let mut command = Command::new(me);
    command.args(words).env(PLACE, serde_json::to_string(place)?);
    Ok(command)
}

/// The arguments that tell a player from other processes; a scenario may be played several times.
pub(crate) fn words<'a>(category: &'a str, name: &'a str, time: &'a str) -> [&'a str; 4] {
    ["play", category, name, time]
}

/// Plays one scenario and prints what must come of it.
pub(crate) fn play(category: &str, name: &str) -> anyhow::Result<()> {
    let scenario =
        scenario::find(category, name).with_context(|| format!("no scenario {category} {name}"))?;
    let stage = Stage::new(place()?)?;
    let part = match (scenario.play)(&stage) {
        Ok(expect) => Part::Expect(expect),
        Err(error) => match error.downcast_ref::<Absent>() {
            Some(absent) => Part::Absent(absent.to_string()),
            None => Part::Broken(format!("{error:#}")),
        },
    };
    drop(stage);
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &part)?;
    out.flush().context("nobody reads what must come")
}

fn place() -> anyhow::Result<Place> {
    let place = std::env::var(PLACE).with_context(|| format!("{PLACE} is not set"))?;
    serde_json::from_str(&place).with_context(|| format!("{PLACE} does not tell a place"))
}
