//! Takes the connections of sensors: QUIC with mutual TLS, every limit set.
//!
//! A thin driver round [`crate::session`]: it moves bytes and time, and decides nothing of what is
//! stored. What it does decide is who gets in:
//!
//! - A client whose address is not proven is asked to prove it (Retry) once many such handshakes are in
//!   progress; those that have have places of their own. Above a bound they are refused, and the bound is low
//!   while this program gets too little CPU.
//! - Without a certificate of the fleet's authority the TLS handshake fails; `identify` then says
//!   which host it is and whether it may connect.
//! - One certificate may have several sessions: a sensor that lost its connection is back before the
//!   old one has timed out. When an older session is still heard of after a newer one has begun,
//!   the certificate is in two places: [`Finding::Cloned`]. Neither is closed, or a thief could
//!   silence the host; above four, the oldest is.

mod admit;
mod connection;
mod delivery;
mod entry;
mod intake;
mod limits;
pub(crate) mod noise;
mod pace;
mod pulse;
mod read;
mod sessions;
mod transport;

pub use delivery::{Delivery, Finding, HostIdentity, HostReport, Item, LookupError, Outcome, Sink, Streams};
pub use intake::{Arrivals, Intake, intake};
pub use limits::ListenerLimits;
pub use sessions::{Connected, Sessions};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use quinn::{Endpoint, Incoming, VarInt};
use rustls_pki_types::CertificateDer;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use uuid::Uuid;
use wire::frame::Code;

use self::entry::{Entry, InProgress};
use self::noise::Noise;
use self::pulse::Pulse;

