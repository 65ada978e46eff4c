//! An authority, its certificates, and real listeners and uplinks on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint};
use tempfile::TempDir;
pub(crate) use tests::papers::{Papers, client_tls, papers_of};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use vedette_collector::ca::{Authority, host_of};
use vedette_collector::listener::{Listener, ListenerConfig, ListenerLimits, Refusal, Sessions};
use vedette_sensor::outbox::{Outbox, OutboxConfig};
use vedette_sensor::uplink::{self, About, Link, UplinkConfig};
use wire::frame::sensor::Facts;
use wire::id::{BootId, HostId};

use crate::store::Store;

pub(crate) struct Fleet {
    pub(crate) authority: Authority,
    pub(crate) store: Store,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) revoked: Arc<std::sync::Mutex<Vec<HostId>>>,
    _dir: TempDir,
}

/// A listener that runs until it is dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: AbortOnDropHandle<()>,
}

/// An uplink that runs until it is dropped, with its outbox.
pub(crate) struct Sensor {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) link: Arc<Link>,
    pub(crate) tls: watch::Sender<Arc<rustls::ClientConfig>>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: AbortOnDropHandle<()>,
    _facts: watch::Sender<Facts>,
    _dir: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(dir.path(), OffsetDateTime::now_utc()).unwrap();
        let (store, sessions, revoked) = (Store::default(), Arc::default(), Arc::default());
        Self { authority, store, sessions, revoked, _dir: dir }
    }

    pub(crate) fn collector(&self, limits: ListenerLimits) -> Collector {
        let names = ["127.0.0.1".to_owned()];
        let server = self.authority.certify_collector(&names, OffsetDateTime::now_utc()).unwrap();
        let tls = self.authority.server_tls(&server, wire::frame::ALPN).unwrap().quic;
        let revoked = self.revoked.clone();
        let config = ListenerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: watch::Sender::new(tls).subscribe(),
            identify: Arc::new(move |chain| {
                let host = host_of(chain.first().ok_or(Refusal::NoHost)?).map_err(|_| Refusal::NoHost)?;
                let is_revoked = revoked.lock().unwrap().contains(&host.host);
                if is_revoked { Err(Refusal::Revoked) } else { Ok(host) }
            }),
            collector: Uuid::from_u128(7),
            reset_key: [7; 32],
            limits,
        };
        let listener = Listener::bind(config).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let run = listener.run(self.store.sink(), self.sessions.clone(), shutdown.clone());
        Collector { address, shutdown, task: AbortOnDropHandle::new(tokio::spawn(run)) }
    }

    pub(crate) fn papers(&self, host: HostId, now: OffsetDateTime) -> Papers {
        papers_of(&self.authority, host, now)
    }

    pub(crate) fn sensor(&self, host: HostId, boot: u128, collectors: &[SocketAddr]) -> Sensor {
        let papers = self.papers(host, OffsetDateTime::now_utc());
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let config = OutboxConfig { dir: dir.path().join("spool"), max_bytes: 1 << 30, disk: None };
        let outbox = Arc::new(Outbox::open(&config).unwrap());
        let link = Arc::new(Link::default());
        let tls = watch::Sender::new(client_tls(&self.authority, Some(papers)));
        let facts = watch::Sender::new(Facts::default());
        let shutdown = CancellationToken::new();
        let config = UplinkConfig {
            collectors: collectors.iter().map(SocketAddr::to_string).collect(),
            tls: tls.subscribe(),
            about: About {
                host_name: "test".into(),
                kernel_release: "6.1".into(),
                arch: "x86_64".into(),
                boot: BootId::new(Uuid::from_u128(boot)),
                capabilities: vec![],
            },
            facts: facts.subscribe(),
        };
        let run = uplink::run(config, outbox.clone(), link.clone(), shutdown.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(run));
        Sensor { outbox, link, tls, shutdown, task, _facts: facts, _dir: dir }
    }
}

/// Limits whose deadlines do not make a test wait.
pub(crate) fn quick() -> ListenerLimits {
    let mut limits = ListenerLimits::default();
    limits.session.heartbeat = Duration::from_millis(200);
    limits.session.first_frame = Duration::from_millis(500);
    limits
}

/// A bare QUIC connection, for what a sensor would not do.
pub(crate) async fn dial(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
) -> Result<(Connection, Endpoint), quinn::ConnectionError> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let name = wire::enrolment::COLLECTOR_NAME;
    let connection = endpoint.connect_with(config, address, name).unwrap().await?;
    Ok((connection, endpoint))
}
