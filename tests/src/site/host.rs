//! A host whose events are numbered (the program `numbered`).

use std::path::PathBuf;
use std::time::Duration;

use crate::stack::{Ran, program};
use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::program::Program;

/// One host and its folder.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its id, as the collector gave it.
    pub id: String,
    /// What it writes down (see the program `numbered`), and its identity.
    pub folder: PathBuf,
    /// Its spool in memory.
    pub spool: PathBuf,
    /// Its process.
    pub program: Program,
}

/// What the program last said of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    /// Which process said it.
    pub pid: u32,
    /// The round that events are made of.
    pub round: u64,
    /// Whether none are made, and all are sealed.
    pub is_paused: bool,
    /// Events made, by lane.
    pub made: [u64; 2],
    /// Those in batches that were kept, by lane.
    pub sealed: [u64; 2],
    /// Events of batches that wait for their acknowledgement.
    pub unacknowledged: u64,
    /// The bytes of those batches.
    pub held_bytes: u64,
    /// Events that there was no room for.
    pub shed: u64,
    /// Events that a collector refused.
    pub rejected: u64,
    /// The collector it has a session with, or why it has none.
    pub session: String,
}

/// What a host is made with.
pub struct NewHost<'a> {
    /// Its name.
    pub name: String,
    /// For what it writes down.
    pub folder: PathBuf,
    /// For its spool in memory.
    pub spool: PathBuf,
    /// Where it goes, the preferred one first.
    pub collectors: &'a str,
    /// A token to enrol with.
    pub token: &'a str,
    /// The fingerprint of the authority.
    pub ca_sha256: &'a str,
    /// Events a second in each lane.
    pub per_second: f64,
}

impl Host {
    /// Enrols a host; it does not run yet.
    pub fn enrol(new: NewHost<'_>) -> anyhow::Result<Self> {
        let NewHost { name, folder, spool, .. } = new;
        std::fs::create_dir_all(&folder)?;
        let enrol = std::process::Command::new(program("vedette-sensor"))
            .args(["enroll", "--collector", new.collectors, "--name", &name, "--token", new.token])
            .args(["--ca-sha256", new.ca_sha256, "--home"])
            .arg(&folder)
            .output()?;
        let ran = Ran::from(enrol);
        anyhow::ensure!(ran.code == 0, "{name} is not enrolled: {}", ran.err);
        let words = ran.out.split([' ', ';']);
        let id = words.skip_while(|word| *word != "as").nth(1).context("no host id was printed")?.to_owned();
        let setup = json!({
            "name": &name,
            "per_second": new.per_second,
            "boot": Uuid::new_v4(),
            "spool": &spool,
            "spool_bytes": 64 << 20,
            "disk": folder.join("spool"),
            "disk_bytes": 64 << 20,
        });
        std::fs::write(folder.join("setup.json"), setup.to_string())?;
        let words = vec![folder.to_string_lossy().into_owned()];
        let program = Program::new(program("numbered"), words, folder.join("log"));
        Ok(Self { name, id, folder, spool, program })
    }

    /// Changes a member of its setup, for its next start.
    pub fn set(&self, member: &str, value: serde_json::Value) -> anyhow::Result<()> {
        let path = self.folder.join("setup.json");
        let mut setup: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        setup[member] = value;
        Ok(std::fs::write(path, setup.to_string())?)
    }

    /// Says which round it is (`7`), or that nothing is to be made (`paused 7`).
    pub fn order(&self, text: &str) -> anyhow::Result<()> {
        let beside = self.folder.join("round.part");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, self.folder.join("round"))?)
    }

    /// What it last said, if the process that said it is the one that runs.
    pub fn state(&self) -> Option<State> {
        let state: State = serde_json::from_slice(&std::fs::read(self.folder.join("state")).ok()?).ok()?;
        (Some(state.pid) == self.program.pid()).then_some(state)
    }

    /// Whether it makes nothing any more, and everything it made is acknowledged.
    pub fn is_drained(&self, round: u64) -> bool {
        let is_over = |state: &State| state.is_paused && state.round == round && state.made == state.sealed;
        self.state().is_some_and(|state| is_over(&state) && state.unacknowledged == 0)
    }

    /// The lines of one of its journals, each a JSON array.
    pub fn journal<T: for<'a> Deserialize<'a>>(&self, name: &str) -> anyhow::Result<Vec<T>> {
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = |line: &str| serde_json::from_str(line).with_context(|| format!("{name}: {line}"));
        whole.lines().filter(|l| !l.is_empty()).map(line).collect()
    }

    /// Forgets what is in memory, as a reboot does.
    pub fn forget_memory(&self) {
        let _ = std::fs::remove_dir_all(&self.spool);
    }
}

/// How long a host may need to say something.
pub const SAYS_WITHIN: Duration = Duration::from_secs(30);