/// Decides who a certificate chain that the TLS layer has verified belongs to, and whether it may
/// connect now. Called twice for each connection; must not block.
pub type Identify = Arc<dyn Fn(&[CertificateDer<'_>]) -> Result<HostIdentity, Refusal> + Send + Sync>;

/// Why a verified certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It names no host.
    #[error("the certificate names no host, expected a SAN URI urn:uuid:…")]
    NoHost,
    /// It came with more certificates than one of ours has above it.
    #[error("the certificate came with {found} others, expected at most {MAX_CHAIN}")]
    LongChain {
        /// How many.
        found: usize,
    },
    /// It, or its host, was revoked.
    #[error("the certificate was revoked")]
    Revoked,
}

/// The most certificates of a chain that is looked at; ours have one or two.
const MAX_CHAIN: usize = 4;

/// What a listener needs to know.
pub struct ListenerConfig {
    /// The UDP address to bind.
    pub listen: SocketAddr,
    /// TLS: TLS 1.3 only, ALPN [`wire::frame::ALPN`] only, client certificates required. New
    /// connections follow a change.
    pub tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    /// From certificate to host.
    pub identify: Identify,
    /// This collector's id.
    pub collector: Uuid,
    /// A secret that outlives this process, and that collectors behind one address share: with it whoever finds a
    /// connection there that is not its own tells the sensor at once that it is gone (RFC 9000, section 10.3).
    pub reset_key: [u8; 32],
    /// What is let in, and how much.
    pub limits: ListenerLimits,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The address cannot be bound.
    #[error("cannot listen on UDP {listen}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The TLS configuration is of no use for QUIC.
    #[error("the TLS configuration has no TLS 1.3 cipher suite that QUIC can begin with")]
    Tls,
}

/// A bound listener.
pub struct Listener {
    config: ListenerConfig,
    endpoint: Endpoint,
}

/// What all connections of a listener share.
struct Shared {
    sink: Sink,
    sessions: Arc<Sessions>,
    identify: Identify,
    collector: Uuid,
    limits: ListenerLimits,
    noise: Noise,
    shutdown: CancellationToken,
    /// Handshakes in progress whose client has proven its address.
    proven: Arc<Semaphore>,
    /// The others.
    unproven: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is taken or not ours, or TLS is not fit for QUIC.
    pub fn bind(mut config: ListenerConfig) -> Result<Self, ListenerError> {
        let listen = config.listen;
        let tls = config.tls.borrow_and_update().clone();
        let server = transport::server(tls, &config.limits)?;
        let socket = transport::bind(listen).map_err(|source| ListenerError::Bind { listen, source })?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(transport::endpoint(&config.reset_key), Some(server), socket, runtime)
            .map_err(|source| ListenerError::Bind { listen, source })?;
        Ok(Self { config, endpoint })
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Takes connections until `shutdown`; then tells every sensor to go elsewhere and waits a few
    /// seconds for what is in flight.
    pub async fn run(self, sink: Sink, sessions: Arc<Sessions>, shutdown: CancellationToken) {
        let Self { config, endpoint } = self;
        let ListenerConfig { listen, mut tls, identify, collector, limits, .. } = config;
        let shared = Arc::new(Shared {
            sink,
            sessions,
            identify,
            collector,
            noise: Noise::default(),
            shutdown: shutdown.clone(),
            proven: Arc::new(Semaphore::new(limits.max_handshakes)),
            unproven: Arc::new(Semaphore::new(limits.max_handshakes)),
            connections: Arc::new(Semaphore::new(limits.max_connections)),
            limits,
        });
        info!(%listen, "listening for sensors on UDP {listen}");
        let tasks = TaskTracker::new();
        let mut is_tls_watched = true;
        let mut pulse = Pulse::new(Instant::now());
        loop {
            tokio::select! {
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => {
                        let most = pulse.most_handshakes(Instant::now(), &shared.limits);
                        shared.clone().consider(incoming, most, &tasks);
                    }
                    None => break,
                },
                changed = tls.changed(), if is_tls_watched => {
                    is_tls_watched = changed.is_ok();
                    match transport::server(tls.borrow_and_update().clone(), &shared.limits) {
                        Ok(server) => endpoint.set_server_config(Some(server)),
                        Err(e) => error!(error = %e, "cannot use the renewed certificate; the old one stays"),
                    }
                }
                () = tokio::time::sleep_until(pulse.next().into()) => pulse.beat(Instant::now()),
                () = shutdown.cancelled() => break,
            }
        }
        tasks.close();
        drop(tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await);
        endpoint.close(VarInt::from_u32(Code::SHUTDOWN.0), b"the collector stops");
        drop(tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await);
    }
}

impl Shared {
    /// Decides what to do with a first packet, before anything is spent on it; `most` handshakes may be in progress.
    fn consider(self: Arc<Self>, incoming: Incoming, most: usize, tasks: &TaskTracker) {
        let busy = |places: &Semaphore| self.limits.max_handshakes - places.available_permits();
        let now = InProgress { proven: busy(&self.proven), unproven: busy(&self.unproven) };
        gauge!("collector_handshake_pending").set((now.proven + now.unproven) as f64);
        let is_proven = incoming.remote_address_validated();
        match entry::decide(is_proven, now, most, &self.limits) {
            Entry::Begin => {}
            Entry::Prove => {
                counter!("collector_handshake_retried_total").increment(1);
                // An error only says that it was validated already, which was asked.
                return drop(incoming.retry());
            }
            Entry::Refuse => return refuse(incoming),
        }
        let places = if is_proven { &self.proven } else { &self.unproven };
        let handshake = places.clone().try_acquire_owned();
        let connection = self.connections.clone().try_acquire_owned();
        match (handshake, connection) {
            (Ok(handshake), Ok(connection)) => {
                tasks.spawn(async move {
                    let admitted = admit::admit(incoming, &self).await;
                    drop(handshake);
                    if let Some((quic, identity)) = admitted {
                        connection::drive(&self, quic, identity).await;
                    }
                    drop(connection);
                });
            }
            _ => refuse(incoming),
        }
    }
}

/// Sends a first packet away: there is too much to do already.
fn refuse(incoming: Incoming) {
    counter!("collector_handshake_refused_total", "reason" => "busy").increment(1);
    incoming.refuse();
}
