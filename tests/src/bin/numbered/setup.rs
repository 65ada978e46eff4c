//! What the harness asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;
use uuid::Uuid;
use vedette_sensor::clock::boot_time;
use vedette_sensor::outbox::{DiskConfig, OutboxConfig};
use vedette_sensor::spool::SystemFiles;
use wire::id::BootId;

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
    /// The spool's folder on disk.
    disk: PathBuf,
    /// Its bound, in bytes.
    disk_bytes: u64,
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

    pub(crate) fn outbox(&self) -> anyhow::Result<OutboxConfig> {
        let disk = DiskConfig {
            dir: self.disk.clone(),
            max_bytes: self.disk_bytes,
            files: Arc::new(SystemFiles),
            boot: BootId::new(self.boot),
            now: boot_time()?,
        };
        Ok(OutboxConfig { dir: self.spool.clone(), max_bytes: self.spool_bytes, disk: Some(disk) })
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
