//! The HTTPS API under `/api/v1`, and its OpenAPI document, generated from the code.
//!
//! A route is three things: a handler with `#[utoipa::path(…, path = "/api/v1/…")]`, a line in
//! [`routes`], and a line in [`crate::access::routes::ROUTES`] that says who may call it.
//! Handlers take [`extract::Json`], [`extract::Query`] and [`extract::Path`] (whose refusals have
//! the one error form), and return `Result<_, ApiError>`.

mod audit;
mod authority;
mod ca;
mod enroll;
mod enroll_tokens;
pub mod error;
mod export;
pub mod extract;
mod findings;
mod guard;
mod health;
mod hosts;
mod lines;
mod peer;
mod quarantine;
mod refused;
mod restored;
mod revoke;
mod rules;
mod search;
mod status;
mod tail;
mod tokens;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse as _;
use tokio::sync::{Semaphore, broadcast, watch};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub use error::ApiError;

use crate::ca::Keyring;
use crate::enrolment::limits::Limits;
use crate::ingest::Committed;
use crate::listener::Sessions;
use crate::presence::Tails;
use crate::revocation::Revocations;
use crate::search::Engine;
use crate::store::{Pool, Stamp};

/// What handlers work with. Cloned for each request, so every part is cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The store.
    pub pool: Pool,
    /// The certificate authorities.
    pub ca: Arc<Keyring>,
    /// Where sensors reach this collector, as `host:port`.
    pub addresses: Arc<[String]>,
    /// How often the routes that need no token may be called.
    pub limits: Arc<Limits>,
    /// The hosts whose certificates no longer count.
    pub revocations: Arc<Revocations>,
    /// The sessions with sensors that are live now.
    pub sessions: Arc<Sessions>,
    /// What is stored from now on, for whoever subscribes.
    pub committed: broadcast::Sender<Arc<Committed>>,
    /// Runs searches.
    pub search: Arc<Engine>,
    /// One for each tail that may be open.
    pub tails: Arc<Semaphore>,
    /// The tails that are served, here and at the other collectors.
    pub serving: Tails,
    /// How often what other collectors stored may have been missed.
    pub missed: Arc<watch::Sender<u64>>,
    /// This run of this collector.
    pub run: Uuid,
    /// Where this collector exports to, if it does.
    pub kafka: Option<Arc<crate::kafka::Settings>>,
}

/// So many tails may be open at once: each judges every batch.
pub const MAX_TAILS: usize = 32;

/// Why an answer ends that was going on.
const TOKEN_ENDED: &str = "the token was revoked or has expired";

/// The whole API, ready to be served: routes, access, limits, headers.
pub fn router(state: State) -> Router {
    let (router, document) = described();
    let document: Arc<str> = document.to_json().expect("a document made of strings is JSON").into();
    let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
    let router = router.route(
        "/api/v1/openapi.json",
        axum::routing::get(move || async move { (json, document.to_string()).into_response() }),
    );
    guard::protect(router, &state).with_state(state)
}

/// The OpenAPI document alone.
pub fn document() -> OpenApi {
    described().1
}

fn described() -> (Router<State>, OpenApi) {
    let about = utoipa::openapi::InfoBuilder::new()
        .title("Vedette")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The collector's API: search, hosts, tokens, enrolment."))
        .build();
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let parts = ComponentsBuilder::new().security_scheme("token", token).build();
    OpenApiRouter::with_openapi(OpenApi::builder().info(about).components(Some(parts)).build())
        // One line for each noun; parts of one path with several methods go together.
        .routes(routes!(health::healthz))
        .routes(routes!(ca::show))
        .routes(routes!(enroll::enroll))
        .routes(routes!(enroll::challenge))
        .routes(routes!(enroll::renew))
        .routes(routes!(enroll_tokens::create))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(revoke::revoke))
        .routes(routes!(search::get, search::post))
        .routes(routes!(tail::follow))
        .routes(routes!(tree::show))
        .routes(routes!(hosts::list))
        .routes(routes!(hosts::show))
        .routes(routes!(findings::list))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::replay))
        .routes(routes!(refused::list))
        .routes(routes!(rules::check))
        .routes(routes!(rules::dry_run))
        .routes(routes!(export::lines))
        .routes(routes!(export::kafka))
        .routes(routes!(status::show))
        .split_for_parts()
}

/// The time of a request, by the collector's clock.
fn now() -> Stamp {
    let ns = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    Stamp::floor(wire::time::WallTime::from_unix_ns(i64::try_from(ns).unwrap_or(i64::MAX)))
}
