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
    /// During a rotation, the same of the authority that is to take its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_sha256: Option<String>,
    /// The certificate in PEM; during a rotation those of both.
    pem: String,
}

/// Shows the authority's certificate and fingerprint.
#[utoipa::path(get, path = "/api/v1/ca", operation_id = "show_ca", tag = "enrolment", responses((status = OK, body = AuthorityBody)))]
pub(super) async fn show(AxumState(state): AxumState<State>) -> Json<AuthorityBody> {
    let authorities = state.ca.current();
    let sha256 = authorities.serving().fingerprint().to_string();
    let next_sha256 = authorities.next().map(|next| next.fingerprint().to_string());
    Json(AuthorityBody { sha256, next_sha256, pem: authorities.pem() })
}
