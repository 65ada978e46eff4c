//! The collector's own certificate authority: it says who is a host and who is a collector.
//!
//! The key is a file beside the collector's configuration (mode 0600) and never in the database.
//! Collectors of one fleet share it. A certificate is always built here: of a signing request
//! only the public key is taken.

mod issue;
mod keep;
mod request;
mod tls;

pub use issue::{HostCertificate, ServerCertificate};
pub use keep::CaError;
pub use request::{HostKey, RequestError};
pub use tls::{CertifiedHost, NotAHost, ServerTls, host_of};

use std::sync::Arc;

use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

/// The authority: its certificate, and the key that signs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    provider: Arc<rustls::crypto::CryptoProvider>,
    host_life: time::Duration,
}

/// `sha256` of the authority's certificate (DER): what an operator compares, and a sensor pins.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Authority {
    /// The same, making certificates of hosts that are valid for so long.
    #[must_use]
    pub fn with_host_life(self, host_life: std::time::Duration) -> Self {
        let host_life = time::Duration::try_from(host_life).unwrap_or(issue::HOST_LIFE);
        Self { host_life, ..self }
    }

    /// How long a certificate of a host is valid.
    pub fn host_life(&self) -> time::Duration {
        self.host_life
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a sensor is given to know this authority by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A secret for another purpose, derived from the key: the same on every collector that
    /// shares it, and telling nothing about it.
    pub fn derived_secret(&self, purpose: &'static str) -> [u8; 32] {
        blake3::derive_key(purpose, self.issuer.key().serialized_der())
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

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}
