//! The site that all plays share, one play at a time, and what every play must leave untouched.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::time::OffsetDateTime;
use serde_json::Value;
use tests::counts::{self, Counts};
use tests::site::Site;
use tests::usage::rss_anon_kib;
use tests::wait::{poll, until};
use vedette_collector::ca::Authority;
use wire::id::HostId;

use crate::client::{Client, hello};
use crate::identities::{enrol, papers_of, tls};

const N_HOSTS: usize = 2;
/// What threads keep for the next batch (each has a decompressor, and pages that are only partly in use), and what the
/// healthy hosts may move.
const SLACK_KIB: u64 = 64 << 10;
/// Within this, whatever was spent on a hostile node is given back.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// The least that the healthy hosts have stored while somebody misbehaves, events.
const PROGRESS: u64 = 20;
/// After so long without a line about misbehaviour the log takes the next one.
const QUIET: Duration = Duration::from_millis(1_200);
/// How often lines about strangers may come, at once and then each second: 20 and 1 from the listener and as many from
/// ingest, 60 and 1 about enrolments.
const LINES: (u64, u64) = (100, 3);

/// A site, and an enrolled host that does as it likes.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) authority: Authority,
    pub(crate) villain: HostId,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// How many lines about misbehaviour the log has, and since when.
    noise: Cell<(usize, Instant)>,
}

/// How things stood before a play.
pub(crate) struct Before {
    at: Instant,
    counts: Counts,
    rss_kib: u64,
    log: usize,
    stored: u64,
    villain: u64,
}

impl Before {
    /// Events of the villain that were stored then.
    pub(crate) fn villain(&self) -> u64 {
        self.villain
    }
}

/// What a play must have left.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// The beginning of the name of a counter that moved, with its labels.
    pub(crate) counter: &'a str,
    /// A part of a new line of the log.
    pub(crate) log: &'a str,
    /// How many events of the villain are stored.
    pub(crate) stored: u64,
}

/// One site for all plays: it ends with this process (its watcher sees to that).
static SCENE: Mutex<Option<Scene>> = Mutex::new(None);

/// Plays in the scene, when no other play does; afterwards everything that the healthy hosts made must be stored.
pub(crate) fn play<T>(play: impl FnOnce(&mut Scene) -> T) -> T {
    let mut scene = SCENE.lock().unwrap_or_else(PoisonError::into_inner);
    let scene = scene.get_or_insert_with(|| Scene::open().expect("the site starts"));
    scene.site.begin_round().expect("hosts go on");
    let played = play(scene);
    scene.judge_healthy();
    played
}

impl Scene {
    fn open() -> anyhow::Result<Self> {
        let mut site = Site::start(N_HOSTS, 39)?;
        // What an allocator keeps for later says nothing of what is held: this one gives it back at once.
        let collector = &mut site.collectors[0];
        collector.program.stop()?;
        collector.program.variables.push(("MIMALLOC_PURGE_DELAY".to_owned(), "0".to_owned()));
        collector.program.start()?;
        collector.wait_until_ready()?;
        let folder = site.collectors[0].home.join("collector");
        let authority = Authority::open_or_create(&folder, OffsetDateTime::now_utc())?;
        let villain = enrol(&site, "villain")?;
        let tls = tls(&authority, Some(papers_of(&authority, villain, OffsetDateTime::now_utc())));
        Ok(Self { site, authority, villain, tls, noise: Cell::new((0, Instant::now())) })
    }

