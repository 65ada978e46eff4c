//! Connections for long reads, which the server stops when the reader goes away.
//!
//! They are kept apart from the pool: readers take many and for long. The one given back last is taken first, as
//! the server's process behind it has the tables and the plans at hand; one that has never been used takes tens of
//! milliseconds for its first search.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::statements::{Statement, maintenance};
use super::{Pool, StoreError};

/// How long a reader may wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long without use a connection is asked whether it still lives.
const TRUSTED: Duration = Duration::from_secs(1);
/// After so long without use it is given up.
const KEPT: Duration = Duration::from_secs(600);

pub(super) const STATEMENTS: &[Statement] = &[PROCESS, CANCEL];

const PROCESS: Statement = maintenance("reader.process", "select pg_backend_pid()");

const CANCEL: Statement = maintenance("reader.cancel", "select pg_cancel_backend($1)");

/// Connections for readers, a bounded number.
#[derive(Debug)]
pub struct Readers {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    /// The one used last is the last.
    idle: Mutex<Vec<Server>>,
}

/// A connection, and what the server does for it.
#[derive(Debug)]
struct Server {
    conn: PgConnection,
    /// Its process.
    pid: i32,
    used: Instant,
}

/// A connection whose statements have a time limit. Dropped without [`Reader::close`], in the middle of a
/// statement or not, it cancels what the server is doing for it, and is closed.
#[derive(Debug)]
pub struct Reader {
    server: Option<Server>,
    readers: Arc<Readers>,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    /// At most so many connections to where `pool` leads, whose statements may take so long.
    pub fn new(pool: &Pool, max_connections: usize, statement_timeout: Duration) -> Arc<Self> {
        let timeout = statement_timeout.as_millis().to_string();
        // Heaps of toasted rows look tiny, and reading all of one cheap: what is read here has an index for it.
        let settings = [("statement_timeout", timeout.as_str()), ("enable_seqscan", "off")];
        let options = (*pool.connect_options()).clone().application_name("vedette-search").options(settings);
        Arc::new(Self { options, places: Arc::new(Semaphore::new(max_connections)), idle: Mutex::default() })
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// When none gets free in time, or the server does not answer.
    pub async fn open(self: &Arc<Self>) -> Result<Reader, StoreError> {
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or(sqlx::Error::PoolTimedOut)?;
        let server = match self.kept().await {
            Some(server) => server,
            None => {
                let mut conn = PgConnection::connect_with(&self.options).await?;
                let pid = sqlx::query(PROCESS.sql).fetch_one(&mut conn).await?.try_get(0)?;
                Server { conn, pid, used: Instant::now() }
            }
        };
        Ok(Reader { server: Some(server), readers: Arc::clone(self), _place: place })
    }

    /// One that was used before and lives.
    async fn kept(&self) -> Option<Server> {
        loop {
            let mut server = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|server| server.used.elapsed() < KEPT);
                idle.pop()?
            };
            if server.used.elapsed() < TRUSTED || server.conn.ping().await.is_ok() {
                return Some(server);
            }
        }
    }
}

impl Reader {
    /// The connection.
    ///
    /// # Errors
    /// Never, while the reader lives.
    pub fn conn(&mut self) -> Result<&mut PgConnection, StoreError> {
        match &mut self.server {
            Some(server) => Ok(&mut server.conn),
            None => Err(sqlx::Error::PoolClosed.into()),
        }
    }

    /// Gives the connection back: no statement is under way.
    pub fn close(mut self) {
        if let Some(server) = self.server.take() {
            let server = Server { used: Instant::now(), ..server };
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(server);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(Server { conn, pid, .. }) = self.server.take() else { return };
        let options = self.readers.options.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = cancel(&options, pid).await {
                    tracing::warn!(%error, "cannot cancel a search in the database; its time limit will");
                }
                // The statement has ended, or will by its time limit; this end is done with it either way.
                let _ = conn.close_hard().await;
            });
        }
    }
}

/// Asks the server to stop what process `pid` does, over a connection of its own: all others may be taken.
async fn cancel(options: &PgConnectOptions, pid: i32) -> Result<(), sqlx::Error> {
    let mut conn = PgConnection::connect_with(options).await?;
    sqlx::query(CANCEL.sql).bind(pid).execute(&mut conn).await?;
    conn.close().await
}
