//! Certificates that no collector gives out, shown to one that runs: each is refused, and a healthy host beside goes on.

use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use vedette_collector::postgres::scratch;
use vedette_sensor::identity::Identity;
use wire::enrolment::COLLECTOR_NAME;

use crate::PATIENCE;
use crate::collector::Collector;
use crate::sensor::{Build, Sensor};

/// A certificate chain and the key of its first.
struct Papers {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// Connects and stays for a moment; `Err` with how it was ended.
async fn knock(address: &str, tls: rustls::ClientConfig) -> Result<(), ConnectionError> {
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let connecting = endpoint.connect_with(config, address.parse().unwrap(), COLLECTOR_NAME).unwrap();
    let connection: Connection = tokio::time::timeout(PATIENCE, connecting).await.expect("an answer")?;
    // A client may be done with the handshake before the server has looked at its certificate. Who is let in is asked for
    // its control stream, and is gone only after seconds of silence.
    match tokio::time::timeout(std::time::Duration::from_secs(1), connection.closed()).await {
        Ok(error) => Err(error),
        Err(_) => Ok(()),
    }
}

/// What comes of connecting as this identity says.
pub(crate) async fn outcome(address: &str, identity: &Identity) -> Result<(), ConnectionError> {
    knock(address, identity.tls().unwrap().as_ref().clone()).await
}

async fn shown(
    address: &str,
    authority: &CertificateDer<'static>,
    papers: Option<Papers>,
) -> Result<(), ConnectionError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match papers {
        // Not checked here: it may be the key of another.
        Some(Papers { chain, key }) => {
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
            let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
            builder.with_client_cert_resolver(Arc::new(shown))
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![wire::frame::ALPN.to_vec()];
    knock(address, tls).await
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// What a host's certificate is made of.
fn host(id: &str) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&[0x41; 16]));
    params.not_before = now - Duration::minutes(1);
    params.not_after = now + Duration::hours(1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id);
    params.subject_alt_names = vec![uri(&format!("urn:uuid:{id}"))];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn signed(params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Papers {
    let key = key();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Papers { chain: vec![certificate.der().clone()], key }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_certificate_but_a_hosts_own_opens_a_session() {
    let database = scratch::database().await;
    let collector = Collector::start(Some(&database.url));
    let mut healthy = Sensor::enroll(&[&collector], Build::Today).await;
    healthy.ship("healthy", 1).await;
    let id = healthy.host.to_string();
    let pem = std::fs::read_to_string(collector.folder().join("ca.pem")).unwrap();
    let authority = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    // The authority's own key, as a thief of it would have: what it signs is not for that reason a host's.
    let secret = std::fs::read_to_string(collector.folder().join("ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_der(&authority, KeyPair::from_pem(&secret).unwrap()).unwrap();
    let made = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = host(&id);
        change(&mut params);
        Some(signed(params, &issuer))
    };
    let other_key = key();
    let mut other_params = CertificateParams::default();
    other_params.distinguished_name = DistinguishedName::new();
    other_params.distinguished_name.push(DnType::CommonName, "Vedette CA");
    other_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let other_authority = other_params.self_signed(&other_key).unwrap().der().clone();
    let other = Issuer::from_ca_cert_der(&other_authority, other_key).unwrap();
    let self_signed = {
        let key = key();
        let certificate = host(&id).self_signed(&key).unwrap();
        Papers { chain: vec![certificate.der().clone()], key }
    };
    // One signed by a host's certificate, which comes along.
    let by_a_host = {
        let parent = signed(host(&id), &issuer);
        let parent_issuer = Issuer::from_ca_cert_der(&parent.chain[0], parent.key).unwrap();
        let mut child = signed(host(&id), &parent_issuer);
        child.chain.push(parent.chain[0].clone());
        child
    };
    let by_an_intermediate = {
        let mut params = host(&id);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages.clear();
        let parent = signed(params, &issuer);
        let parent_issuer = Issuer::from_ca_cert_der(&parent.chain[0], parent.key).unwrap();
        let mut child = signed(host(&id), &parent_issuer);
        child.chain.push(parent.chain[0].clone());
        child
    };
    let many = {
        let mut papers = signed(host(&id), &issuer);
        papers.chain.extend(vec![authority.clone(); 100]);
        papers
    };
    let wrong_key = Papers { key: key(), ..signed(host(&id), &issuer) };
    let now = OffsetDateTime::now_utc();
    let bad: Vec<(&str, Option<Papers>)> = vec![
        ("none", None),
        ("self-signed", Some(self_signed)),
        ("of another authority of the same name", Some(signed(host(&id), &other))),
        ("expired", made(&|p| p.not_after = now - Duration::seconds(5))),
        ("not yet valid", made(&|p| p.not_before = now + Duration::minutes(30))),
        ("for servers", made(&|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("an authority's", made(&|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ("without a name", made(&|p| p.subject_alt_names.clear())),
        (
            "with the name in CN only",
            made(&|p| p.subject_alt_names = vec![SanType::DnsName("h".try_into().unwrap())]),
        ),
        (
            "of two hosts",
            made(&|p| p.subject_alt_names.push(uri("urn:uuid:0197c1de-93b4-7f00-8000-000000000000"))),
        ),
        (
            "of a host and a collector",
            made(&|p| {
                p.subject_alt_names.push(SanType::DnsName(COLLECTOR_NAME.try_into().unwrap()));
            }),
        ),
        (
            "with a name that is no UUID",
            made(&|p| p.subject_alt_names = vec![uri("urn:uuid:../../etc/passwd")]),
        ),
        ("with a name of another kind", made(&|p| p.subject_alt_names = vec![uri("https://evil.example/")])),
        (
            "with a serial number of 4 bytes",
            made(&|p| p.serial_number = Some(SerialNumber::from_slice(&[0x41; 4]))),
        ),
        (
            "with a serial number of 20 bytes",
            made(&|p| p.serial_number = Some(SerialNumber::from_slice(&[0x41; 20]))),
        ),
        ("signed by a host", Some(by_a_host)),
        ("signed by an authority below the authority", Some(by_an_intermediate)),
        ("with a hundred others", Some(many)),
        ("with the key of another", Some(wrong_key)),
    ];
    let n_bad = bad.len();
    for (what, papers) in bad {
        let answer = shown(&collector.address(), &authority, papers).await;
        assert!(answer.is_err(), "a certificate {what} was let in");
        healthy.ship("healthy", 1).await;
    }
    // The same way with nothing wrong in it: so it was what is wrong that was refused.
    assert!(shown(&collector.address(), &authority, made(&|_| ())).await.is_ok());
    collector.expect("healthy", 1 + n_bad);
    assert_eq!(collector.json(&["hosts", "--output", "json"]).len(), 1, "nobody else is in the fleet");
}