    /// The collector that is played with, UDP and TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.site.collectors[0].address
    }

    /// Where it tells what it counts.
    pub(crate) fn metrics(&self) -> SocketAddr {
        let address = self.address();
        SocketAddr::new(address.ip(), address.port() + 1)
    }

    pub(crate) fn run<T>(&self, what: impl Future<Output = T>) -> T {
        self.site.runtime.block_on(what)
    }

    /// A session of the villain's, greeted.
    pub(crate) async fn session(&self) -> Client {
        Client::greeted(self.address(), self.tls.clone(), hello()).await
    }

    /// What the collector that is played with says of itself.
    pub(crate) fn metrics_text(&self) -> String {
        counts::fetch(self.metrics())
    }

    /// A statement's answer, trimmed.
    pub(crate) fn sql(&self, text: &str) -> String {
        self.site.server.sql(text).expect("the database answers").trim().to_owned()
    }

    pub(crate) fn number(&self, text: &str) -> u64 {
        let said = self.sql(text);
        said.parse().unwrap_or_else(|_| panic!("{text}: {said}"))
    }

    /// Events of a host that are stored.
    pub(crate) fn stored_of(&self, host: &str) -> u64 {
        self.number(&format!("select coalesce(sum(n_stored), 0)::bigint from stream where host = '{host}'"))
    }

    /// What the command line answers.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        self.site.json(words).expect("vedette answers")
    }

    /// All of the log of the collector that is played with.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.site.collectors[0].home.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn rss_kib(&self) -> u64 {
        self.site.collectors[0].program.pid().map_or(0, rss_anon_kib)
    }

    fn stored_by_healthy(&self) -> u64 {
        self.site.hosts.iter().map(|host| self.stored_of(&host.id)).sum()
    }

    /// Waits until the log takes a line about misbehaviour again: it has one to give each second.
    pub(crate) fn wait_for_the_log(&self) {
        until("the log is quiet", Duration::from_secs(60), || {
            let n_lines = self.log().matches("n_suppressed").count();
            let (before, since) = self.noise.get();
            if n_lines != before {
                self.noise.set((n_lines, Instant::now()));
            }
            (n_lines == before && since.elapsed() >= QUIET).then_some(())
        });
    }

    /// How things stand.
    pub(crate) fn look(&self) -> Before {
        self.wait_for_the_log();
        Before {
            at: Instant::now(),
            counts: Counts::fetch(self.metrics()),
            rss_kib: self.rss_kib(),
            log: self.log().len(),
            stored: self.stored_by_healthy(),
            villain: self.stored_of(&self.villain.to_string()),
        }
    }

    /// What has been counted since.
    pub(crate) fn counted(&self, before: &Before) -> Counts {
        Counts::fetch(self.metrics()).since(&before.counts)
    }

    /// What has been logged since.
    pub(crate) fn logged(&self, before: &Before) -> String {
        self.log().get(before.log..).unwrap_or_default().to_owned()
    }

    /// Holds the collector to what a misbehaving node may come to.
    #[track_caller]
    pub(crate) fn judge(&self, what: &str, before: &Before, expected: Expected<'_>) {
        let back = poll(BACK_WITHIN, || (self.rss_kib() <= before.rss_kib + SLACK_KIB).then_some(()));
        let rss = self.rss_kib();
        assert!(
            back.is_some(),
            "{what}: {rss} KiB of memory {BACK_WITHIN:?} later, {} before",
            before.rss_kib
        );
        let Expected { counter, log, stored } = expected;
        until(&format!("{what}: {counter} moves"), BACK_WITHIN, || {
            (self.counted(before).of(counter) > 0).then_some(())
        });
        let logged = poll(BACK_WITHIN, || {
            let logged = self.logged(before);
            logged.contains(log).then_some(logged)
        });
        let logged = logged.unwrap_or_else(|| panic!("{what}: no {log:?} in {}", self.logged(before)));
        let n_lines = logged.lines().filter(|line| line.contains("WARN")).count() as u64;
        let most = LINES.0 + LINES.1 * before.at.elapsed().as_secs();
        assert!(n_lines <= most, "{what}: {n_lines} lines are logged");
        let villain = self.stored_of(&self.villain.to_string()) - before.villain;
        assert_eq!(villain, stored, "{what}: events of the villain that are stored");
        self.noise.set((self.log().matches("n_suppressed").count(), Instant::now()));
        let progress = || self.stored_by_healthy().checked_sub(before.stored + PROGRESS);
        assert!(poll(BACK_WITHIN * 2, progress).is_some(), "{what}: the healthy hosts do not go on");
    }

    /// Everything that the healthy hosts made is stored, once, and nobody has anything to say about them.
    fn judge_healthy(&mut self) {
        self.site.end_round().expect("everything is handed over");
        for host in &self.site.hosts {
            let made: u64 = host.state().expect("it says something").made.iter().sum();
            assert_eq!(self.stored_of(&host.id), made, "{}", host.name);
            let of_host =
                |table: &str| self.sql(&format!("select * from {table} where host = '{}'", host.id));
            assert_eq!((of_host("gap"), of_host("quarantine"), of_host("finding")), Default::default());
        }
    }
}
