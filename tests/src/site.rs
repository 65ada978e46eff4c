//! Everything a fleet has, in small: a database, two collectors that share it, a relay before each, and hosts whose events
//! are numbered. For scenarios without a kernel in which any of it may be killed, frozen, cut off or filled up.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "for tests: a wrong index or a poisoned lock is to end one"
)]

pub mod disk;
pub mod host;
pub mod line;
pub mod pace;
pub mod program;
pub mod relay;
pub mod server;
pub mod watcher;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stack::{Ran, free_port, program, vedette};
use crate::wait::poll;
use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tempfile::TempDir;

use self::disk::Disk;
use self::host::{Host, NewHost, SAYS_WITHIN};
use self::line::Line;
use self::program::Program;
use self::relay::{Relay, Weather};
use self::server::{DATABASE, Server};
use self::watcher::Watcher;

/// Events a second of each host in each lane.
const PER_SECOND: f64 = 40.0;
/// Short, so that hosts renew all the time.
const CERTIFICATES_LIVE: &str = "60s";
/// How long hosts may take to hand over everything once all is well.
const DRAINED_WITHIN: Duration = Duration::from_secs(90);

/// A running site. Its parts end in this order when it is dropped.
pub struct Site {
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// A network before each collector.
    pub relays: Vec<Arc<Relay>>,
    /// Two, which share the database.
    pub collectors: Vec<Collector>,
    /// The way from the collectors to the database.
    pub line: Arc<Line>,
    /// The database.
    pub server: Server,
    /// What relays and the line run on.
    pub runtime: tokio::runtime::Runtime,
    /// What is left to chance.
    pub random: StdRng,
    /// The number of the round that events are made of now.
    pub round: u64,
    /// Where each host's counters stood when the round began, by lane.
    pub began: Vec<[u64; 2]>,
    /// What each host's ledger had counted as not stored when the round before was judged.
    pub counted: Vec<u64>,
    sky: (Weather, Weather),
    n_servers: u32,
    _memory: TempDir,
    /// The disk that the database is on; none where no file system can be mounted.
    pub disk: Option<Disk>,
    folder: TempDir,
    _watcher: Watcher,
}

/// A collector and its home.
pub struct Collector {
    /// Its `$VEDETTE_HOME`.
    pub home: PathBuf,
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
    /// Its process.
    pub program: Program,
}

impl Site {
    /// Starts a site of so many hosts. The seed decides everything that is left to chance.
    pub fn start(n_hosts: usize, seed: u64) -> anyhow::Result<Self> {
        Self::start_with(n_hosts, seed, &[])
    }

