//! Starting, adopting and stopping a private server.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tracing::info;

use super::account::Account;
use super::binaries::Binaries;
use super::layout::Layout;
use super::settings::{self, Care, ROLE};
use super::{PostgresError, Status::*};

/// What a new database needs at least, and a server to start at all.
const NEEDED_NEW_MB: u64 = 512;
const NEEDED_START_MB: u64 = 64;
/// The log is begun anew beyond this.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// How often a start is tried while processes of a killed server still end.
const ATTEMPTS: u32 = 5;

/// A PostgreSQL of our own, under one `$VEDETTE_HOME`.
#[derive(Clone, Debug)]
pub struct Private {
    layout: Layout,
    account: Account,
    care: Care,
}

/// What became of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It runs, with this process id.
    Running(i32),
    /// It does not run, but there is a database.
    Stopped,
    /// There is no database yet.
    Absent,
}

impl Private {
    /// The server under `home`. Nothing is touched yet.
    ///
    /// # Errors
    /// When there is no unprivileged user to run it as.
    pub fn under(home: &Path) -> Result<Self, PostgresError> {
        Ok(Self { layout: Layout::under(home), account: Account::choose()?, care: Care::Durable })
    }

    pub(super) fn scratch(home: &Path) -> Result<Self, PostgresError> {
        Ok(Self { care: Care::Scratch, ..Self::under(home)? })
    }

    /// Makes the server under `home` if need be, starts it or adopts one that still runs there, waits until it
    /// answers, makes the database, and returns its URL.
    ///
    /// # Errors
    /// See [`PostgresError`]; nothing is left running that was not before.
    pub async fn start(home: &Path) -> Result<String, PostgresError> {
        Self::under(home)?.up().await
    }

