//! TLS as the collector offers it, and who a client certificate belongs to.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use uuid::Uuid;
use wire::id::HostId;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::direct::Direct;
use super::{Authority, CaError, ServerCertificate};

/// The two configurations made from one server certificate.
#[derive(Clone)]
pub struct ServerTls {
    /// For the sensors' listener: TLS 1.3, the given ALPN, a host certificate required.
    pub quic: Arc<ServerConfig>,
    /// For the API: TLS 1.3, HTTP/2 or 1.1, no client certificate.
    pub https: Arc<ServerConfig>,
}

/// A host as its certificate names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertifiedHost {
    /// The host.
    pub host: HostId,
    /// The certificate's serial number.
    pub serial: [u8; 16],
    /// When the certificate ends, in seconds since the Unix epoch.
    pub not_after: i64,
}

/// A certificate that is not one of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate names no host, expected one SAN URI urn:uuid:… and a serial number of 16 bytes")]
pub struct NotAHost;

impl Authority {
    /// TLS with this server certificate.
    ///
    /// Sessions are never resumed: a ticket would let a host in whose certificate has ended.
    ///
    /// # Errors
    /// When the certificate and its key do not fit, which ours always do.
    pub fn server_tls(
        &self,
        server: &ServerCertificate,
        quic_alpn: &[u8],
    ) -> Result<ServerTls, rustls::Error> {
        server_tls([self].into_iter(), server, quic_alpn)
    }

    /// Checks certificates against this authority and no other.
    ///
    /// # Errors
    /// When the authority's own certificate cannot serve as a root.
    pub fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, CaError> {
        client_verifier([self].into_iter())
    }
}

/// TLS with this server certificate, for hosts that any of these authorities has certified.
pub(super) fn server_tls<'a>(
    authorities: impl Iterator<Item = &'a Authority>,
    server: &ServerCertificate,
    quic_alpn: &[u8],
) -> Result<ServerTls, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let base = || {
        ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
    };
    let (chain, key) = (&server.chain, &server.key);
    let verifier = client_verifier(authorities).map_err(|e| rustls::Error::General(e.to_string()))?;
    let mut quic =
        base()?.with_client_cert_verifier(verifier).with_single_cert(chain.clone(), key.clone_key())?;
    quic.alpn_protocols = vec![quic_alpn.to_vec()];
    quic.send_tls13_tickets = 0;
    quic.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    quic.max_early_data_size = 0;
    let mut https = base()?.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key())?;
    https.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(ServerTls { quic: Arc::new(quic), https: Arc::new(https) })
}

/// Checks that one of these authorities has certified a host, and no other.
pub(super) fn client_verifier<'a>(
    authorities: impl Iterator<Item = &'a Authority>,
) -> Result<Arc<dyn ClientCertVerifier>, CaError> {
    let unfit = |reason: String| CaError::Content { path: "ca.pem".into(), reason };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.certificate.clone()).map_err(|e| unfit(e.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(Arc::new(Direct(verifier.map_err(|e| unfit(e.to_string()))?)))
}

/// Whom a client certificate belongs to. Its signature and usage must have been checked before.
///
/// # Errors
/// When it does not name exactly one host.
pub fn host_of(certificate: &CertificateDer<'_>) -> Result<CertifiedHost, NotAHost> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| NotAHost)?;
    let names = parsed.subject_alternative_name().ok().flatten().ok_or(NotAHost)?;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err(NotAHost);
    };
    let host = uri.strip_prefix("urn:uuid:").and_then(|id| Uuid::parse_str(id).ok()).ok_or(NotAHost)?;
    let serial = parsed.raw_serial().try_into().map_err(|_| NotAHost)?;
    Ok(CertifiedHost { host: HostId::new(host), serial, not_after: parsed.validity().not_after.timestamp() })
}

/// By which key a certificate says that it was signed (the authority key identifier); empty if it does not say.
pub fn issuer_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    key_id(certificate, |extension| match extension {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

/// What a certificate calls its own key (the subject key identifier); empty if it does not say.
pub(super) fn subject_key_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    key_id(certificate, |extension| match extension {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn key_id(
    certificate: &CertificateDer<'_>,
    pick: impl Fn(&ParsedExtension<'_>) -> Option<Vec<u8>>,
) -> Vec<u8> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    parsed.extensions().iter().find_map(|extension| pick(extension.parsed_extension())).unwrap_or_default()
}
