//! How a host gets its certificate, and keeps it: the bodies of `/api/v1/enroll` and `/api/v1/renew`.
//!
//! Enrolment: a one-use token and a signing request, answered with a certificate. Renewal: the
//! certificate held so far (it may have ended), a challenge from the collector, and a signature over
//! [`renewal_statement`] by the key of that certificate. The statement names the new key, so one
//! that is sent again gives a certificate to nobody else.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that every collector's certificate carries, and that sensors expect whatever address
/// they reached it at. It needs no DNS entry.
pub const COLLECTOR_NAME: &str = "collector.vedette.internal";

/// What a host needs to come into the fleet: the answer of `POST /api/v1/enroll-tokens`, and the file that
/// `vedette-sensor enroll --with` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// The token.
    pub token: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// The fingerprint of the fleet's authority.
    pub ca_sha256: String,
    /// Where the collectors are, as `host:port`; collectors before these were told leave it out.
    #[serde(default)]
    pub collectors: Vec<String>,
}

/// `POST /api/v1/enroll`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// The token, as `vedette enroll-token create` showed it.
    pub token: String,
    /// A PKCS#10 request in PEM, of which only the key (ECDSA P-256) is taken.
    pub csr: String,
    /// What the host says of itself.
    pub facts: HostFacts,
}

/// What a host says of itself when it enrols; updated later by its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// The host's name.
    pub name: String,
    /// The kernel's release.
    pub kernel: String,
    /// The architecture, as `uname -m` says.
    pub arch: String,
    /// The sensor's version.
    pub sensor_version: String,
    /// The boot's id, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Uuid>,
}

/// The answer to an enrolment or a renewal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certified {
    /// The host's id.
    pub host: Uuid,
    /// The certificate in PEM.
    pub certificate: String,
    /// The authority's certificate in PEM.
    pub ca: String,
    /// When the certificate ends, in seconds since the Unix epoch.
    pub not_after: i64,
    /// The collector's clock when it answered, in seconds since the Unix epoch.
    pub now: i64,
    /// Every authority of the fleet, each an [`Endorsed`](crate::authority::Endorsed) as text; collectors before these were
    /// told leave it out, and sensors before skip it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
}

/// The answer of `POST /api/v1/renew/challenge`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Challenge {
    /// To be signed, within a minute.
    pub challenge: String,
}

/// `POST /api/v1/renew`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The certificate held so far, in PEM.
    pub certificate: String,
    /// The challenge, as the collector gave it.
    pub challenge: String,
    /// A PKCS#10 request in PEM for the new key.
    pub csr: String,
    /// The signature over [`renewal_statement`] by the certificate's key: ECDSA P-256 with
    /// SHA-256, ASN.1, in base64.
    pub signature: String,
}

/// What is signed to renew: that whoever holds this certificate asks, now, for one for this key.
///
/// * the text `vedette renewal 1`, then
/// * challenge, certificate (DER) and new key (SubjectPublicKeyInfo, DER), each after its length in
///   bytes as 4 bytes, big endian.
pub fn renewal_statement(challenge: &str, certificate: &[u8], spki: &[u8]) -> Vec<u8> {
    let mut statement = b"vedette renewal 1".to_vec();
    for part in [challenge.as_bytes(), certificate, spki] {
        // Longer parts than 4 GiB do not come in: bodies are bounded far below.
        statement.extend_from_slice(&(part.len() as u32).to_be_bytes());
        statement.extend_from_slice(part);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cannot_move_between_the_parts_of_a_statement() {
        assert_ne!(renewal_statement("ab", b"c", b"d"), renewal_statement("a", b"bc", b"d"));
        assert_ne!(renewal_statement("a", b"bc", b"d"), renewal_statement("a", b"b", b"cd"));
    }
}
