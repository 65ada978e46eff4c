//! A host's identity, from both ends: a real collector with a real database, and the sensor's own code.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use tests::wait::until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vedette_collector::access::secret::{Purpose, Secret};
use vedette_collector::config::{Config, ServeFlags};
use vedette_collector::postgres::scratch;
use vedette_collector::serve::{Extras, ServeError, serve};
use vedette_collector::store::enrolment::NewEnrollToken;
use vedette_collector::store::{self, Pool, Stamp};
use vedette_sensor::enroll::{CallError, EnrollError, Enrolment, enroll};
use vedette_sensor::identity::pin::PinError;
use vedette_sensor::identity::{Fingerprint, Identity};
use vedette_sensor::renew::{RenewError, renew};
use wire::enrolment::COLLECTOR_NAME;
use wire::frame::Code;

/// A collector in this process. One for a process: it counts in the process's own metrics.
struct Collector {
    pool: Pool,
    address: String,
    authority: Fingerprint,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), ServeError>>,
    home: tempfile::TempDir,
}

impl Collector {
    async fn start() -> Self {
        let database = scratch::database().await;
        let home = tempfile::tempdir().unwrap();
        let flags = ServeFlags {
            listen: Some("127.0.0.1:0".to_owned()),
            database: Some(database.url.clone()),
            ..ServeFlags::default()
        };
        let config = Config::load(&flags, home.path()).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(serve(config, Extras::default(), shutdown.clone()));
        let path = home.path().join("collector/ready");
        let waiting = tokio::task::spawn_blocking(move || {
            until("the collector is ready", Duration::from_secs(60), || std::fs::read_to_string(&path).ok())
        });
        let ready: serde_json::Value = serde_json::from_str(&waiting.await.unwrap()).unwrap();
        let said = |name: &str| ready.get(name).and_then(|v| v.as_str()).unwrap().to_owned();
        let authority = said("ca_sha256").parse().unwrap();
        Self { pool: database.pool, address: said("listen"), authority, shutdown, running, home }
    }

    async fn token(&self) -> String {
        let secret = Secret::generate(Purpose::Enroll);
        let now = now();
        let token = NewEnrollToken {
            hosts: 1,
            tags: vec!["env=test".to_owned()],
            created_by: "test".to_owned(),
            created: now,
            expires: now.plus_us(600_000_000),
        };
        store::enrolment::create(&self.pool, secret.hash(), &token).await.unwrap();
        secret.reveal().to_owned()
    }

    fn args(&self, token: &str) -> Enrolment {
        Enrolment {
            collectors: vec![self.address.clone()],
            token: token.to_owned(),
            ca_sha256: self.authority,
            force: false,
        }
    }

    /// Connects again and again until the listener says that the host was revoked.
    async fn refusal(&self, identity: &Identity) {
        loop {
            let why = match self.connect(identity).await {
                // The listener may not know yet; a little later it does.
                Ok(session) => tokio::time::timeout(Duration::from_millis(300), session.closed()).await.ok(),
                Err(why) => Some(why),
            };
            if let Some(quinn::ConnectionError::ApplicationClosed(close)) = why
                && close.error_code.into_inner() == u64::from(Code::REVOKED.0)
            {
                return;
            }
        }
    }

    /// Connects as the uplink does.
    async fn connect(&self, identity: &Identity) -> Result<quinn::Connection, quinn::ConnectionError> {
        let tls = QuicClientConfig::try_from(identity.tls().unwrap()).unwrap();
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        endpoint.connect(self.address.parse().unwrap(), COLLECTOR_NAME).unwrap().await
    }
}

fn now() -> Stamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Stamp::from_unix_us(now.as_micros() as i64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_enrols_renews_connects_and_is_cut_off() {
    let collector = Collector::start().await;
    let folder = collector.home.path().join("sensor");

    wrong_authority_is_told_with_both_fingerprints(&collector, &folder).await;
    let token = collector.token().await;
    let host = enroll(&collector.args(&token), &folder).await.unwrap();
    let first = Identity::load(&folder).unwrap();
    assert_eq!(first.host, host);
    assert_eq!(first.collectors, std::slice::from_ref(&collector.address));

    let again = enroll(&collector.args(&token), &folder).await.unwrap_err();
    assert!(matches!(again, EnrollError::Already { .. }), "{again}");
    let forced = Enrolment { force: true, ..collector.args(&token) };
    let spent = enroll(&forced, &folder).await.unwrap_err().to_string();
    assert!(spent.contains("used already") && spent.contains("enroll-token create"), "{spent}");
    assert_eq!(Identity::load(&folder).unwrap().host, host, "a refused enrolment leaves the identity");

    let renewed = renew(&first, &first.collectors, &folder).await.unwrap();
    assert_ne!(renewed.certificate(), first.certificate());
    assert_ne!(renewed.key().serialized_der(), first.key().serialized_der());
    assert_eq!(Identity::load(&folder).unwrap().certificate(), renewed.certificate());
    let unreachable = renew(&renewed, &["127.0.0.1:1".to_owned()], &folder).await.err().unwrap();
    assert!(matches!(unreachable, RenewError::Call(CallError::Unreachable { .. })), "{unreachable}");

    collector.connect(&renewed).await.unwrap();
    // Whoever revokes may be another collector: this one learns it from the store.
    store::hosts::revoke(&collector.pool, host, now()).await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(10), collector.refusal(&renewed)).await;
    refused.expect("a revoked host is refused within seconds");
    let refused = renew(&renewed, &renewed.collectors, &folder).await.err().unwrap().to_string();
    assert!(refused.contains("revoked"), "{refused}");

    collector.shutdown.cancel();
    collector.running.await.unwrap().unwrap();
}

async fn wrong_authority_is_told_with_both_fingerprints(collector: &Collector, folder: &Path) {
    let token = collector.token().await;
    let other: Fingerprint = "ab".repeat(32).parse().unwrap();
    let args = Enrolment { ca_sha256: other, ..collector.args(&token) };
    match enroll(&args, folder).await.unwrap_err() {
        EnrollError::Call(CallError::Pin { wrong: PinError::Fingerprint { found, expected }, .. }) => {
            assert_eq!((found, expected), (collector.authority, other));
        }
        error => panic!("{error}"),
    }
    assert!(!Identity::exists(folder));
    // The token was not shown to whoever answered: it still enrols.
    let elsewhere = folder.with_file_name("elsewhere");
    enroll(&collector.args(&token), &elsewhere).await.unwrap();
}
