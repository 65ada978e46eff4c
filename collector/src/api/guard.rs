//! What every request passes before it reaches a handler, and every response on its way out.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, MatchedPath, Request, State as AxumState};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use uuid::Uuid;

use super::error::Cause;
use super::{ApiError, State};
use crate::access::Caller;
use crate::access::routes::{self, Needs, Verdict};
use crate::access::secret::{Purpose, Secret};
use crate::store::tokens;

/// The most bytes a request's body may have: enrolments and queries are far smaller.
const MAX_BODY_BYTES: usize = 128 * 1024;

/// How long a handler may take to begin its answer; what it then streams has its own limits.
const MAX_TIME: Duration = Duration::from_secs(60);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Puts the access table, the limits, the request ids and the headers round the routes.
pub(super) fn protect(router: Router<State>, state: &State) -> Router<State> {
    router
        .layer(middleware::from_fn_with_state(state.clone(), admit))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, MAX_TIME))
        .layer(middleware::from_fn(trace))
}

/// Lets a request in if the access table says so; the only place that does.
async fn admit(AxumState(state): AxumState<State>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let needed = match routes::needs(request.method().as_str(), &path) {
        Verdict::Declared(Needs::Nothing) => return next.run(request).await,
        Verdict::Declared(Needs::Role(role)) => role,
        Verdict::OtherMethod => return other_method().await.into_response(),
        Verdict::Undeclared => {
            return ApiError::forbidden("undeclared", "nobody may call this route")
                .hint("add it to the access table")
                .into_response();
        }
    };
    let caller = match authenticate(&state, request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    if caller.role < needed {
        return ApiError::forbidden(
            "role_too_low",
            format!("this token's role is {}, and this needs {needed}", caller.role),
        )
        .hint(format!("ask an admin for `vedette token create --role {needed}`"))
        .into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn authenticate(state: &State, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refused = |message: &str| {
        ApiError::unauthorized(message).hint("send a token that an admin made with `vedette token create`")
    };
    let header =
        headers.get(header::AUTHORIZATION).ok_or_else(|| refused("no bearer token in the request"))?;
    // One answer for a token that is malformed, unknown, revoked or expired.
    let invalid = || refused("this bearer token is not valid: unknown, revoked or expired");
    let secret = header
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("Bearer "))
        .and_then(|text| Secret::parse(Purpose::Api, text.trim()))
        .ok_or_else(invalid)?;
    let now = super::now();
    let caller = tokens::caller(&state.pool, secret.hash(), now).await?.ok_or_else(invalid)?;
    tokens::used(&state.pool, caller.token, now).await?;
    Ok(caller)
}

/// Gives the request an id, logs what failed inside, and sets the headers of every response.
async fn trace(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let begun = std::time::Instant::now();
    let mut response = next.run(request).await;
    let took_ms = begun.elapsed().as_millis() as u64;
    let status = response.status().as_u16();
    if let Some(Cause(cause)) = response.extensions_mut().remove::<Cause>() {
        let cause = wire::cause::chain(cause.as_ref());
        tracing::error!(request.id = %id, %method, path, status, took_ms, cause, "request {id} failed: {cause}");
    } else {
        tracing::debug!(request.id = %id, %method, path, status, took_ms, "answered request {id}");
    }
    // Plain refusals of the layers (too large, too slow) get the one form, too.
    if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::GATEWAY_TIMEOUT)
        && response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json")
    {
        response = layer_refusal(response.status()).into_response();
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn layer_refusal(status: StatusCode) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(status, "body_too_large", format!("the body is larger than {MAX_BODY_BYTES} bytes"))
    } else {
        ApiError::new(status, "too_slow", format!("no answer within {} s", MAX_TIME.as_secs()))
    }
}

async fn unknown() -> ApiError {
    ApiError::not_found("no such route").hint("the routes are listed in /api/v1/openapi.json")
}

async fn other_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this route does not have this method",
    )
    .hint("the routes are listed in /api/v1/openapi.json")
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| ApiError::unauthorized("this route needs a token"))
    }
}
