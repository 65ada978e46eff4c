//! Making a backup, beside a collector that runs.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use wire::time::WallTime;

use super::archive::{ArchiveError, Writer};
use super::manifest::{FORMAT, Manifest};
use super::tools::{self, ToolError};
use super::{FILES, FOLDER, STORE};
use crate::ca::{RotateError, Rotating};
use crate::command::{self, DatabaseError};
use crate::config::Config;
use crate::store::{self, StoreError};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The authority's files.
    #[error(transparent)]
    Authority(#[from] RotateError),
    /// The store cannot be found.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The store does not answer.
    #[error("cannot ask the store")]
    Store(#[from] StoreError),
    /// The store cannot be copied.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The archive cannot be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub n_bytes: u64,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Writes store, keys and configuration into one file; by default into the folder `backup` of the home, named by the time.
///
/// # Errors
/// See [`SaveError`]; then there is no file.
pub async fn save(config: &Config, settings: &Path, out: Option<&Path>) -> Result<Saved, SaveError> {
    // No rotation meanwhile: the files belong together.
    let rotating = Rotating::take(&config.folder())?;
    let authority = rotating.authorities()?.serving().fingerprint().to_string();
    let url = command::database(config)?;
    let pool = store::pool(&url, 1)?;
    store::reach::reach(&pool, store::reach::PATIENCE).await?;
    let schema = store::restores::schema(&pool).await?;
    pool.close().await;
    let now = OffsetDateTime::now_utc();
    let taken_us = i64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    let taken = WallTime::from_unix_ns(taken_us.saturating_mul(1000)).to_string();
    let path = match out {
        Some(out) => out.to_owned(),
        None => in_home(config, &taken)?,
    };
    let mut writer = Writer::create(&path)?;
    let mut dump = tools::dump(&url)?;
    if let Some(mut output) = dump.output() {
        writer.add(STORE, &mut output)?;
    }
    dump.end()?;
    for name in FILES {
        let file = if name == "collector.toml" { settings.to_owned() } else { config.folder().join(name) };
        match std::fs::read(&file) {
            Ok(content) => writer.add(&format!("{FOLDER}{name}"), &mut content.as_slice())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(SaveError::File { path: file, source }),
        }
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let manifest =
        Manifest { format: FORMAT, version, schema, taken_us, taken, authority, entries: Vec::new() };
    let (manifest, n_bytes) = writer.finish(manifest)?;
    Ok(Saved { path, n_bytes, manifest })
}

fn in_home(config: &Config, taken: &str) -> Result<PathBuf, SaveError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = config.home.join("backup");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| SaveError::File { path: folder.clone(), source })?;
    let stem: String = taken.chars().take_while(|c| *c != '.').filter(|c| *c != ':').collect();
    Ok(folder.join(format!("vedette-{stem}.tar")))
}
