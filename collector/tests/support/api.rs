//! The API under test: its router over a database of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "tests")]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, broadcast, watch};
use tower::ServiceExt as _;
use uuid::Uuid;
use vedette_collector::access::Role;
use vedette_collector::access::secret::{Purpose, Secret};
use vedette_collector::api;
use vedette_collector::ca::Keyring;
use vedette_collector::enrolment::limits::Limits;
use vedette_collector::ingest::Committed;
use vedette_collector::listener::Sessions;
use vedette_collector::postgres::scratch;
use vedette_collector::presence::Tails;
use vedette_collector::revocation::Revocations;
use vedette_collector::search::Engine;
use vedette_collector::store::tokens::{self, NewToken};
use vedette_collector::store::{Pool, Stamp};

pub struct Api {
    pub pool: Pool,
    pub tails: Arc<Semaphore>,
    pub ca: Arc<Keyring>,
    pub revocations: Arc<Revocations>,
    router: axum::Router,
    _folder: tempfile::TempDir,
}

impl Api {
    pub async fn start() -> Self {
        Self::over(scratch::database().await.pool, broadcast::Sender::new(16)).await
    }

    /// Over a store into which something else writes, and says so on `committed`.
    pub async fn over(pool: Pool, committed: broadcast::Sender<Arc<Committed>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Arc::new(
            Keyring::open(folder.path(), std::time::Duration::from_secs(86_400), OffsetDateTime::now_utc())
                .unwrap(),
        );
        let sessions = Arc::new(Sessions::default());
        let revocations = Arc::new(Revocations::new(sessions.clone()));
        let tails = Arc::new(Semaphore::new(api::MAX_TAILS));
        let router = api::router(api::State {
            pool: pool.clone(),
            ca: ca.clone(),
            addresses: ["collector.example:7443".to_owned()].into(),
            limits: Arc::new(Limits::default()),
            revocations: revocations.clone(),
            sessions,
            committed,
            search: Arc::new(Engine::new(&pool)),
            tails: tails.clone(),
            serving: Tails::default(),
            missed: Arc::new(watch::Sender::new(0)),
            run: Uuid::nil(),
            kafka: None,
        });
        Self { pool, tails, ca, revocations, router, _folder: folder }
    }

    /// Serves it over TLS; returns where, and a client that trusts it and sends this token.
    pub fn serve(&self, token: &str) -> (String, reqwest::Client) {
        // Another test of this process may have said so already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.der().to_vec(), made.signing_key.serialize_der());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let service = self.router.clone().into_make_service_with_connect_info::<std::net::SocketAddr>();
        let trusted = reqwest::Certificate::from_der(&certificate).unwrap();
        tokio::spawn(async move {
            let tls = axum_server::tls_rustls::RustlsConfig::from_der(vec![certificate], key).await.unwrap();
            axum_server::from_tcp_rustls(listener, tls).unwrap().serve(service).await.unwrap();
        });
        let mut headers = header::HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let client =
            reqwest::Client::builder().tls_certs_only([trusted]).default_headers(headers).build().unwrap();
        (url, client)
    }

    pub fn now(&self) -> Stamp {
        Stamp::from_unix_us(jiff::Timestamp::now().as_microsecond())
    }

    /// A new token of this role.
    pub async fn token(&self, role: Role) -> String {
        let secret = Secret::generate(Purpose::Api);
        let token = NewToken {
            id: Uuid::now_v7(),
            name: format!("a {role}"),
            role,
            created: self.now(),
            created_by: "test".to_owned(),
            expires: None,
        };
        tokens::create(&self.pool, secret.hash(), &token).await.unwrap();
        secret.reveal().to_owned()
    }

    pub async fn response(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.router.clone().oneshot(request.unwrap()).await.unwrap()
    }

    /// Calls and returns the status and the body, `null` where it is no JSON.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let response = self.response(method, path, token, body).await;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// How many audit entries there are of this action.
    pub async fn audited(&self, action: &str) -> i64 {
        sqlx::query_scalar("select count(*) from audit where action = $1")
            .bind(action)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}
