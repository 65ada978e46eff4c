//! Collectors in processes of their own that share an authority and a database.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::PgPool;
use tempfile::TempDir;
use tests::papers::{certify, client_tls};
use tests::stack::{free_port, program, vedette};
use tests::wait::until;
use time::OffsetDateTime;
use vedette_collector::ca::Authority;
use vedette_collector::postgres::scratch::Server;
use vedette_collector::store::hosts::{self, NewHost};
use vedette_collector::store::leases::{self, Task};
use vedette_collector::store::{Stamp, collectors};
use wire::enrolment::HostFacts;
use wire::id::HostId;

/// A database, and collectors that share it.
pub(crate) struct Site {
    pub(crate) pool: PgPool,
    authority: Authority,
    collectors: Vec<Collector>,
    _server: Server,
}

struct Collector {
    child: Child,
    home: TempDir,
    address: SocketAddr,
}

impl Site {
    /// Starts so many at once, on a database that has no tables yet.
    pub(crate) async fn start(n: usize) -> Self {
        let server = Server::start().await.unwrap();
        let url = server.empty_database().await.unwrap();
        let keys = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(keys.path(), OffsetDateTime::now_utc()).unwrap();
        let collectors: Vec<Collector> = (0..n).map(|_| Collector::spawn(&url, keys.path())).collect();
        for collector in &collectors {
            collector.wait();
        }
        let pool = vedette_collector::store::pool(&url, 4).unwrap();
        Self { pool, authority, collectors, _server: server }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.collectors.iter().map(|collector| collector.address).collect()
    }

    /// Ends the collector `n` with this signal, and waits for it.
    pub(crate) fn stop(&mut self, n: usize, signal: Signal) {
        let child = &mut self.collectors[n].child;
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        if signal == Signal::SIGKILL {
            child.wait().unwrap();
        }
    }

    /// Which collector does a task now.
    pub(crate) async fn holder(&self, task: Task) -> Option<usize> {
        let held = leases::all(&self.pool).await.unwrap();
        let held = held.into_iter().find(|held| held.task == task.name() && held.left.is_some())?;
        let runs = collectors::all(&self.pool).await.unwrap();
        let run = runs.into_iter().find(|run| run.run == held.holder)?;
        self.collectors.iter().position(|collector| collector.address.to_string() == run.listen)
    }

    pub(crate) async fn holders(&self) -> Vec<Option<usize>> {
        let mut holders = Vec::new();
        for task in Task::ALWAYS {
            holders.push(self.holder(task).await);
        }
        holders
    }

    /// What `vedette` prints at collector `n`.
    pub(crate) fn vedette(&self, n: usize, words: &[&str]) -> String {
        let output = vedette(self.collectors[n].home.path()).args(words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() < Some(2), "vedette {words:?}: {error}\n{}", self.collectors[n].log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// The JSON lines that it prints.
    pub(crate) fn json(&self, n: usize, words: &[&str]) -> Vec<serde_json::Value> {
        let words: Vec<_> = words.iter().copied().chain(["--output", "json"]).collect();
        self.vedette(n, &words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `vedette tail` at collector `n`.
    pub(crate) fn tail(&self, n: usize, words: &[&str]) -> Child {
        let mut command = vedette(self.collectors[n].home.path());
        command.arg("tail").args(words).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Enrols a host and gives it TLS settings with its certificate.
    pub(crate) async fn enroll(&self, id: HostId) -> Arc<rustls::ClientConfig> {
        let now = OffsetDateTime::now_utc();
        let certified = certify(&self.authority, id, now);
        let stamp = |at: OffsetDateTime| Stamp::from_unix_us(at.unix_timestamp() * 1_000_000);
        let facts = HostFacts {
            name: format!("host-{}", id.uuid().as_u128() & 0xff),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            sensor_version: "test".into(),
            boot: None,
        };
        let host = NewHost {
            id,
            facts: &facts,
            tags: &[],
            serial: certified.serial,
            certified_until: stamp(certified.not_after),
            now: stamp(now),
        };
        hosts::enroll(&self.pool, host).await.unwrap();
        client_tls(&self.authority, Some(certified.papers))
    }
}

impl Collector {
    /// With the keys of the fleet in its home, as an operator puts them there, and nothing else.
    fn spawn(url: &str, keys: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("vedette-").tempdir_in("/var/tmp").unwrap();
        let folder = home.path().join("collector");
        std::fs::create_dir(&folder).unwrap();
        for name in ["ca.key", "ca.pem"] {
            std::fs::copy(keys.join(name), folder.join(name)).unwrap();
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let child = Command::new(program("vedette-collector"))
            .args(["serve", "--local-cli", "--listen", &address.to_string(), "--database", url, "--home"])
            .arg(home.path())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        Self { child, home, address }
    }

    fn wait(&self) {
        let ready = self.home.path().join("collector/ready");
        let is_ready = tests::wait::poll(Duration::from_secs(60), || ready.exists().then_some(()));
        assert!(is_ready.is_some(), "the collector is not ready: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
            until("the collector stops", Duration::from_secs(60), || self.child.try_wait().ok().flatten());
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(30).collect();
            eprintln!("--- {}", self.address);
            lines.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

pub(crate) async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
