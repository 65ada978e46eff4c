//! Hosts that report to a collector: for each an outbox and an uplink as a sensor has them, over a QUIC connection
//! and a socket of its own, all in this process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tests::papers::Papers;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use vedette_sensor::outbox::{Outbox, OutboxConfig};
use vedette_sensor::spool::StreamKey;
use vedette_sensor::uplink::{self, About, Link, State, UplinkConfig};
use wire::frame::data::Batch;
use wire::frame::sensor::Facts;
use wire::id::{BootId, Lane};
use wire::time::BootTime;

use crate::batches::Load;
use crate::collector::Collector;

/// Handshakes under way at a time: a fleet whose collector was started again comes back spread out, too.
const HANDSHAKES: usize = 32;

/// Connected hosts.
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Host>,
    /// Where the collector tells what it counts.
    pub(crate) metrics: Option<SocketAddr>,
    shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

pub(crate) struct Host {
    pub(crate) stream: StreamKey,
    pub(crate) outbox: Arc<Outbox>,
    link: Arc<Link>,
    /// What was written and not yet acknowledged: the number after it, and when it was written.
    pub(crate) unacknowledged: VecDeque<(u64, Instant)>,
    _facts: watch::Sender<Facts>,
    _tls: watch::Sender<Arc<rustls::ClientConfig>>,
    task: AbortOnDropHandle<()>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("vedette-bench-").tempdir_in("/dev/shm").unwrap();
        Self { hosts: Vec::new(), metrics: None, shutdown: CancellationToken::new(), _dir: dir }
    }

    /// Enrols and connects one host for each load; returns when all have a session.
    pub(crate) async fn connect(&mut self, collector: &Collector, loads: &[Load]) {
        self.metrics = Some(collector.metrics);
        let papers = collector.enroll(loads.iter().map(|load| load.host)).await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(collector.authority().clone()).unwrap();
        let roots = Arc::new(roots);
        let (fleet, roots) = (&*self, &roots);
        let connecting = loads.iter().zip(papers).map(|(load, papers)| async move {
            let host = fleet.host(load, client_tls(roots.clone(), papers), collector);
            let mut state = host.link.state();
            let up = state.wait_for(|state| matches!(state, State::Up { .. }));
            tokio::time::timeout(Duration::from_secs(120), up).await.expect("a session").unwrap();
            host
        });
        let hosts: Vec<Host> = futures::stream::iter(connecting).buffered(HANDSHAKES).collect().await;
        self.hosts.extend(hosts);
    }

    fn host(&self, load: &Load, tls: rustls::ClientConfig, collector: &Collector) -> Host {
        let dir = self._dir.path().join(load.host.to_string());
        let outbox = Arc::new(Outbox::open(&OutboxConfig { dir, max_bytes: 1 << 30, disk: None }).unwrap());
        outbox.begin(load.epoch);
        let link = Arc::new(Link::default());
        let (tls, facts) = (watch::Sender::new(Arc::new(tls)), watch::Sender::new(Facts::default()));
        let config = UplinkConfig {
            collectors: vec![collector.address.to_string()],
            tls: tls.subscribe(),
            about: About {
                host_name: format!("bench-{}", load.host),
                kernel_release: "6.1.0".into(),
                arch: "x86_64".into(),
                boot: BootId::new(Uuid::new_v4()),
                capabilities: vec![],
            },
            facts: facts.subscribe(),
        };
        let run = uplink::run(config, outbox.clone(), link.clone(), self.shutdown.clone());
        Host {
            stream: StreamKey { epoch: load.epoch, lane: load.lane },
            outbox,
            link,
            unacknowledged: VecDeque::new(),
            _facts: facts,
            _tls: tls,
            task: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }

    /// How many batches are on the way.
    pub(crate) fn n_unacknowledged(&self) -> usize {
        self.hosts.iter().map(|host| host.unacknowledged.len()).sum()
    }

    /// How many hosts have no session now.
    pub(crate) fn n_down(&self) -> usize {
        self.hosts.iter().filter(|host| !matches!(*host.link.state().borrow(), State::Up { .. })).count()
    }

    /// How many hosts have a session that began after this.
    pub(crate) fn n_up_since(&self, moment: BootTime) -> usize {
        let is_up =
            |host: &&Host| matches!(*host.link.state().borrow(), State::Up { since, .. } if since > moment);
        self.hosts.iter().filter(is_up).count()
    }

    /// Says goodbye and waits until every connection is closed.
    pub(crate) async fn disconnect(self) {
        self.shutdown.cancel();
        for host in self.hosts {
            host.task.await.unwrap();
        }
    }
}

impl Host {
    /// Writes a batch into the outbox, from where the uplink sends it.
    pub(crate) fn write(&mut self, batch: &Batch) {
        self.unacknowledged.push_back((batch.end(), Instant::now()));
        self.outbox.append(self.stream.epoch, self.stream.lane, batch.clone()).unwrap();
    }

    /// Takes note of what was acknowledged; for each batch, how long that took since it was written.
    pub(crate) fn look(&mut self, now: Instant, took: &mut Vec<Duration>) {
        if self.unacknowledged.is_empty() {
            return;
        }
        let acked = self.outbox.holdings().streams.iter().find_map(|held| {
            (held.epoch == self.stream.epoch && held.lane == self.stream.lane).then_some(held.acked)
        });
        while let Some((end, written)) = self.unacknowledged.front().copied()
            && acked.is_some_and(|acked| acked >= end)
        {
            self.unacknowledged.pop_front();
            took.push(now.saturating_duration_since(written));
        }
    }

    /// Events that were not stored, whoever gave them up.
    pub(crate) fn n_missing(&self) -> u64 {
        Lane::ALL
            .iter()
            .map(|lane| self.outbox.totals(*lane))
            .map(|totals| totals.shed + totals.rejected)
            .sum()
    }
}

fn client_tls(roots: Arc<rustls::RootCertStore>, papers: Papers) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(papers.chain, papers.key)
        .unwrap();
    config.alpn_protocols = vec![wire::frame::ALPN.to_vec()];
    config
}
