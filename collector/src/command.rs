//! What an operator does on the collector's own host, beside `serve`: the certificate authority, backups.
//!
//! Keys are files of this host, so these are no routes of the API.

pub mod authority;
pub mod owner;

use crate::config::Config;
use crate::postgres::{PostgresError, Private, Status};

/// The store cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The private server does not run.
    #[error("the private database of {} does not run: start the collector (vedette up, or vedette-collector serve), or name another with --database or --home", home.display())]
    Stopped {
        /// The home.
        home: std::path::PathBuf,
    },
    /// It cannot be looked at.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// Where the store of these settings is, if it runs.
///
/// # Errors
/// When it is a private one that does not run.
pub fn database(config: &Config) -> Result<String, DatabaseError> {
    if let Some(url) = &config.database {
        return Ok(url.clone());
    }
    let private = Private::under(&config.home)?;
    match private.status()? {
        Status::Running(_) => Ok(private.database_url()),
        Status::Stopped | Status::Absent => Err(DatabaseError::Stopped { home: config.home.clone() }),
    }
}
