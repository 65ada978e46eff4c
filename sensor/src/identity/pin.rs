//! TLS to a collector that is known by nothing but the fingerprints of its authorities.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use wire::enrolment::COLLECTOR_NAME;

use super::{Fingerprint, Validity};

/// What was wrong with the certificate that a collector showed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// No authority in what it showed has the fingerprint.
    #[error("it shows an authority with the fingerprint {found}, expected {expected}")]
    Fingerprint {
        /// The last certificate's.
        found: Fingerprint,
        /// Ours, the first of them.
        expected: Fingerprint,
    },
    /// By this host's clock the certificate is not valid now.
    #[error("its certificate is valid from {} to {}, and this host's clock says {}", shown(validity.not_before), shown(validity.not_after), shown(*now))]
    Time {
        /// The certificate's.
        validity: Validity,
        /// This host's clock, in seconds since the Unix epoch.
        now: i64,
    },
    /// Anything else.
    #[error("its certificate cannot be used: {0}")]
    Other(String),
}

/// Accepts a collector's certificate if an authority of the pinned fingerprint signed it.
///
/// The name checked is [`COLLECTOR_NAME`], whatever address was called: addresses change, and only
/// collectors have certificates for that name.
#[derive(Debug)]
pub struct Pin {
    expected: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
    wrong: Mutex<Option<PinError>>,
}

impl Pin {
    /// Pins these authorities, one or more: any of them may have certified the collector.
    pub fn new(expected: Vec<Fingerprint>) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Arc::new(Self { expected, provider, wrong: Mutex::new(None) })
    }

    /// TLS that trusts this pin and nothing else.
    ///
    /// # Errors
    /// When TLS 1.3 is not there, which it is.
    pub fn tls(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        Ok(ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth())
    }

    /// What was wrong with the last certificate that was refused, once.
    pub fn take_wrong(&self) -> Option<PinError> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), PinError> {
        let other = |what: &dyn std::fmt::Display| PinError::Other(what.to_string());
        let Some(authority) = rest.iter().find(|c| self.expected.contains(&Fingerprint::of(c))) else {
            let found = Fingerprint::of(rest.last().unwrap_or(leaf));
            return Err(PinError::Fingerprint {
                found,
                expected: self.expected.first().copied().unwrap_or(found),
            });
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned()).map_err(|e| other(&e))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|e| other(&e))?;
        let name = ServerName::try_from(COLLECTOR_NAME).map_err(|e| other(&e))?;
        verifier.verify_server_cert(leaf, &[], &name, &[], now).map(drop).map_err(|error| {
            let early_or_late = matches!(
                error,
                Error::InvalidCertificate(
                    CertificateError::Expired
                        | CertificateError::ExpiredContext { .. }
                        | CertificateError::NotValidYet
                        | CertificateError::NotValidYetContext { .. }
                )
            );
            match (early_or_late, validity(leaf)) {
                (true, Some(validity)) => PinError::Time { validity, now: now.as_secs().cast_signed() },
                _ => other(&error),
            }
        })
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(leaf, rest, now).map(|()| ServerCertVerified::assertion()).map_err(|wrong| {
            *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(wrong.clone());
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong))))
        })
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = parsed.validity();
    Some(Validity { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}

fn shown(seconds: i64) -> String {
    wire::time::WallTime::from_unix_ns(seconds.saturating_mul(1_000_000_000)).to_string()
}
