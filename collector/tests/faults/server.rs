//! What is done to a PostgreSQL.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vedette_collector::postgres::scratch::Server;

/// A connection that stays when others are terminated.
pub(crate) struct Admin(PgConnection);

impl Admin {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self(PgConnection::connect(&server.admin_url()).await.unwrap())
    }

    async fn run(&mut self, sql: String) {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut self.0).await.unwrap();
    }

    pub(crate) async fn set(&mut self, name: &str, value: &str) {
        self.run(format!("alter system set {name} = '{value}'")).await;
        self.run("select pg_reload_conf()".into()).await;
    }

    pub(crate) async fn reset(&mut self, name: &str) {
        self.run(format!("alter system reset {name}")).await;
        self.run("select pg_reload_conf()".into()).await;
    }

    pub(crate) async fn terminate_all(&mut self) {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname is not null";
        self.run(sql.into()).await;
    }

    /// Ends the connections of ingest; false if there are none.
    pub(crate) async fn terminate_ingest(&mut self) -> bool {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vedette-ingest'";
        !sqlx::query(sql).fetch_all(&mut self.0).await.unwrap().is_empty()
    }

    /// Whether ingest has a connection.
    pub(crate) async fn sees_ingest(&mut self) -> bool {
        let sql = "select count(*) from pg_stat_activity where application_name = 'vedette-ingest'";
        let n: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.0).await.unwrap();
        n > 0
    }

    /// Waits until the commit of a group waits for a standby. What commits alone before it is cut off, too.
    pub(crate) async fn waits_in_commit(&mut self) {
        let sql = "select query from pg_stat_activity where application_name = 'vedette-ingest' and wait_event = 'SyncRep'";
        for _ in 0..2_000 {
            let query: Option<String> = sqlx::query_scalar(sql).fetch_optional(&mut self.0).await.unwrap();
            match query.as_deref() {
                Some("COMMIT") => return,
                Some(_) => {
                    self.terminate_ingest().await;
                }
                None => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // poll interval
        }
        panic!("no commit waits for a standby");
    }

    /// Takes connections until the server has none left, for whoever they are.
    pub(crate) async fn take_all_connections(&mut self, server: &Server) -> Vec<PgConnection> {
        let mut taken = Vec::new();
        loop {
            match PgConnection::connect(&server.admin_url()).await {
                Ok(conn) => taken.push(conn),
                Err(sqlx::Error::Database(said)) if said.code().as_deref() == Some("53300") => return taken,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// Processes that are stopped, until this is dropped.
pub(crate) struct Paused(Vec<Pid>);

/// Stops all processes of a server.
pub(crate) fn pause(server: &Server) -> Paused {
    let postmaster = server.pid().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    let all: Vec<Pid> = std::iter::once(postmaster).chain(children).map(Pid::from_raw).collect();
    all.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    Paused(all)
}

impl Drop for Paused {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

/// A small file system with the tablespace `small` on it; unmounted when dropped.
pub(crate) struct Tablespace {
    path: PathBuf,
}

impl Tablespace {
    /// `None`, and a word about it, where nothing can be mounted.
    pub(crate) async fn mount(test: &str, server: &Server) -> Option<Self> {
        let path = server.home().join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512m", "vedette-test"])
            .arg(&path)
            .output();
        if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("\nSKIPPED {test}: mounting a file system takes root");
            return None;
        }
        let this = Self { path };
        let data = server.home().join("postgres/data");
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(data).unwrap());
        let folder = this.path.join("data");
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(owner), None).unwrap();
        let mut admin = Admin::connect(server).await;
        admin.run(format!("create tablespace small location '{}'", folder.display())).await;
        Some(this)
    }

    /// Makes the file system so large that so many bytes are free.
    pub(crate) fn leave_room(&self, free: u64) {
        let now = nix::sys::statvfs::statvfs(&self.path).unwrap();
        let used = (now.blocks() - now.blocks_free()) * now.fragment_size();
        let size = format!("remount,size={}", used + free);
        let done = Command::new("mount").args(["-o", &size]).arg(&self.path).status().unwrap();
        assert!(done.success(), "mount -o {size}");
    }
}

impl Drop for Tablespace {
    fn drop(&mut self) {
        // Its files are still open: gone with the server.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}
