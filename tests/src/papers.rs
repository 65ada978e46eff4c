//! Certificates of hosts without sensors, and TLS with them.
#![expect(clippy::unwrap_used, reason = "for tests: what cannot be signed is to end one")]

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use vedette_collector::ca::{Authority, HostKey};
use wire::id::HostId;

/// A certificate, with what was shown above it, and its key.
pub struct Papers {
    /// The certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Papers, and what a store knows a certificate by.
pub struct Certified {
    /// The papers.
    pub papers: Papers,
    /// The certificate's serial number.
    pub serial: [u8; 16],
    /// When it ends.
    pub not_after: OffsetDateTime,
}

/// What an authority says of a host with a new key, at this time.
///
/// # Panics
/// When it says nothing.
pub fn certify(authority: &Authority, host: HostId, now: OffsetDateTime) -> Certified {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let certificate = authority.certify_host(host, &HostKey::from_request(&request).unwrap(), now).unwrap();
    let papers = Papers {
        chain: vec![CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap()],
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    };
    Certified { papers, serial: certificate.serial, not_after: certificate.not_after }
}

/// The papers alone.
///
/// # Panics
/// When the authority says nothing.
pub fn papers_of(authority: &Authority, host: HostId, now: OffsetDateTime) -> Papers {
    certify(authority, host, now).papers
}

/// TLS of a sensor with these papers, which trusts this authority.
///
/// # Panics
/// When they cannot be used.
pub fn client_tls(authority: &Authority, papers: Option<Papers>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match papers {
        Some(papers) => builder.with_client_auth_cert(papers.chain, papers.key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![wire::frame::ALPN.to_vec()];
    Arc::new(config)
}
