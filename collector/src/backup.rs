//! A backup: the store, the keys and the configuration of one collector in one file, and back.
//!
//! The file is a tar archive of mode 0600, which `tar` lists. It holds the authority's key, so whoever has it can make
//! himself any host.
//!
//! | entry | what it is |
//! |---|---|
//! | `store.dump` | the whole database as `pg_dump` writes it (custom format): one moment, while the collector runs |
//! | `collector/…` | the authority's files, and `collector.toml` |
//! | `manifest.json` | last: when, of which version, and the length and BLAKE3 digest of every other entry |

mod archive;
mod manifest;
mod restore;
mod save;
mod tools;

pub use archive::ArchiveError;
pub use manifest::Manifest;
pub use restore::{RestoreError, Restored, restore};
pub use save::{SaveError, Saved, save};
pub use tools::ToolError;

/// The entry with the database.
const STORE: &str = "store.dump";
/// The files of the collector's folder that are kept, the key that makes it a collector last.
const FILES: [&str; 5] = ["collector.toml", "ca-next.pem", "ca-next.key", "ca.pem", "ca.key"];
/// Where they are in the archive.
const FOLDER: &str = "collector/";
