//! The first word with a server, which may be starting, too.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool};

use super::StoreError;
use super::statements::{Statement, maintenance};

/// How long a server may take to answer when a collector starts.
pub const PATIENCE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(200);

pub(super) const STATEMENTS: &[Statement] = &[STANDBY];

const STANDBY: Statement = maintenance("reach.standby", "select pg_is_in_recovery()");

/// Returns once the server takes a connection, trying again for a while. A pool alone would only say that it waited.
///
/// # Errors
/// When it takes none, with where it was looked for and what the last attempt said.
pub async fn reach(pool: &PgPool, patience: Duration) -> Result<(), StoreError> {
    let options = pool.connect_options();
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let attempt = tokio::time::timeout(left, PgConnection::connect_with(&options)).await;
        let source = match attempt {
            Ok(Ok(conn)) => return Ok(conn.close().await?),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        if !may_pass(&source) || Instant::now() >= deadline {
            let at = match options.get_socket() {
                Some(folder) => folder.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            };
            return Err(StoreError::Unreachable { at, user: options.get_username().to_owned(), source });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the server behind a connection takes changes: not a standby, nor a primary that has become one.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn is_primary(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let is_standby: bool = sqlx::query_scalar(STANDBY.sql).fetch_one(conn).await?;
    Ok(!is_standby)
}

/// Nobody listens yet, or the server says that it is starting.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(said) => said.code().as_deref() == Some("57P03"),
        _ => false,
    }
}
