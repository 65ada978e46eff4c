//! Throw-away servers and databases, for tests and benches on a real PostgreSQL.
//!
//! [`database`] gives each caller an empty database of its own, with all tables, on one server for each test
//! process. The server and its files go when the process ends, however it ends: a small watcher holds the
//! other end of a pipe.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{PostgresError, Private};
use crate::store::{self, Stamp};

const TEMPLATE: &str = "template_vedette";

/// A server of one's own: for tests that kill it.
#[derive(Debug)]
pub struct Server {
    private: Private,
    home: PathBuf,
    watcher: Child,
    /// Closed at the end of this process at the latest; then the watcher cleans up.
    pipe: Option<ChildStdin>,
}

/// A database of one's own, with all tables and the partitions around now.
#[derive(Clone, Debug)]
pub struct Database {
    /// Where it is.
    pub url: String,
    /// Connections to it.
    pub pool: PgPool,
}

/// A new database on the server of this process.
///
/// # Panics
/// When no PostgreSQL is installed or it does not start: such a test cannot run.
pub async fn database() -> Database {
    static SHARED: tokio::sync::OnceCell<Server> = tokio::sync::OnceCell::const_new();
    let server = SHARED.get_or_init(|| async { Server::start().await.expect("a PostgreSQL for the tests") });
    server.await.database().await.expect("a database for the test")
}

impl Server {
    /// Makes and starts a server in a folder of its own under the folder for temporary files.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn start() -> Result<Self, PostgresError> {
        Self::begin(std::env::temp_dir(), Private::scratch).await
    }

    /// The same with the settings of a real one, for benches: a commit is on the disk.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn durable() -> Result<Self, PostgresError> {
        // Not in the folder for temporary files, which may be in memory.
        Self::begin(PathBuf::from("/var/tmp"), Private::under).await
    }

    async fn begin(
        base: PathBuf,
        under: fn(&Path) -> Result<Private, PostgresError>,
    ) -> Result<Self, PostgresError> {
        let home = temporary(&base)?;
        let (watcher, pipe) = watch(&home)?;
        let private = under(&home)?;
        private.up().await?;
        private.make_database(TEMPLATE).await?;
        let pool = store::pool(&private.url(TEMPLATE), 1).map_err(not_a_database)?;
        store::migrate(&pool, now()).await.map_err(not_a_database)?;
        pool.close().await;
        Ok(Self { private, home, watcher, pipe: Some(pipe) })
    }

    /// A new database.
    ///
    /// # Errors
    /// When the server does not run.
    pub async fn database(&self) -> Result<Database, PostgresError> {
        self.database_with("").await
    }

    /// The same, with these options of `create database`.
    ///
    /// # Errors
    /// When the server does not run, or does not take them.
    pub async fn database_with(&self, options: &str) -> Result<Database, PostgresError> {
        let url = self.create(&format!("template {TEMPLATE} {options}")).await?;
        let pool = store::pool(&url, 8).map_err(not_a_database)?;
        Ok(Database { url, pool })
    }

    /// Where a new database without tables is.
    ///
    /// # Errors
    /// When the server does not run.
    pub async fn empty_database(&self) -> Result<String, PostgresError> {
        self.create("").await
    }

    async fn create(&self, options: &str) -> Result<String, PostgresError> {
        static N: AtomicU64 = AtomicU64::new(0);
        let name = format!("scratch_{}", N.fetch_add(1, Ordering::Relaxed));
        let mut conn = PgConnection::connect(&self.private.url("postgres")).await?;
        sqlx::query(AssertSqlSafe(format!("create database {name} {options}"))).execute(&mut conn).await?;
        conn.close().await?;
        Ok(self.private.url(&name))
    }

    /// The database that is there for administrators.
    pub fn admin_url(&self) -> String {
        self.private.url("postgres")
    }

    /// Kills the server and all its processes at once, as `kill -9` or a loss of memory does, and returns when
    /// they are gone.
    pub fn crash(&self) {
        let Some(pid) = self.private.pid() else { return };
        // Its children would notice and end within a moment; they are killed too, so that none finishes its work.
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let all: Vec<Pid> = std::iter::once(pid).chain(children).map(Pid::from_raw).collect();
        for pid in &all {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        while all.iter().any(|pid| kill(*pid, None).is_ok()) {
            std::thread::yield_now();
        }
    }

    /// Starts it again after [`Server::crash`].
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn restart(&self) -> Result<(), PostgresError> {
        self.private.up().await.map(drop)
    }

    /// The server's process.
    pub fn pid(&self) -> Option<i32> {
        self.private.pid()
    }

    /// The folder it lives in.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.watcher.wait();
    }
}

/// A new folder that the server's user can enter.
fn temporary(base: &Path) -> Result<PathBuf, PostgresError> {
    let name = base.join("vedette-scratch-XXXXXX");
    let home = nix::unistd::mkdtemp(&name).map_err(|e| PostgresError::file("make", name)(e.into()))?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&home, open).map_err(PostgresError::file("chmod", &home))?;
    Ok(home)
}

/// A shell that waits for the end of its input, then ends the server at once and removes the folder.
fn watch(home: &Path) -> Result<(Child, ChildStdin), PostgresError> {
    const SCRIPT: &str = r#"
        cat >/dev/null
        pid=$(head -n 1 "$0/postgres/data/postmaster.pid" 2>/dev/null)
        if [ -n "$pid" ]; then
            kill -QUIT "$pid" 2>/dev/null
            n=0
            while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
        fi
        rm -rf "$0"
    "#;
    let mut command = Command::new("sh");
    command.arg("-c").arg(SCRIPT).arg(home).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Out of the terminal's reach: Ctrl-C is for the tests, the watcher has its own sign.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(PostgresError::file("run", "sh"))?;
    let pipe = child
        .stdin
        .take()
        .ok_or_else(|| PostgresError::file("open a pipe to", "sh")(std::io::ErrorKind::BrokenPipe.into()))?;
    Ok((child, pipe))
}

fn now() -> Stamp {
    let now = jiff::Timestamp::now();
    Stamp::from_unix_us(now.as_microsecond())
}

fn not_a_database(e: store::StoreError) -> PostgresError {
    match e {
        store::StoreError::Database(e) => PostgresError::Database(e),
        other => PostgresError::Database(sqlx::Error::Configuration(Box::new(other))),
    }
}
