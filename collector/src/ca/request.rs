//! What is taken from a host's signing request: its public key, and nothing else.

use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// The longest signing request that is looked at, in bytes of PEM; ours have about 500.
const MAX_BYTES: usize = 8 * 1024;

/// A host's public key (P-256), whose private half the sender of the request has.
#[derive(Clone, Debug)]
pub struct HostKey {
    info: SubjectPublicKeyInfo,
    spki: Vec<u8>,
}

/// Why a signing request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Larger than any honest one.
    #[error("the signing request has {found} bytes, expected at most {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// Not a PKCS#10 request in PEM.
    #[error("the signing request is not a PEM block CERTIFICATE REQUEST with a PKCS#10 request in it")]
    Form,
    /// Signed by another key than the one it names.
    #[error("the signing request is not signed by the key in it")]
    Signature,
    /// A key of another kind.
    #[error("the signing request has a key of another kind, expected ECDSA P-256")]
    KeyKind,
}

impl HostKey {
    /// Takes the key out of a PKCS#10 request in PEM that it has signed. Names, usages and
    /// extensions in the request are not even looked at.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn from_request(pem: &str) -> Result<Self, RequestError> {
        if pem.len() > MAX_BYTES {
            return Err(RequestError::TooLarge { found: pem.len() });
        }
        let der =
            CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| RequestError::Form)?;
        let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Form)?;
        if !rest.is_empty() {
            return Err(RequestError::Form);
        }
        let spki = request.certification_request_info.subject_pki.raw;
        let info = SubjectPublicKeyInfo::from_der(spki).map_err(|_| RequestError::KeyKind)?;
        if info.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(RequestError::KeyKind);
        }
        request.verify_signature().map_err(|_| RequestError::Signature)?;
        Ok(Self { spki: spki.to_owned(), info })
    }

    /// The key as a SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn info(&self) -> &SubjectPublicKeyInfo {
        &self.info
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};

    use super::*;

    fn request(key: &KeyPair) -> String {
        CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
    }

    #[test]
    fn the_key_of_a_request_is_taken() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let taken = HostKey::from_request(&request(&key)).unwrap();
        assert!(taken.spki().ends_with(key.public_key_raw()));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        assert_eq!(HostKey::from_request(&request(&key)).unwrap_err(), RequestError::KeyKind);
    }

    #[test]
    fn a_request_signed_by_another_key_is_refused() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        // The last byte belongs to the signature.
        *der.last_mut().unwrap() ^= 1;
        let pem = pem_of(&der);
        assert_eq!(HostKey::from_request(&pem).unwrap_err(), RequestError::Signature);
    }

    #[test]
    fn garbage_is_refused() {
        assert_eq!(HostKey::from_request("").unwrap_err(), RequestError::Form);
        assert_eq!(
            HostKey::from_request(&"x".repeat(9000)).unwrap_err(),
            RequestError::TooLarge { found: 9000 }
        );
        assert_eq!(HostKey::from_request(&pem_of(b"\x30\x03abc")).unwrap_err(), RequestError::Form);
    }

    fn pem_of(der: &[u8]) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