    /// The same, with these variables, which are settings of the collectors.
    pub fn start_with(n_hosts: usize, seed: u64, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("vedette-faults-").tempdir_in("/var/tmp")?;
        let memory = tempfile::Builder::new().prefix("vedette-faults-").tempdir_in("/dev/shm")?;
        let watcher = Watcher::over(folder.path(), memory.path())?;
        open(folder.path())?;
        let disk = Disk::make(folder.path(), "disk", 512);
        let disk = disk.ok();
        let at = disk.as_ref().map_or(folder.path(), |disk| disk.mounted.as_path());
        open(at)?;
        let server = Server::make(&at.join("server-0"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let line = Arc::new(runtime.block_on(Line::to(server.socket()))?);
        let mut random = StdRng::seed_from_u64(seed);
        let url = format!("postgres://vedette@127.0.0.1:{}/{DATABASE}?sslmode=disable", line.port);
        let mut collectors: Vec<Collector> = Vec::new();
        for n in 0..2 {
            let mut collector = Collector::new(&folder.path().join(format!("collector-{n}")), &url)?;
            if let Some(first) = collectors.first() {
                collector.share_authority(first)?;
            }
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            collector.program.variables.extend(variables);
            collector.program.start()?;
            collector.wait_until_ready()?;
            collectors.push(collector);
        }
        let mut relays = Vec::new();
        for collector in &collectors {
            let random = StdRng::seed_from_u64(random.random());
            relays.push(Arc::new(runtime.block_on(Relay::to(collector.address, random))?));
        }
        let mut site = Self {
            hosts: Vec::new(),
            relays,
            collectors,
            line,
            server,
            runtime,
            random,
            round: 0,
            began: vec![[0; 2]; n_hosts],
            counted: vec![0; n_hosts],
            sky: Default::default(),
            n_servers: 1,
            _memory: memory,
            disk,
            folder,
            _watcher: watcher,
        };
        site.add_hosts(n_hosts)?;
        Ok(site)
    }

    fn add_hosts(&mut self, n_hosts: usize) -> anyhow::Result<()> {
        for n in 0..n_hosts {
            let made = self.json(&["enroll-token", "create", "--output", "json"])?;
            let said = |key: &str| made.first().and_then(|made| made.get(key)?.as_str()).unwrap_or_default();
            let name = format!("host-{n}");
            // Half of them prefer the one collector, half the other.
            let mut addresses: Vec<_> = self.relays.iter().map(|relay| relay.address.to_string()).collect();
            addresses.rotate_left(n % 2);
            let mut host = Host::enrol(NewHost {
                folder: self.folder.path().join(&name),
                spool: self._memory.path().join(&name),
                collectors: &addresses.join(","),
                token: said("token"),
                ca_sha256: said("ca_sha256"),
                per_second: PER_SECOND,
                name,
            })?;
            host.program.start()?;
            self.hosts.push(host);
        }
        Ok(())
    }

    /// A folder for one more server.
    pub fn next_server(&mut self) -> PathBuf {
        self.n_servers += 1;
        let at = self.disk.as_ref().map_or(self.folder.path(), |disk| disk.mounted.as_path());
        at.join(format!("server-{}", self.n_servers))
    }

    /// Begins a round: from now on events are of it.
    pub fn begin_round(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        for i in 0..self.hosts.len() {
            let state = poll(SAYS_WITHIN, || self.hosts[i].state());
            self.began[i] = state.with_context(|| format!("a host says nothing\n{}", self.words()))?.made;
            self.hosts[i].order(&self.round.to_string())?;
        }
        Ok(())
    }

    /// Waits until every host runs and seals what it makes.
    ///
    /// # Errors
    /// When one does not, with what all said.
    pub fn wait_until_going(&self) -> anyhow::Result<()> {
        for host in &self.hosts {
            let first = poll(SAYS_WITHIN, || host.state()).map(|state| state.sealed);
            let goes_on = |sealed: [u64; 2]| {
                sealed.iter().zip(&first.unwrap_or_default()).all(|(now, then)| now > then)
            };
            let going = poll(SAYS_WITHIN, || host.state().filter(|state| goes_on(state.sealed)));
            going.with_context(|| format!("{} makes nothing\n{}", host.name, self.words()))?;
        }
        Ok(())
    }

    /// Ends it: nothing is made any more; returns how long it took until everything was handed over.
    pub fn end_round(&mut self) -> anyhow::Result<Duration> {
        for host in &self.hosts {
            host.order(&format!("paused {}", self.round))?;
        }
        let began = Instant::now();
        let drained =
            poll(DRAINED_WITHIN, || self.hosts.iter().all(|host| host.is_drained(self.round)).then_some(()));
        ensure!(
            drained.is_some(),
            "not everything is acknowledged after {DRAINED_WITHIN:?}\n{}",
            self.words()
        );
        Ok(began.elapsed())
    }

    /// Changes the weather on the way to every collector and back.
    pub fn weather(&mut self, change: impl Fn(&mut Weather, &mut Weather)) {
        let (up, down) = &mut self.sky;
        change(up, down);
        self.relays.iter().for_each(|relay| relay.set(*up, *down));
    }

    /// The JSON lines that a command prints, asked of whichever collector answers.
    pub fn json(&self, words: &[&str]) -> anyhow::Result<Vec<Value>> {
        let mut last = None;
        for collector in &self.collectors {
            let ran = Ran::from(vedette(&collector.home).args(words).output().context("cannot run vedette")?);
            if ran.code <= 1 {
                let line =
                    |line: &str| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"));
                return ran.out.lines().map(line).collect();
            }
            last = Some(ran.err);
        }
        anyhow::bail!("vedette {words:?}: {}", last.unwrap_or_default())
    }

    /// What everyone last said, for messages.
    pub fn words(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            text.push_str(&format!("--- {}: {:?}\n{}\n", host.name, host.state(), host.program.log()));
        }
        for collector in &self.collectors {
            text.push_str(&format!("--- {}\n{}\n", collector.home.display(), collector.program.log()));
        }
        text.push_str(&format!("--- {}\n{}\n", self.server.folder().display(), self.server.log()));
        text
    }
}

impl Collector {
    fn new(home: &Path, database: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home.join("collector"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let words = ["serve", "--local-cli", "--log", "info", "--listen", &address.to_string()]
            .into_iter()
            .chain(["--certificate-lifetime", CERTIFICATES_LIVE, "--database", database, "--home"])
            .map(str::to_owned)
            .chain([home.to_string_lossy().into_owned()])
            .collect();
        let program = Program::new(program("vedette-collector"), words, home.join("log"));
        Ok(Self { home: home.to_owned(), address, program })
    }

    /// Takes the keys of another one, as an operator does who adds a collector.
    fn share_authority(&self, other: &Self) -> anyhow::Result<()> {
        for name in ["ca.key", "ca.pem"] {
            let (from, to) =
                (other.home.join("collector").join(name), self.home.join("collector").join(name));
            std::fs::copy(from, to)?;
        }
        Ok(())
    }

    /// Waits until it serves.
    pub fn wait_until_ready(&self) -> anyhow::Result<()> {
        let ready = self.home.join("collector/ready");
        let is_ready = || {
            let said: Value = serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()?;
            (said.get("pid")?.as_u64()? == u64::from(self.program.pid()?)).then_some(())
        };
        if poll(Duration::from_secs(60), is_ready).is_some() {
            return Ok(());
        }
        anyhow::bail!("the collector in {} is not ready: {}", self.home.display(), self.program.log())
    }
}

/// The database's user must be able to pass through.
fn open(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}
