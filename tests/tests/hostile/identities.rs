//! Certificates: those that enrolment gives, and others.

use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::PrivateKeyDer;
pub(crate) use tests::papers::{Papers, client_tls as tls, papers_of};
use tests::site::Site;
use vedette_sensor::enroll::{Enrolment, enroll};
use wire::id::HostId;

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
    let args = Enrolment { collectors, token, ca_sha256: ca_sha256.parse()?, force: true };
    let folder = site.collectors[0].home.join(name);
    Ok(site.runtime.block_on(enroll(&args, &folder))?)
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
