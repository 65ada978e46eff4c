//! The one form of an error: `{"error": {"code", "message", "hint", "column"}}`.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{Fault, StoreError};

/// What a caller is told went wrong. The cause, if any, is logged and not shown.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    shown: Shown,
    cause: Option<Cause>,
}

/// The inner cause of a failed request; travels with the response to where requests are logged.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) Arc<dyn Error + Send + Sync>);

/// The body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Shown,
}

/// What a caller may see of an error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Shown {
    /// A short word for programs, such as `not_found`; never changes.
    pub code: &'static str,
    /// What was found and what was expected, for people.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the query it is, counted in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl ApiError {
    /// The request is wrong in itself (400).
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// No valid token came with the request (401).
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The caller may not do this (403).
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// The named thing is not there (404).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The request does not fit what is there, or names more than one thing (409).
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Too many requests of this kind (429).
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
    }

    /// Something the collector needs is not there now; the caller may try again (503).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// A failure of the collector itself (500). The cause is logged with the request's id.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the collector failed to answer this request",
        )
        .hint("look for the request's id (the x-request-id header) in the collector's log")
        .cause(cause)
    }

    /// An error with a status of its own.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, shown: Shown { code, message: message.into(), hint: None, column: None }, cause: None }
    }

    /// Adds what the caller can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.shown.hint = Some(hint.into());
        self
    }

    /// Adds where in the query it is, counted in characters from 1.
    #[must_use]
    pub fn column(mut self, column: usize) -> Self {
        self.shown.column = Some(column);
        self
    }

    /// Adds the inner cause, which is logged and not shown.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Cause(Arc::from(cause.into())));
        self
    }

    /// Logs the inner cause, for answers that have begun already.
    pub fn log(&self) {
        if let Some(Cause(cause)) = &self.cause {
            let cause = wire::cause::chain(cause.as_ref());
            tracing::error!(cause, "a request failed after its answer had begun: {cause}");
        }
    }

    /// What the caller sees, for answers that are not a plain response (a line of a stream).
    pub fn shown(&self) -> &Shown {
        &self.shown
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.shown })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Bearer realm=\"vedette\"");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            _ => "invalid_body",
        };
        Self::new(rejection.status(), code, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "invalid_query", rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "invalid_path", rejection.body_text())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error.fault() {
            Fault::Transient => {
                Self::unavailable("the database does not answer").hint("try again in a moment").cause(error)
            }
            _ => Self::internal(error),
        }
    }
}
