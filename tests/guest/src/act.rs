//! A scenario that was played, and what came of it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::judge::{caused_by, judge, player};
use crate::player::{self, Part};
use crate::report::{Played, Verdict};
use crate::scenario::Scenario;
use crate::stage::Place;
use crate::wait::poll;

/// How long one scenario may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What plays scenarios: this program, each time in a process of its own.
pub(crate) struct Company {
    pub(crate) program: PathBuf,
    pub(crate) place: Place,
}

/// A scenario that was played.
pub(crate) struct Act {
    pub(crate) category: &'static str,
    pub(crate) scenario: &'static Scenario,
    /// Which time it was played.
    time: String,
    part: Part,
}

impl Company {
    /// Plays a scenario, for the given time.
    pub(crate) fn play(&self, category: &'static str, scenario: &'static Scenario, time: usize) -> Act {
        let time = time.to_string();
        let part = self.part(player::words(category, scenario.name, &time));
        let part = part.unwrap_or_else(|error| Part::Broken(format!("{error:#}")));
        Act { category, scenario, time, part }
    }

    /// What a player prints goes to files: a process that it leaves behind would keep a pipe open.
    fn part(&self, words: [&str; 4]) -> anyhow::Result<Part> {
        let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = player::command(&self.program, &self.place, words)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
        let mut child = command.spawn().context("cannot start a player")?;
        let status = poll(PATIENCE, || child.try_wait().ok().flatten());
        if status.is_none() {
            child.kill()?;
            child.wait()?;
        }
        let said = written(&mut err)?;
        let status = status.with_context(|| format!("not done after {PATIENCE:?}; it said: {said}"))?;
        ensure!(status.success(), "it ended with {status}; it said: {said}");
        match serde_json::from_str(&written(&mut out)?)? {
            Part::Broken(why) if !said.is_empty() => Ok(Part::Broken(format!("{why}; it said: {said}"))),
            part => Ok(part),
        }
    }
}

impl Act {
    /// What came of it, going by these events.
    pub(crate) fn verdict(&self, events: &[Value]) -> Verdict {
        let expect = match &self.part {
            Part::Expect(expect) => expect,
            Part::Absent(why) => return Verdict::Absent { why: why.clone() },
            Part::Broken(why) => return Verdict::Failed { why: format!("it could not be played: {why}") },
        };
        match player(events, &player::words(self.category, self.scenario.name, &self.time)) {
            Some(player) => judge(self.category, expect, &caused_by(player, events)),
            None => Verdict::Failed { why: "the process that played it was not seen".into() },
        }
    }

    /// Whether what came, so far, is not what should.
    pub(crate) fn has_failed(&self, events: &[Value]) -> bool {
        matches!(self.verdict(events), Verdict::Failed { .. })
    }

    /// The line about it.
    pub(crate) fn played(&self, events: &[Value]) -> Played {
        Played {
            category: self.category.into(),
            name: self.scenario.name.into(),
            about: self.scenario.about.into(),
            verdict: self.verdict(events),
        }
    }
}

fn written(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
