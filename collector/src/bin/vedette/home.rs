//! Where this host's Vedette keeps its state.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vedette_collector::home;

/// The name of the sensor of this home: of its identity's folder, its pins and its spool, so that those of
/// several homes do not meet.
pub(crate) fn sensor_name(home: &Path) -> String {
    if home == Path::new(home::SYSTEM) {
        return "sensor".to_owned();
    }
    let hash = blake3::hash(home.as_os_str().as_encoded_bytes()).to_hex();
    format!("sensor-{}", hash.get(..8).unwrap_or_default())
}

/// The folder given, else the one that every program of ours takes, as a path from the root.
pub(crate) fn resolve(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let home = match given.filter(|home| !home.as_os_str().is_empty()) {
        Some(home) => home,
        None => home::default()?,
    };
    std::path::absolute(&home)
        .with_context(|| format!("VEDETTE_HOME is {}, expected a folder's path", home.display()))
}
