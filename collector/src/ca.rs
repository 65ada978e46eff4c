//! The collector's own certificate authority: it says who is a host and who is a collector.
//!
//! The key is a file beside the collector's configuration (mode 0600) and never in the database.
//! Collectors of one fleet share it. A certificate is always built here: of a signing request
//! only the public key is taken.
//!
//! An authority is replaced without enrolling a host again (docs/adr/0018): the next one lies beside it for a while.
//!
//! | file | holds |
//! |---|---|
//! | `issue` | the two kinds of certificate |
//! | `keep`, `rotate` | the files: made, read, and each step from one authority to the next |
//! | `authorities` | the one or two that are in use, and what they are trusted for |
//! | `keyring` | the same in a collector that runs: read again when the files change |
//! | [`progress`] | how far a rotation is, and what may happen next |
//! | `direct` | hosts are certified by an authority itself, with nothing in between |
//! | `request`, `tls` | what is taken from a host; TLS, and who a certificate belongs to |

mod authorities;
mod direct;
mod issue;
mod keep;
mod keyring;
pub mod progress;
mod request;
mod rotate;
mod tls;

pub use authorities::Authorities;
pub use issue::{HostCertificate, ServerCertificate, made_at};
pub use keep::CaError;
pub(crate) use keep::replace as write_whole;
pub use keyring::Keyring;
pub use request::{HostKey, RequestError};
pub use rotate::{RotateError, Rotating};
pub use tls::{CertifiedHost, NotAHost, ServerTls, host_of, issuer_of};

use rcgen::{Issuer, KeyPair, SigningKey as _};
use rustls_pki_types::CertificateDer;
use wire::authority::{AuthorityId, Endorsement, endorsement_statement};

/// The authority: its certificate, and the key that signs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
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

    /// The same as it travels.
    pub fn id(&self) -> AuthorityId {
        AuthorityId(self.fingerprint().0)
    }

    /// What certificates that it made name it by (the subject key identifier).
    pub fn key_id(&self) -> Vec<u8> {
        tls::subject_key_of(&self.certificate)
    }

    /// When its own certificate ends, in seconds since the Unix epoch.
    pub fn not_after(&self) -> i64 {
        let parsed = x509_parser::parse_x509_certificate(&self.certificate);
        parsed.map_or(0, |(_, parsed)| parsed.validity().not_after.timestamp())
    }

    /// Its word for another authority, which makes every sensor that trusts it trust that one too.
    ///
    /// # Errors
    /// When signing fails, which a sound key never does.
    pub fn endorse(&self, other: &CertificateDer<'_>) -> Result<Endorsement, CaError> {
        let signature = self.issuer.key().sign(&endorsement_statement(other))?;
        Ok(Endorsement { by: self.id(), signature })
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
