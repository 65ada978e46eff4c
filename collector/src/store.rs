//! The store: PostgreSQL as the only place where events are, one file per noun.
//!
//! Functions are free and take a connection; each noun's file is the only one that writes its table.
//! Every statement stands in [`statements::ALL`] with its kind, and routed ones name the bucket.
//!
//! | file | table |
//! |---|---|
//! | [`streams`], [`accounts`] | `stream`: how far each (host, epoch, lane) is stored; its counters added up |
//! | [`fresh`], [`segment`] | the batches: last minutes, and for good; writing |
//! | [`candidates`], [`slices`] | the same two, reading: which segments may match, and bytes out of them |
//! | [`directory`] | what lies where in a segment |
//! | [`reader`] | connections for searches, cancelled when they go away |
//! | [`process`], [`connection`], [`executables`] | the narrow rows beside the batches; writing |
//! | [`gaps`], [`quarantine`], [`findings`] | what is known to be missing, refused, or odd |
//! | [`progress`] | `merge`: how far fresh has been merged |
//! | [`collectors`], [`leases`], [`announce`] | who shares this store, who does which periodic work, what others have stored |
//! | [`authorities`] | `collector_authority`: which certificate authorities each collector holds |
//! | [`hosts`], [`tokens`], [`enrolment`], [`audit`] | small tables: who is in the fleet, who may call, who did what |
//! | [`exports`] | `export`, and small ones beside it: how far each stream is exported, and by whom |
//! | [`restores`] | `restore`, `restored_stream`: what a store out of a backup knows to be missing |
//! | [`partitions`] | made ahead, dropped by retention |

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

pub mod accounts;
pub mod address;
pub mod announce;
pub mod audit;
pub mod authorities;
pub mod candidates;
pub mod collectors;
pub mod connection;
mod copy;
pub mod directory;
pub mod enrolment;
pub mod executables;
pub mod exports;
mod fault;
pub mod findings;
pub mod fresh;
pub mod gaps;
pub mod hosts;
pub mod leases;
pub mod migrations;
pub mod pack;
pub mod partitions;
pub mod process;
pub mod progress;
pub mod quarantine;
pub mod reach;
pub mod reader;
pub mod restores;
pub mod segment;
pub mod size;
pub mod slices;
pub mod stamp;
pub mod statements;
pub mod streams;
pub mod tokens;

pub use fault::{Fault, StoreError};
pub use migrations::MIGRATOR;
pub use stamp::Stamp;

/// Connections to the store.
pub type Pool = PgPool;
/// One connection to the store.
pub type Conn = PgConnection;
/// Begins transactions of a connection.
pub use sqlx::Connection as Begin;

/// A pool of connections to `url`, made when first needed.
///
/// # Errors
/// When `url` is not a PostgreSQL URL. An unreachable server shows at first use.
pub fn pool(url: &str, max_connections: u32) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(std::time::Duration::from_secs(10))
        // Instead of a ping: what was the primary when the connection was made may be a standby now.
        .test_before_acquire(false)
        .before_acquire(|conn, _| Box::pin(reach::is_primary(conn)))
        .connect_lazy_with(options.application_name("vedette-collector")))
}

/// A connection for ingest alone, made like those of `pool`.
///
/// Its joins go row by row in the order of their arrays, through indexes: so the rows of `stream` are
/// locked in one order by every collector. A statement that hangs is given up.
///
/// # Errors
/// When the server is unreachable.
pub async fn ingest_connection(pool: &PgPool) -> Result<PgConnection, StoreError> {
    let options = (*pool.connect_options()).clone().application_name("vedette-ingest").options([
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_seqscan", "off"),
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "60s"),
    ]);
    // A server that was cut off must be found again as soon as it is back, not when TCP next tries.
    let connecting = PgConnection::connect_with(&options);
    let connected = tokio::time::timeout(CONNECT_PATIENCE, connecting).await;
    Ok(connected.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?)
}

/// How long a server may take to let ingest in.
const CONNECT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Brings the tables up to this version and makes the partitions of the next minutes and days.
///
/// # Errors
/// When the server is unreachable, or was used by a newer version.
pub async fn migrate(pool: &PgPool, now: Stamp) -> Result<(), StoreError> {
    reach::reach(pool, reach::PATIENCE).await?;
    MIGRATOR.run(pool).await?;
    let mut conn = pool.acquire().await?;
    progress::ensure(&mut conn, Group::WHOLE, now).await?;
    partitions::ensure_ahead(&mut conn, now).await?;
    Ok(())
}

/// The last migration that this version knows.
pub fn newest_schema() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The hosts whose rows are written through one connection in one transaction, named by its first bucket.
///
/// On plain PostgreSQL there is one; where buckets live on several servers, one per server. No
/// transaction spans two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Group(i16);

impl Group {
    /// All buckets: plain PostgreSQL.
    pub const WHOLE: Group = Group(0);

    /// The bucket that stands for the group in `fresh` and `merge`.
    pub const fn bucket(self) -> i16 {
        self.0
    }
}
