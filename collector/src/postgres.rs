//! A private PostgreSQL: found, made, started, adopted, stopped.
//!
//! It lives under `$home/postgres` (`data/`, and `run/` with its socket), listens on no port, and touches no other
//! PostgreSQL of the machine. The server runs as an unprivileged system user when the caller is root, else as the
//! caller. Everything here may be killed at any time: the next start goes on from what it finds.
//!
//! | file | holds |
//! |---|---|
//! | `binaries` | where `initdb` and `postgres` are, and of which version |
//! | `account` | which system user the server runs as, and whether that user gets to its folders |
//! | `layout` | the folders; the socket's path, which must be short |
//! | `settings` | what is written into the server's configuration |
//! | `server` | starting, adopting, stopping |
//! | `watch` | starting it again when it dies |
//! | [`scratch`] | throw-away servers and databases for tests and benches |

use std::io;
use std::path::PathBuf;

mod account;
mod binaries;
mod layout;
pub mod scratch;
mod server;
mod settings;
mod watch;

pub use binaries::Binaries;
pub use server::{Private, Status};

/// Why the private PostgreSQL does not run. Each message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No server binaries anywhere.
    #[error(
        "no PostgreSQL server found (looked at pg_config, /usr/lib/postgresql and PATH): apt-get install postgresql"
    )]
    NotInstalled,
    /// The installed version cannot read the data.
    #[error(
        "the database in {} was made by PostgreSQL {data}, but only {} found: apt-get install postgresql-{data}, \
         or move that folder away to begin anew", path.display(), found.join(" and ")
    )]
    Version {
        /// The data folder.
        path: PathBuf,
        /// The version that made it.
        data: String,
        /// What is installed.
        found: Vec<String>,
    },
    /// The folder is neither empty nor a database.
    #[error("{} is not empty and not a database: move it away, or choose another VEDETTE_HOME", .0.display())]
    NotADatabase(PathBuf),
    /// The server's user cannot get to the folder.
    #[error("user {user} may not enter {}, which the database needs: chmod o+x it, or choose another VEDETTE_HOME", path.display())]
    Unreachable {
        /// The user.
        user: String,
        /// The first folder it cannot enter.
        path: PathBuf,
    },
    /// No unprivileged user to run as.
    #[error("no user to run PostgreSQL as: neither postgres nor vedette exists, and useradd failed: {0}")]
    NoUser(String),
    /// Too little room.
    #[error("only {free_mb} MB free under {}, expected at least {needed_mb}: make room, or choose another VEDETTE_HOME", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// What is left.
        free_mb: u64,
        /// What is needed.
        needed_mb: u64,
    },
    /// A folder for the socket that somebody else has made.
    #[error("{} belongs to somebody else: remove it, or choose a shorter VEDETTE_HOME", .0.display())]
    ForeignSocket(PathBuf),
    /// A server runs on the data that does not let us in.
    #[error("a PostgreSQL (pid {pid}) runs on {} but does not let us in: stop it with pg_ctl, then start again", path.display())]
    Foreign {
        /// The data folder.
        path: PathBuf,
        /// The server.
        pid: i32,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// The line that says why.
        said: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL did not start: {said} (see {})", log.display())]
    NotStarted {
        /// The line of its log that says why.
        said: String,
        /// The log.
        log: PathBuf,
    },
    /// A file or folder.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The server runs, but the database in it could not be made.
    #[error("cannot make the database: {0}")]
    Database(#[from] sqlx::Error),
}

impl PostgresError {
    fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
