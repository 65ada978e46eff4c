//! Where this host's Vedette keeps its state.

use std::path::PathBuf;

pub use wire::home::{NoHome, SYSTEM};

/// The folder, by this process's environment and user; see [`wire::home::choose`].
///
/// # Errors
/// When none is known.
pub fn default() -> Result<PathBuf, NoHome> {
    wire::home::choose(|name| std::env::var_os(name), nix::unistd::geteuid().is_root())
}
