//! Certificates: those that enrolment gives, and others.

use std::sync::Arc;

use ::time::OffsetDateTime;
use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tests::site::Site;
use vedette_collector::ca::{Authority, HostKey};
use vedette_sensor::enroll::{EnrollArgs, enroll};
use wire::id::HostId;

/// A certificate and its key.
pub(crate) struct Papers {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// A token to enrol with, and the fingerprint of the authority.
pub(crate) fn token(site: &Site) -> anyhow::Result<(String, String)> {
    let made = site.json(&["enroll-token", "create", "--output", "json"])?;
    let said = |key: &str| made.first().and_then(|made| made.get(key)?.as_str()).map(str::to_owned);
    said("token").zip(said("ca_sha256")).context("no token was printed")
}

/// Enrols a host as a sensor does, and gives its id.
pub(crate) fn enrol(site: &Site, name: &str) -> anyhow::Result<HostId> {
    let (token, ca_sha256) = token(site)?;
    let collectors = vec![site.collectors[0].address.to_string()];
    let args = EnrollArgs { collectors, token, ca_sha256: ca_sha256.parse()?, force: true };
    let folder = site.collectors[0].home.join(name);
    Ok(site.runtime.block_on(enroll(&args, &folder))?)
}

/// What an authority says of a host, at this time.
pub(crate) fn papers_of(authority: &Authority, host: HostId, now: OffsetDateTime) -> Papers {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let certificate = authority.certify_host(host, &HostKey::from_request(&request).unwrap(), now).unwrap();
    Papers {
        chain: vec![CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap()],
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    }
}

/// A certificate that its holder has signed.
pub(crate) fn self_signed(host: HostId) -> Papers {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(format!("urn:uuid:{host}").try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).unwrap();
    Papers { chain: vec![certificate.der().clone()], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
}

/// TLS of a sensor with these papers.
pub(crate) fn tls(authority: &Authority, papers: Option<Papers>) -> Arc<rustls::ClientConfig> {
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
