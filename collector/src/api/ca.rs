//! The certificate authority, as anybody may know it.

use axum::extract::State as AxumState;
use serde::Serialize;
use utoipa::ToSchema;

use super::State;
use super::extract::Json;

/// The authority's certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuthorityBody {
    /// `sha256` of the certificate (DER), in hex: what `--ca-sha256` takes. Compare it with what an
    /// admin sees; whoever answers here could answer anything.
    sha256: String,
    /// The certificate in PEM.
    pem: String,
}

/// Shows the authority's certificate and fingerprint.
#[utoipa::path(get, path = "/api/v1/ca", operation_id = "show_ca", tag = "enrolment", responses((status = OK, body = AuthorityBody)))]
pub(super) async fn show(AxumState(state): AxumState<State>) -> Json<AuthorityBody> {
    Json(AuthorityBody { sha256: state.ca.fingerprint().to_string(), pem: state.ca.pem().to_owned() })
}
