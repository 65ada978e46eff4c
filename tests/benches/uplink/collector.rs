//! The real collector, in a process of its own, on a database of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls_pki_types::CertificateDer;
use sqlx::PgPool;
use tests::papers::{Papers, certify};
use tests::stack::{free_port, program};
use tests::wait::until;
use time::OffsetDateTime;
use vedette_collector::ca::Authority;
use vedette_collector::postgres::scratch::Server;
use vedette_collector::store::Stamp;
use vedette_collector::store::hosts::{self, NewHost};
use wire::enrolment::HostFacts;
use wire::id::HostId;

/// A running collector; stopped when dropped.
pub(crate) struct Collector {
    child: Child,
    home: tempfile::TempDir,
    authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    url: String,
    pub(crate) pool: PgPool,
}

impl Collector {
    pub(crate) async fn start(server: &Server) -> Self {
        let database = server.database().await.unwrap();
        let home = tempfile::Builder::new().prefix("vedette-bench-").tempdir_in("/var/tmp").unwrap();
        let folder = home.path().join("collector");
        std::fs::create_dir(&folder).unwrap();
        // Made here rather than by the collector, which takes it up: so that hosts can be certified.
        let authority = Authority::open_or_create(&folder, OffsetDateTime::now_utc()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let metrics = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let url = database.url;
        let child = run(home.path(), address, metrics, &url);
        let collector = Self { child, home, authority, address, metrics, url, pool: database.pool };
        collector.wait_until_ready();
        collector
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, at the same address and on the same database; returns when it serves.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.home.path(), self.address, self.metrics, &self.url);
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        let ready = self.home.path().join("collector/ready");
        until("the collector is ready", Duration::from_secs(60), || {
            let said = std::fs::read_to_string(&ready).ok()?;
            said.contains(&format!("\"pid\":{},", self.child.id())).then_some(())
        });
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn authority(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// Enrols these hosts: a row and a certificate each, as enrolment over HTTPS gives them.
    pub(crate) async fn enroll(&self, ids: impl Iterator<Item = HostId>) -> Vec<Papers> {
        let now = OffsetDateTime::now_utc();
        let mut tx = self.pool.begin().await.unwrap();
        let mut all = Vec::new();
        for id in ids {
            let certified = certify(&self.authority, id, now);
            let stamp = |at: OffsetDateTime| Stamp::from_unix_us(at.unix_timestamp() * 1_000_000);
            let facts = HostFacts {
                name: format!("bench-{id}"),
                kernel: "6.1.0".into(),
                arch: "x86_64".into(),
                sensor_version: "bench".into(),
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
            hosts::enroll(&mut *tx, host).await.unwrap();
            all.push(certified.papers);
        }
        tx.commit().await.unwrap();
        all
    }

    /// How many events of all streams are stored.
    pub(crate) async fn n_stored(&self) -> u64 {
        let n: i64 = sqlx::query_scalar("select coalesce(sum(n_stored), 0)::bigint from stream")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        n as u64
    }

    /// The end of its log, for messages.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        log.lines().rev().take(10).collect::<Vec<_>>().join("\n")
    }
}

fn run(home: &Path, address: SocketAddr, metrics: SocketAddr, database: &str) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(home.join("log")).unwrap();
    Command::new(program("vedette-collector"))
        .args(["serve", "--log", "warn", "--listen", &address.to_string()])
        .args(["--metrics", &metrics.to_string()])
        .args(["--database", database, "--home"])
        .arg(home)
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
