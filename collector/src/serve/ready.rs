//! `$home/collector/ready`: there while the collector answers, for whoever has started it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::ServeError;
use crate::ca::Fingerprint;

/// What the file says.
pub(super) struct Ready<'a> {
    pub(super) url: &'a str,
    pub(super) listen: SocketAddr,
    pub(super) ca_sha256: Fingerprint,
}

/// Writes the file, all of it at once.
pub(super) fn announce(folder: &Path, ready: &Ready<'_>) -> Result<(), ServeError> {
    let (path, new) = (folder.join("ready"), folder.join("ready.new"));
    let content = json!({
        "pid": std::process::id(),
        "url": ready.url,
        "listen": ready.listen.to_string(),
        "ca_sha256": ready.ca_sha256.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    std::fs::write(&new, format!("{content}\n"))
        .and_then(|()| std::fs::rename(&new, &path))
        .map_err(|source| ServeError::File { path, source })
}

/// Removes the file. One that cannot be removed says a pid that is not ours any more.
pub(super) fn retract(folder: &Path) {
    let _ = std::fs::remove_file(folder.join("ready"));
}