    /// See [`Private::start`].
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn up(&self) -> Result<String, PostgresError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let this = self.clone();
            blocking(move || this.launch()).await?;
            match self.make_database(ROLE).await {
                // A server that was killed a moment ago still counts as running.
                Err(PostgresError::Foreign { pid, .. }) if attempt < ATTEMPTS => {
                    info!(pid, "the PostgreSQL found running does not answer, looking again");
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(e) => return Err(e),
                Ok(()) => return Ok(self.url(ROLE)),
            }
        }
    }

    /// Stops the server, waiting for it; true if it ran.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn stop(&self) -> Result<bool, PostgresError> {
        let this = self.clone();
        blocking(move || {
            if !matches!(this.status()?, Running(_)) {
                return Ok(false);
            }
            this.control(&["stop", "-m", "fast", "-w", "-t", "60", "-s"])?;
            info!("stopped the private PostgreSQL");
            Ok(true)
        })
        .await
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// When its programs are not installed, or its folder cannot be read.
    pub fn status(&self) -> Result<Status, PostgresError> {
        if self.layout.made_by()?.is_none() {
            return Ok(Absent);
        }
        let said = self.control_output(&["status"])?;
        if !said.status.success() {
            return Ok(Stopped);
        }
        Ok(self.pid().map_or(Stopped, Running))
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        settings::url(&self.layout.run, database)
    }

    /// The URL of the database that the collector uses.
    pub fn database_url(&self) -> String {
        self.url(ROLE)
    }

    /// The server's process, while it runs.
    pub(super) fn pid(&self) -> Option<i32> {
        let file = std::fs::read_to_string(self.layout.data.join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    fn launch(&self) -> Result<(), PostgresError> {
        let layout = &self.layout;
        let made_by = layout.made_by()?;
        let binaries = Binaries::find(made_by.as_deref().map(|v| (layout.data.as_path(), v)))?;
        layout.make(&self.account)?;
        if made_by.is_none() {
            self.room(NEEDED_NEW_MB)?;
            self.initialise(&binaries)?;
        }
        if let Running(pid) = self.status()? {
            info!(pid, "adopted a private PostgreSQL that was running");
            return Ok(());
        }
        self.room(NEEDED_START_MB)?;
        self.configure()?;
        self.start_server(&binaries)
    }

    /// Makes the database beside its place and then renames it, so that a kill leaves all or nothing.
    fn initialise(&self, binaries: &Binaries) -> Result<(), PostgresError> {
        let unfinished = self.layout.unfinished();
        for leftover in [&unfinished, &self.layout.data] {
            match std::fs::remove_dir_all(leftover) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(PostgresError::file("remove", leftover)(e));
                }
                _ => {}
            }
        }
        let mut command = self.account.command(binaries.program("initdb"));
        command.args(["--username", ROLE, "--auth", "peer", "--encoding", "UTF8", "--locale", "C"]);
        if self.care == Care::Scratch {
            command.arg("--no-sync");
        }
        let said = command.arg("--pgdata").arg(&unfinished).output();
        check("initdb", said.map_err(PostgresError::file("run", binaries.program("initdb")))?)?;
        std::fs::rename(&unfinished, &self.layout.data)
            .map_err(PostgresError::file("rename", &unfinished))?;
        info!(version = binaries.major(), "made a private PostgreSQL");
        Ok(())
    }

    fn configure(&self) -> Result<(), PostgresError> {
        let data = &self.layout.data;
        let write = |name: &str, text: &str| {
            let path = data.join(name);
            std::fs::write(&path, text).map_err(PostgresError::file("write", &path))?;
            self.account.give(&path)
        };
        write("vedette.conf", &settings::server(&self.layout.run, self.care))?;
        write("pg_hba.conf", &settings::access())?;
        write("pg_ident.conf", &settings::identities(&self.account.name))?;
        let main = data.join("postgresql.conf");
        let before = std::fs::read_to_string(&main).map_err(PostgresError::file("read", &main))?;
        const INCLUDE: &str = "include = 'vedette.conf'";
        if !before.lines().any(|line| line == INCLUDE) {
            write("postgresql.conf", &format!("{before}\n{INCLUDE}\n"))?;
        }
        Ok(())
    }

    fn start_server(&self, binaries: &Binaries) -> Result<(), PostgresError> {
        self.begin_log()?;
        let log = self.layout.log.clone();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let from = std::fs::metadata(&log).map_or(0, |meta| meta.len());
            let mut command = self.account.command(binaries.program("pg_ctl"));
            command.args(["start", "-w", "-t", "120", "-s", "-D"]).arg(&self.layout.data).arg("-l").arg(&log);
            // The server inherits them otherwise, and keeps whoever waits for their end waiting.
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
            let said = command.stderr(std::process::Stdio::null()).status();
            if said.map_err(PostgresError::file("run", binaries.program("pg_ctl")))?.success() {
                info!(version = binaries.major(), "started the private PostgreSQL");
                return Ok(());
            }
            let said = tail(&log, from);
            // The children of a server that was killed notice it within a moment.
            if said.contains("pre-existing shared memory block") && attempt < ATTEMPTS {
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            if said.contains("No space left on device") {
                self.room(u64::MAX)?;
            }
            return Err(PostgresError::NotStarted { said: reason(&said), log });
        }
    }

    fn begin_log(&self) -> Result<(), PostgresError> {
        let log = &self.layout.log;
        if std::fs::metadata(log).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
            std::fs::rename(log, log.with_extension("log.1")).map_err(PostgresError::file("rename", log))?;
            self.layout.make(&self.account)?;
        }
        Ok(())
    }

    fn room(&self, needed_mb: u64) -> Result<(), PostgresError> {
        let path = self.layout.root.clone();
        let stat = nix::sys::statvfs::statvfs(&path)
            .map_err(|e| PostgresError::file("look at", path.clone())(e.into()))?;
        let free_mb = stat.blocks_available().saturating_mul(stat.fragment_size()) >> 20;
        if free_mb < needed_mb {
            let needed_mb = needed_mb.min(NEEDED_NEW_MB);
            return Err(PostgresError::DiskFull { path, free_mb, needed_mb });
        }
        Ok(())
    }

    pub(super) async fn make_database(&self, name: &str) -> Result<(), PostgresError> {
        let mut conn = match PgConnection::connect(&self.url("postgres")).await {
            Ok(conn) => conn,
            Err(e) => {
                return Err(match self.pid() {
                    Some(pid) if !matches!(e, sqlx::Error::Database(_)) => {
                        PostgresError::Foreign { path: self.layout.data.clone(), pid }
                    }
                    _ => e.into(),
                });
            }
        };
        let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut conn)
            .await?;
        if !there {
            let made = sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut conn).await;
            match made {
                // Somebody else was faster.
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P04") => {}
                other => {
                    other?;
                }
            }
        }
        conn.close().await?;
        Ok(())
    }

    fn control(&self, args: &[&str]) -> Result<(), PostgresError> {
        check("pg_ctl", self.control_output(args)?)
    }

    fn control_output(&self, args: &[&str]) -> Result<Output, PostgresError> {
        let made_by = self.layout.made_by()?.unwrap_or_default();
        let binaries = Binaries::find(Some((&self.layout.data, &made_by)))?;
        let program = binaries.program("pg_ctl");
        let mut command = self.account.command(&program);
        command
            .args(args)
            .arg("-D")
            .arg(&self.layout.data)
            .output()
            .map_err(PostgresError::file("run", program))
    }
}

fn check(program: &'static str, said: Output) -> Result<(), PostgresError> {
    if said.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    Err(PostgresError::Program { program, said: reason(&text) })
}

/// The line that says why: the first fatal one, else the first error, else the last of all.
fn reason(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = |mark: &str| lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
    ["FATAL:", "PANIC:", "error:", "ERROR:"]
        .iter()
        .find_map(|mark| marked(mark))
        .or_else(|| lines().next_back().map(str::to_owned))
        .unwrap_or_else(|| "it said nothing".to_owned())
}

/// What was added to a log since it was `from` bytes long, at most the last 64 KiB.
fn tail(log: &Path, from: u64) -> String {
    let read = || {
        let mut file = std::fs::File::open(log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(len.saturating_sub(64 << 10))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PostgresError> + Send + 'static,
) -> Result<T, PostgresError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_a_log() {
        let log = "2026 [1] LOG:  starting\n2026 [1] FATAL:  lock file \"postmaster.pid\" already exists\n2026 HINT: x\n";
        assert_eq!(reason(log), "lock file \"postmaster.pid\" already exists");
        assert_eq!(reason("initdb: error: could not create directory\n"), "could not create directory");
        assert_eq!(reason("a\nb\n\n"), "b");
    }
}
