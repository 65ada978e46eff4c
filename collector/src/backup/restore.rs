//! A backup back into an empty home and an empty database.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::archive::{ArchiveError, Checked};
use super::manifest::Manifest;
use super::tools::{self, ToolError};
use super::{FILES, FOLDER, STORE};
use crate::ca::{CaError, write_whole};
use crate::config::Config;
use crate::postgres::{PostgresError, Private};
use crate::serve::{self, ServeError};
use crate::store::restores::{self, Restore};
use crate::store::{self, Pool, Stamp, StoreError};

/// Why nothing, or not all, was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its database is of a newer version.
    #[error(
        "the backup was made by a newer version, {version} (schema {found}, this one knows {known}): restore it with that version"
    )]
    Newer {
        /// That version.
        version: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A collector is running here.
    #[error(transparent)]
    Running(#[from] ServeError),
    /// There are keys here.
    #[error("{} is there: this home has an authority of its own; choose an empty --home, or say --force-replace, which removes the authority and the database that are here", path.display())]
    Home {
        /// The key.
        path: PathBuf,
    },
    /// There are tables here.
    #[error(
        "the database is not empty; choose an empty one, or say --force-replace, which removes all that is in it"
    )]
    Database,
    /// The private server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The store.
    #[error("cannot prepare the store")]
    Store(#[from] StoreError),
    /// The copy cannot be read back.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A file cannot be written.
    #[error(transparent)]
    Files(#[from] CaError),
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// How many hosts it knows.
    pub n_hosts: usize,
}

/// Puts a backup back, into this home and its private database, or the one that the settings name. Nothing is touched before
/// every byte of the file was checked, and nothing that is there is replaced unless `replace` is said. The keys come last:
/// what was killed in between is no collector, and can be restored again.
///
/// # Errors
/// See [`RestoreError`].
pub async fn restore(config: &Config, file: &Path, replace: bool) -> Result<Restored, RestoreError> {
    let checked = Checked::open(file)?;
    let known = store::newest_schema();
    if checked.manifest.schema > known {
        let Manifest { version, schema: found, .. } = checked.manifest;
        return Err(RestoreError::Newer { version, found, known });
    }
    let folder = config.folder();
    let _lock = serve::lock(&folder)?;
    let key = folder.join("ca.key");
    if !replace && key.exists() {
        return Err(RestoreError::Home { path: key });
    }
    let private = match &config.database {
        Some(_) => None,
        None => Some(Private::under(&config.home)?),
    };
    let url = match (&config.database, &private) {
        (Some(url), _) => url.clone(),
        (None, Some(private)) => private.up().await?,
        (None, None) => String::new(),
    };
    let pool = store::pool(&url, 2)?;
    let result = fill(&pool, &url, &checked, replace).await;
    pool.close().await;
    if let Some(private) = private {
        private.stop().await?;
    }
    let n_hosts = result?;
    for name in FILES {
        let path = folder.join(name);
        match checked.small(&format!("{FOLDER}{name}"))? {
            Some(content) => {
                write_whole(&path, &content, if name.ends_with(".key") { 0o600 } else { 0o644 })?
            }
            // Half of another rotation must not stay.
            None if name.starts_with("ca-next") => drop(std::fs::remove_file(&path)),
            None => {}
        }
    }
    Ok(Restored { manifest: checked.manifest, n_hosts })
}

async fn fill(pool: &Pool, url: &str, checked: &Checked, replace: bool) -> Result<usize, RestoreError> {
    store::reach::reach(pool, store::reach::PATIENCE).await?;
    if !restores::is_empty(pool).await? {
        if !replace {
            return Err(RestoreError::Database);
        }
        restores::clear(pool).await?;
    }
    let mut load = tools::load(url)?;
    if let Some(mut input) = load.input() {
        checked.pour(STORE, &mut input)?;
    }
    load.end()?;
    let us = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
    let now = Stamp::from_unix_us(i64::try_from(us).unwrap_or(i64::MAX));
    store::migrate(pool, now).await?;
    let restore = Restore {
        taken: Stamp::from_unix_us(checked.manifest.taken_us),
        restored: now,
        version: checked.manifest.version.clone(),
    };
    restores::mark(pool, &restore).await?;
    Ok(store::hosts::all(pool).await?.len())
}
