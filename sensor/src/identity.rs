//! Who this host is: its certificate and key, the fleet's authorities, and where the collectors are.
//!
//! `$home/sensor` (mode 0700) holds:
//!
//! - `host.pem` (0600): the certificate, then its key, in one file, so that a renewal replaces both
//!   at once or neither;
//! - `ca.pem`: the certificates of the authorities that are trusted: the one pinned at enrolment, and those that a trusted
//!   one has spoken for since (see [`trust`]);
//! - `collectors`: one `host:port` a line, the preferred one first.

mod keep;
pub mod pin;
pub mod trust;

pub use keep::IdentityError;
pub(crate) use keep::pem as keep_pem;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rcgen::KeyPair;
use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;
use wire::authority::AuthorityId;
use wire::id::HostId;
use x509_parser::extensions::GeneralName;

/// The identity this host got at enrolment, with its current certificate.
pub struct Identity {
    /// The host's id, as its certificate says.
    pub host: HostId,
    /// The collectors, `host:port` each, the preferred one first.
    pub collectors: Vec<String>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
    trusted: Vec<CertificateDer<'static>>,
    validity: Validity,
}

/// From when to when a certificate is valid, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: i64,
    /// To.
    pub not_after: i64,
}

/// `sha256` of the authority's certificate (DER), as `--ca-sha256` takes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text that is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid fingerprint of {found} hex digits or other characters, expected 64 hex digits (colons are allowed), as `vedette enroll-token create` prints them"
)]
pub struct FingerprintError {
    found: usize,
}

/// Parts that do not make an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Not a certificate.
    #[error("this is no certificate in DER")]
    Certificate,
    /// It names no host.
    #[error("the certificate names no host, expected one SAN URI urn:uuid:…")]
    NoHost,
    /// There is no authority to know collectors by.
    #[error("there is no authority's certificate beside it")]
    NoAuthority,
    /// It is for another key.
    #[error("the certificate is for another key than the one beside it")]
    Key,
}

impl Identity {
    /// Puts an identity together, if certificate and key belong together.
    ///
    /// # Errors
    /// See [`Mismatch`].
    pub fn try_new(
        certificate: CertificateDer<'static>,
        key: KeyPair,
        trusted: Vec<CertificateDer<'static>>,
        collectors: Vec<String>,
    ) -> Result<Self, Mismatch> {
        if trusted.is_empty() {
            return Err(Mismatch::NoAuthority);
        }
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| Mismatch::Certificate)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(Mismatch::Key);
        }
        let names = parsed.subject_alternative_name().ok().flatten().ok_or(Mismatch::NoHost)?;
        let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
            return Err(Mismatch::NoHost);
        };
        let id =
            uri.strip_prefix("urn:uuid:").and_then(|id| Uuid::parse_str(id).ok()).ok_or(Mismatch::NoHost)?;
        let validity = Validity {
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        };
        Ok(Self { host: HostId::new(id), collectors, certificate, key, trusted, validity })
    }

    /// From when to when the certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authorities that are trusted, one or more.
    pub fn trusted(&self) -> &[CertificateDer<'static>] {
        &self.trusted
    }

    /// Their fingerprints, as they travel.
    pub fn trusted_ids(&self) -> Vec<AuthorityId> {
        self.trusted.iter().map(trust::id_of).collect()
    }

    /// Trusts these instead, one or more.
    pub(crate) fn set_trusted(&mut self, trusted: Vec<CertificateDer<'static>>) {
        self.trusted = trusted;
    }

    /// The certificate's key.
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// TLS for the uplink: version 1.3, the fleet's authorities and no other, this host's certificate.
    ///
    /// # Errors
    /// When the certificates cannot be used, which those of our collectors always can.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in &self.trusted {
            roots.add(authority.clone())?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(vec![self.certificate.clone()], key)?;
        tls.alpn_protocols = vec![wire::frame::ALPN.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(tls))
    }
}

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
        let mut bytes = [0; 32];
        hex::decode_to_slice(&digits, &mut bytes).map_err(|_| FingerprintError { found: digits.len() })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("host", &self.host)
            .field("collectors", &self.collectors)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(plain.parse::<Fingerprint>(), colons.parse());
        assert_eq!("abcd".parse::<Fingerprint>(), Err(FingerprintError { found: 4 }));
        assert!("zz".repeat(32).parse::<Fingerprint>().is_err());
    }
}
