//! What runs while somebody watches: each is a program of its own that says how much it has done in which time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::loops::{Done, Loopback, execute, open, repeat_for};

use super::{compile, redis};

/// How long a loop runs.
const LOOP: Duration = Duration::from_secs(2);

/// Something whose speed is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Workload {
    /// redis-benchmark and its server over loopback TCP.
    Redis,
    /// C files, as many at a time as there are cores.
    Compile,
    /// fork, exec and wait of /bin/true.
    Exec,
    /// Open and close of a file that the default collection does not name.
    Open,
    /// Connect, accept and close over loopback TCP.
    Connect,
}

impl Workload {
    pub(crate) const ALL: [Self; 5] = [Self::Redis, Self::Compile, Self::Exec, Self::Open, Self::Connect];

    /// Its part's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Compile => "compile",
            Self::Exec => "exec",
            Self::Open => "open",
            Self::Connect => "connect",
        }
    }

    /// What it does, and what is counted.
    pub(crate) fn about(self) -> (String, &'static str) {
        match self {
            Self::Redis => (redis::about(), "request"),
            Self::Compile => (compile::about(), "file"),
            Self::Exec => ("fork, exec and wait of /bin/true".to_owned(), "program"),
            Self::Open => {
                ("open and close of a file that the default collection does not name".to_owned(), "open")
            }
            Self::Connect => ("connect, accept and close over loopback TCP".to_owned(), "connection"),
        }
    }

    /// Whether those who have no collection trace all that is opened in it too: where the default collection ships
    /// nothing, they are compared with everything.
    pub(crate) fn is_about_opens(self) -> bool {
        self == Self::Open
    }

    /// At most how much may be lost with the default collection, in per cent.
    pub(crate) fn may_lose(self) -> Option<f64> {
        matches!(self, Self::Redis | Self::Compile).then_some(2.0)
    }

    /// Whether it makes events enough to compare what those cost.
    pub(crate) fn makes_events(self) -> bool {
        self != Self::Redis
    }

    /// Why it cannot run here.
    pub(crate) fn missing(self) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Redis => &["redis-server", "redis-benchmark"],
            Self::Compile => &["cc"],
            _ => &[],
        };
        let is_there = |name: &str| Command::new(name).arg("--version").output().is_ok();
        let missing = programs.iter().find(|name| !is_there(name))?;
        Some(format!("{missing} is not installed"))
    }

    /// Makes what it needs in the folder.
    pub(crate) fn prepare(self, scratch: &Path) -> anyhow::Result<()> {
        match self {
            Self::Compile => compile::prepare(scratch),
            Self::Open => Ok(std::fs::write(opened(scratch), "nothing")?),
            _ => Ok(()),
        }
    }

    /// Runs each of its programs once: what is done once for a program that was never seen, such as its hash, is no
    /// part of what is measured.
    pub(crate) fn prime(self, scratch: &Path) {
        let run = |command: &mut Command| drop(command.output().expect("a program of the workload runs"));
        match self {
            Self::Redis => {
                run(Command::new("redis-server").arg("--version"));
                run(Command::new("redis-benchmark").arg("--version"));
            }
            Self::Compile => compile::one(scratch, 0),
            Self::Exec => execute(),
            Self::Open | Self::Connect => {}
        }
    }

    /// Does it, in this process.
    pub(crate) fn run(self, scratch: &Path) -> anyhow::Result<Done> {
        Ok(match self {
            Self::Redis => redis::run(scratch)?,
            Self::Compile => compile::run(scratch)?,
            Self::Exec => repeat_for(LOOP, 1, execute),
            Self::Open => {
                let path = opened(scratch);
                repeat_for(LOOP, 64, || open(&path))
            }
            Self::Connect => {
                let loopback = Loopback::new()?;
                repeat_for(LOOP, 16, || loopback.connect())
            }
        })
    }
}

fn opened(scratch: &Path) -> PathBuf {
    scratch.join("opened")
}
