//! A running collector: the one place that puts the parts together, and takes them apart in order.
//!
//! Start: ports (so that a taken one shows at once), database, authority, then everything that
//! works on them. Stop: no new calls, the sensors told to go elsewhere, what they had sent
//! committed and acknowledged, and the private database last.

mod authorities;
mod certificate;
mod https;
mod identity;
mod local_cli;
mod lock;
mod parts;
mod port;
mod ready;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wire::time::WallTime;

use crate::ca::{self, CaError, Keyring};
use crate::config::Config;
use crate::enrolment::limits::Limits;
use crate::export::Feed;
use crate::ingest::Watermarks;
use crate::listener::{
    Identify, Listener, ListenerConfig, ListenerError, ListenerLimits, Refusal, Sessions, Sink, intake,
};
use crate::postgres::{PostgresError, Private};
use crate::presence::Tails;
use crate::revocation::Revocations;
use crate::search::Engine;
use crate::store::{self, Group, Pool, Stamp, StoreError};
use crate::{api, balance, export, ingest, merge, metrics, presence, relay, retention, roster};
use authorities::Following;
use certificate::Certificate;
use parts::{Parts, named, named_io};

/// The most connections to the database: ingest, merging and readers together.
const MAX_CONNECTIONS: u32 = 18;
/// How many batches wait for ingest at most, of what happens now and of what comes after an outage; what sensors may have in flight is bounded by credit.
const MAX_DELIVERIES: usize = 4096;
/// How many reports of sessions wait at most.
const MAX_REPORTS: usize = 1024;

/// What is asked of one start only, beside the settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// Leave a token for the CLI of this host.
    pub local_cli: bool,
}

/// Why a collector does not run, or stopped running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another collector works in this home.
    #[error("a collector is running already with this home ({} is locked); stop it, or choose another --home", path.display())]
    Locked {
        /// The lock.
        path: std::path::PathBuf,
    },
    /// A port could not be had.
    #[error(transparent)]
    Port(#[from] port::PortError),
    /// The private database does not run.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The database does not take us.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    /// There is no authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The UDP port could not be had.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] certificate::CertificateError),
    /// The CLI's file could not be left.
    #[error(transparent)]
    LocalCli(#[from] local_cli::LocalCliError),
    /// A file of the collector's own could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// This process counts already.
    #[error("cannot count in this process")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// A part that should run as long as the collector has ended.
    #[error("{part} ended, which it should not while the collector runs{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())]
    Ended {
        /// Which.
        part: &'static str,
        /// What it said.
        reason: Option<String>,
    },
}

/// Locks a collector's folder, made if need be, as long as the file lives: for whoever must not have a collector run there.
///
/// # Errors
/// When one runs.
pub(crate) fn lock(folder: &std::path::Path) -> Result<std::fs::File, ServeError> {
    lock::take(folder)
}

/// Runs a collector until `shutdown`, or until it cannot go on.
///
/// # Errors
/// See [`ServeError`]. What had been started is stopped.
pub async fn serve(config: Config, extras: Extras, shutdown: CancellationToken) -> Result<(), ServeError> {
    let folder = config.folder();
    let _lock = lock::take(&folder)?;
    ready::retract(&folder);
    let (api_port, listen) = port::api(config.listen)?;
    let metrics_port = port::metrics(config.metrics)?;
    let recorder = metrics::install()?;
    let ca = Arc::new(Keyring::open(&folder, config.certificate_lifetime, OffsetDateTime::now_utc())?);
    let collector = identity::of(&folder)?;
    let certificate = Certificate::new(ca.clone(), certificate::names(&config.names, listen))?;
    let sessions = Arc::new(Sessions::default());
    let revocations = Arc::new(Revocations::new(sessions.clone()));
    let listener = Listener::bind(ListenerConfig {
        listen,
        tls: certificate.quic(),
        identify: identify(revocations.clone()),
        collector,
        reset_key: ca.current().serving().derived_secret("vedette 2026 QUIC stateless reset"),
        limits: ListenerLimits::default(),
    })?;

    let private = match &config.database {
        Some(_) => None,
        None => Some(Private::under(&config.home)?),
    };
    let url = match (&config.database, &private) {
        (Some(url), _) => url.clone(),
        (None, Some(private)) => private.up().await?,
        (None, None) => String::new(),
    };
    let pool = store::pool(&url, MAX_CONNECTIONS)?;
    let result = async {
        store::migrate(&pool, Stamp::floor(clock())).await?;
        revocations.refresh(&pool, Stamp::floor(clock())).await?;
        let url = format!("https://{}", reachable(listen));
        if extras.local_cli {
            local_cli::leave(&folder, url.clone(), &pool, Stamp::floor(clock())).await?;
        }
        let announce = ready::Ready { url: &url, listen, ca_sha256: ca.current().serving().fingerprint() };
        let whole = Whole {
            config: &config,
            private: private.clone(),
            pool: pool.clone(),
            ca: ca.clone(),
            collector,
            sessions,
            revocations,
            certificate,
            listener,
            api_port,
            addresses: certificate::addresses(&config.names, listen),
            metrics_port,
            recorder,
        };
        let parts = whole.start();
        ready::announce(&folder, &announce)?;
        service::ready(listen);
        tracing::info!(%listen, ca_sha256 = %announce.ca_sha256, "serving on {listen}");
        parts.run_until(&shutdown).await
    }
    .await;
    ready::retract(&folder);
    pool.close().await;
    if let Some(private) = private
        && let Err(error) = private.stop().await
    {
        let error = wire::cause::chain(&error);
        tracing::warn!(error, "cannot stop the private database: {error}");
    }
    result
}

/// Everything that a collector is made of, before it runs.
struct Whole<'a> {
    config: &'a Config,
    private: Option<Private>,
    pool: Pool,
    ca: Arc<Keyring>,
    collector: Uuid,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
    certificate: Certificate,
    listener: Listener,
    api_port: std::net::TcpListener,
    addresses: Vec<String>,
    metrics_port: tokio::net::TcpListener,
    recorder: metrics_exporter_prometheus::PrometheusHandle,
}

