//! What the harness asks for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use uuid::Uuid;
use vedette_sensor::outbox::OutboxConfig;

/// `setup.json`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Setup {
    /// The host's name.
    pub(crate) name: String,
    /// Events a second in each lane.
    pub(crate) per_second: f64,
    /// The boot that events are said to be of.
    pub(crate) boot: Uuid,
    /// The spool's folder in memory.
    spool: PathBuf,
    /// Its bound, in bytes.
    spool_bytes: u64,
}

/// What `round` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    /// Make events of this round.
    Make(u64),
    /// Make none; the round stays.
    Pause(u64),
}

impl Setup {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("setup.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a setup", path.display()))
    }

    pub(crate) fn outbox(&self) -> OutboxConfig {
        OutboxConfig { dir: self.spool.clone(), max_bytes: self.spool_bytes }
    }
}

impl Orders {
    /// Nothing is made before there are orders.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("round")).unwrap_or_default();
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        match text.strip_prefix("paused ") {
            Some(rest) => Self::Pause(number(rest)),
            None if text.is_empty() => Self::Pause(0),
            None => Self::Make(number(&text)),
        }
    }

    pub(crate) fn round(self) -> u64 {
        match self {
            Self::Make(round) | Self::Pause(round) => round,
        }
    }
}
