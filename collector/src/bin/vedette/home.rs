//! Where this host's Vedette keeps its state.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where root keeps it.
const DEFAULT: &str = "/var/lib/vedette";

/// The name of the sensor of this home: of its identity's folder, its pins and its spool, so that those of
/// several homes do not meet.
pub(crate) fn sensor_name(home: &Path) -> String {
    if home == Path::new(DEFAULT) {
        return "sensor".to_owned();
    }
    let hash = blake3::hash(home.as_os_str().as_encoded_bytes()).to_hex();
    format!("sensor-{}", hash.get(..8).unwrap_or_default())
}

/// The folder given, else `/var/lib/vedette` for root, else `$XDG_STATE_HOME/vedette`.
pub(crate) fn resolve(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(home) = given.filter(|home| !home.as_os_str().is_empty()) {
        return std::path::absolute(&home)
            .with_context(|| format!("VEDETTE_HOME is {}, expected a folder's path", home.display()));
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from(DEFAULT));
    }
    if let Some(state) = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(state).join("vedette"));
    }
    let user = std::env::var_os("HOME")
        .context("neither VEDETTE_HOME, XDG_STATE_HOME nor HOME is set; set VEDETTE_HOME")?;
    Ok(PathBuf::from(user).join(".local/state/vedette"))
}