impl Whole<'_> {
    fn start(self) -> Parts {
        let pool = self.pool;
        let mut parts = Parts::default();
        let (deliveries, to_store) = intake(MAX_DELIVERIES);
        let (reports, to_write) = mpsc::channel(MAX_REPORTS);
        let (committed, _) = broadcast::channel(ingest::COMMITTED_CAPACITY);
        // Not the id kept in the home: a copied home must not share leases.
        let run = Uuid::now_v7();
        let (tails, missed) = (Tails::default(), Arc::new(watch::Sender::new(0)));
        let search = Arc::new(Engine::new(&pool));
        let feed = if self.config.kafka.is_some() { Feed::new() } else { Feed::default() };

        let sink = Sink { deliveries, reports, streams: Arc::new(Watermarks::new(pool.clone())) };
        let listener = self.listener.run(sink, self.sessions.clone(), parts.stop_callers.clone());
        parts.callers.spawn(named("the sensors' listener", listener));
        let following = Following {
            keyring: self.ca.clone(),
            sessions: self.sessions.clone(),
            pool: pool.clone(),
            collector: self.collector,
            clock,
        };
        let state = api::State {
            pool: pool.clone(),
            addresses: self.addresses.into(),
            ca: self.ca,
            limits: Arc::new(Limits::default()),
            revocations: self.revocations.clone(),
            sessions: self.sessions.clone(),
            committed: committed.clone(),
            search: search.clone(),
            tails: Arc::new(Semaphore::new(api::MAX_TAILS)),
            serving: tails.clone(),
            missed: missed.clone(),
            run,
            kafka: self.config.kafka.clone().map(Arc::new),
        };
        let router = api::router(state);
        let https = https::serve(self.api_port, self.certificate.https(), router, parts.stop_callers.clone());
        parts.callers.spawn(named_io("the API", https));

        // These end when the listener has dropped the other end of their channels.
        let relayed = committed.clone();
        let config = ingest::Config {
            pool: pool.clone(),
            group: Group::WHOLE,
            clock,
            committed,
            run,
            tails: tails.clone(),
            feed: feed.clone(),
        };
        parts.takers.spawn(named("ingest", ingest::run(config, to_store)));
        let config = roster::Config { pool: pool.clone(), run, sessions: self.sessions.clone() };
        parts.takers.spawn(named("the writer of the host table", roster::run(config, to_write)));

        let stop = &parts.stop_keepers;
        if let Some(private) = self.private {
            let stop = stop.clone();
            let watch = async move { private.keep_up(stop).await };
            parts.keepers.spawn(named("the watch on the private database", watch));
        }
        let config = merge::Config { pool: pool.clone(), group: Group::WHOLE };
        parts.keepers.spawn(named("the merger", merge::run(config, run, stop.clone())));
        let limits = retention::Limits { age: self.config.retention, max_bytes: self.config.retention_bytes };
        let config = retention::Config { pool: pool.clone(), limits };
        parts.keepers.spawn(named("retention", retention::run(config, run, stop.clone())));
        let config = presence::Config {
            pool: pool.clone(),
            run,
            id: self.collector,
            listen: self.config.listen.to_string(),
            sessions: self.sessions,
        };
        parts.keepers.spawn(named("the sign of life", presence::run(config, tails.clone(), stop.clone())));
        if let Some(settings) = self.config.kafka.clone() {
            let config = export::Config {
                pool: pool.clone(),
                group: Group::WHOLE,
                run,
                settings,
                feed: feed.clone(),
                tails: tails.clone(),
                clock,
            };
            parts.keepers.spawn(named("the export", export::run(config, stop.clone())));
        }
        let config = relay::Config {
            pool: pool.clone(),
            run,
            engine: search,
            committed: relayed,
            missed,
            tails,
            feed,
        };
        parts.keepers.spawn(named("the ear for other collectors", relay::run(config, stop.clone())));
        parts.keepers.spawn(named("the balance", balance::run(pool.clone(), stop.clone())));
        let (revocations, follow) = (self.revocations, stop.clone());
        let watch = async move { revocations.follow(&pool, clock, follow).await };
        parts.keepers.spawn(named("the watch on revocations", watch));
        parts.keepers.spawn(named("the watch on the authorities", following.run(stop.clone())));
        parts.keepers.spawn(named("the renewal of certificates", self.certificate.keep_fresh(stop.clone())));
        let metrics = metrics::serve(self.metrics_port, self.recorder, stop.clone());
        parts.keepers.spawn(named_io("the metrics", metrics));
        parts.keepers.spawn(named("the sign to the service manager", service::live(stop.clone())));
        parts
    }
}

/// Who a verified certificate belongs to, unless it was revoked.
fn identify(revocations: Arc<Revocations>) -> Identify {
    Arc::new(move |chain: &[CertificateDer<'_>]| {
        let certificate = chain.first().ok_or(Refusal::NoHost)?;
        let host = ca::host_of(certificate).map_err(|_| Refusal::NoHost)?;
        if revocations.contains(host.host) { Err(Refusal::Revoked) } else { Ok(host) }
    })
}

/// The address to call from this host.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

fn clock() -> WallTime {
    let ns = OffsetDateTime::now_utc().unix_timestamp_nanos();
    WallTime::from_unix_ns(i64::try_from(ns).unwrap_or(i64::MAX))
}
