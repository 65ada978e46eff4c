//! Where this host's Vedette keeps its state.

use std::path::PathBuf;

/// No folder to keep state in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither --home, VEDETTE_HOME, XDG_STATE_HOME nor HOME is set; set VEDETTE_HOME to a folder")]
pub struct NoHome;

/// `$VEDETTE_HOME`, else `/var/lib/vedette` for root, else `$XDG_STATE_HOME/vedette`, else
/// `~/.local/state/vedette`.
///
/// # Errors
/// When none of these is known.
pub fn default() -> Result<PathBuf, NoHome> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = variable("VEDETTE_HOME") {
        return Ok(home);
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/vedette"));
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("vedette"))
        .ok_or(NoHome)
}
