//! The database server of a site, and a standby that can take its place.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::wait::{poll, until};
use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use vedette_collector::postgres::Binaries;

/// One PostgreSQL, in a folder of its own; ended when dropped.
pub struct Server {
    folder: PathBuf,
    binaries: Binaries,
    user: Option<User>,
}

/// Who may do everything in it, with connections of its own; collectors are [`ROLE`].
const ADMIN: &str = "admin";
/// The role of collectors.
pub const ROLE: &str = "vedette";
/// The name of the database.
pub const DATABASE: &str = "vedette";

impl Server {
    /// Makes a server in `folder` and starts it, with an empty database.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        let server = Self::in_folder(folder)?;
        let mut initdb = server.command("initdb");
        initdb.args([
            "--username",
            ADMIN,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        run(initdb.arg("--pgdata").arg(server.data()))?;
        server.configure()?;
        server.start()?;
        server.sql_in("postgres", &format!("create role {ROLE} login"))?;
        server.sql_in("postgres", "create role other login")?;
        server.sql_in("postgres", &format!("create database {DATABASE} owner {ROLE}"))?;
        Ok(server)
    }

    /// A standby of this server, which has all that is committed from now on before the commit is answered.
    pub fn standby(&self, folder: &Path) -> anyhow::Result<Self> {
        let standby = Self::in_folder(folder)?;
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync"]);
        copy.args(["--username", ADMIN, "--host"]).arg(self.run_folder()).arg("--pgdata").arg(standby.data());
        run(&mut copy)?;
        standby.configure()?;
        standby.start()?;
        self.sql("alter system set synchronous_standby_names = '*'")?;
        self.sql("select pg_reload_conf()")?;
        until("the standby follows", Duration::from_secs(30), || {
            let state = self.sql("select sync_state from pg_stat_replication").ok()?;
            (state.trim() == "sync").then_some(())
        });
        Ok(standby)
    }

    /// Makes a standby the primary.
    pub fn promote(&self) -> anyhow::Result<()> {
        run(self.command("pg_ctl").args(["promote", "-w", "-s", "-D"]).arg(self.data()))?;
        self.sql("alter system reset synchronous_standby_names")?;
        self.sql("select pg_reload_conf()").map(drop)
    }

    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let root = nix::unistd::geteuid().is_root();
        let user = root.then(|| User::from_name("postgres")).transpose()?.flatten();
        ensure!(!root || user.is_some(), "there is no user postgres for a server to run as");
        std::fs::create_dir_all(folder)?;
        let server = Self { folder: folder.to_owned(), binaries: Binaries::find(None)?, user };
        std::fs::create_dir_all(server.run_folder())?;
        for path in [&server.folder, &server.run_folder()] {
            server.give(path)?;
        }
        Ok(server)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 40\nwal_level = replica\n\
             max_wal_senders = 4\nshared_buffers = '64MB'\nfsync = off\nmax_locks_per_transaction = 256\n\
             timezone = 'UTC'\nmax_wal_size = '64MB'\nmin_wal_size = '32MB'\n",
            self.run_folder().display()
        );
        std::fs::write(self.data().join("postgresql.conf"), settings)?;
        std::fs::write(
            self.data().join("pg_hba.conf"),
            "local all all trust\nlocal replication all trust\n",
        )?;
        for name in ["postgresql.conf", "pg_hba.conf"] {
            self.give(&self.data().join(name))?;
        }
        Ok(())
    }

    /// Starts it, and waits until it answers.
    pub fn start(&self) -> anyhow::Result<()> {
        let mut start = self.command("pg_ctl");
        start.args(["start", "-w", "-t", "60", "-s", "-D"]).arg(self.data());
        start.arg("-l").arg(self.folder.join("log"));
        run(&mut start).with_context(|| self.log())
    }

    /// Stops it in this way (`fast`, `immediate`), and waits.
    pub fn stop(&self, how: &str) -> anyhow::Result<()> {
        run(self.command("pg_ctl").args(["stop", "-w", "-s", "-m", how, "-D"]).arg(self.data()))
    }

    /// Whether its first process is there.
    pub fn is_running(&self) -> bool {
        self.pid().is_some_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
    }

    /// Sends the server and all its processes this signal.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in std::iter::once(pid).chain(children) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Kills it as a loss of power of its process does; returns when it is gone.
    pub fn crash(&self) {
        let Some(pid) = self.pid() else { return };
        self.signal(Signal::SIGKILL);
        poll(Duration::from_secs(10), || kill(Pid::from_raw(pid), None).is_err().then_some(()));
    }

    /// What a statement answers, a row a line and columns with `|` between them.
    pub fn sql(&self, text: &str) -> anyhow::Result<String> {
        self.sql_in(DATABASE, text)
    }

    /// A session that keeps doing this until it is dropped.
    pub fn session(&self, role: &str, text: &str) -> anyhow::Result<std::process::Child> {
        let mut psql = self.psql(DATABASE, role);
        Ok(psql.args(["-c", text]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    fn sql_in(&self, database: &str, text: &str) -> anyhow::Result<String> {
        let said = self.psql(database, ADMIN).args(["-c", text]).output().context("cannot run psql")?;
        ensure!(said.status.success(), "{text}: {}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    fn psql(&self, database: &str, role: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database, "-h"]);
        psql.arg(self.run_folder());
        psql
    }

    /// The socket that it listens at.
    pub fn socket(&self) -> PathBuf {
        self.run_folder().join(".s.PGSQL.5432")
    }

    /// The folder that it lives in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().rev().take(15).collect::<Vec<_>>().join("\n")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn pid(&self) -> Option<i32> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn give(&self, path: &Path) -> anyhow::Result<()> {
        match &self.user {
            Some(user) => Ok(nix::unistd::chown(path, Some(user.uid), Some(user.gid))?),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
        if self.is_running() && self.stop("immediate").is_err() {
            self.crash();
        }
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // Not a pipe: a server that is started would keep it open.
    let said = tempfile::tempfile()?;
    let status = command.stdout(said.try_clone()?).stderr(said.try_clone()?).status()?;
    if status.success() {
        return Ok(());
    }
    use std::io::{Read as _, Seek as _};
    let (mut said, mut text) = (said, String::new());
    said.rewind()?;
    said.read_to_string(&mut text)?;
    anyhow::bail!("{command:?} failed: {text}")
}
