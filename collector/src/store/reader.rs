//! A connection for one long read, which the server stops when the reader goes away.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Connection as _, Row as _};

use super::statements::{Statement, maintenance};
use super::{Pool, StoreError};

pub(super) const STATEMENTS: &[Statement] = &[BEGIN, END, CANCEL];

// Heaps of toasted rows look tiny, and reading all of one cheap: what is read here has an index for it.
const BEGIN: Statement = maintenance(
    "reader.begin",
    "select pg_backend_pid() as pid, set_config('statement_timeout', $1, false),
            set_config('enable_seqscan', 'off', false)",
);

const END: Statement = maintenance(
    "reader.end",
    "select set_config('statement_timeout', '0', false), set_config('enable_seqscan', 'on', false)",
);

const CANCEL: Statement = maintenance("reader.cancel", "select pg_cancel_backend($1)");

/// A connection whose statements have a time limit. Dropped without [`Reader::close`], in the middle of a
/// statement or not, it cancels what the server is doing for it, and is closed.
#[derive(Debug)]
pub struct Reader {
    conn: Option<PoolConnection<Postgres>>,
    /// The server's process; `None` until it is known.
    pid: Option<i32>,
    pool: Pool,
}

impl Reader {
    /// Takes a connection out of the pool.
    ///
    /// # Errors
    /// When there is none, or the server does not answer.
    pub async fn open(pool: &Pool, statement_timeout: Duration) -> Result<Self, StoreError> {
        let conn = pool.acquire().await?;
        let mut reader = Self { conn: Some(conn), pid: None, pool: pool.clone() };
        let timeout = statement_timeout.as_millis().to_string();
        let row = sqlx::query(BEGIN.sql).bind(timeout).fetch_one(reader.conn()?).await?;
        reader.pid = Some(row.try_get("pid")?);
        Ok(reader)
    }

    /// The connection.
    ///
    /// # Errors
    /// Never, while the reader lives.
    pub fn conn(&mut self) -> Result<&mut PgConnection, StoreError> {
        match &mut self.conn {
            Some(conn) => Ok(conn),
            None => Err(sqlx::Error::PoolClosed.into()),
        }
    }

    /// Gives the connection back.
    ///
    /// # Errors
    /// When the server does not answer; the connection is closed then.
    pub async fn close(mut self) -> Result<(), StoreError> {
        sqlx::query(END.sql).execute(self.conn()?).await?;
        self.conn = None;
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        // Detached first: a cancellation must never meet another's statement on a connection used again.
        let conn = conn.detach();
        let (pid, pool) = (self.pid, self.pool.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(pid) = pid
                    && let Err(error) = cancel(&pool, pid).await
                {
                    tracing::warn!(%error, "cannot cancel a search in the database; its time limit will");
                }
                // The statement has ended, or will by its time limit; this end is done with it either way.
                let _ = conn.close_hard().await;
            });
        }
    }
}

/// Asks the server to stop what process `pid` does, over a connection of its own: the pool may be used up.
async fn cancel(pool: &Pool, pid: i32) -> Result<(), sqlx::Error> {
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    sqlx::query(CANCEL.sql).bind(pid).execute(&mut conn).await?;
    conn.close().await
}
