//! TLS as the collector offers it, and who a client certificate belongs to.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use uuid::Uuid;
use wire::id::HostId;
use x509_parser::extensions::GeneralName;

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
        let base = || {
            ServerConfig::builder_with_provider(self.provider.clone())
                .with_protocol_versions(&[&rustls::version::TLS13])
        };
        let (chain, key) = (&server.chain, &server.key);
        let verifier = self.client_verifier().map_err(|e| rustls::Error::General(e.to_string()))?;
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

    /// Checks certificates against this authority and no other.
    ///
    /// # Errors
    /// When the authority's own certificate cannot serve as a root.
    pub fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, CaError> {
        let unfit = |reason: String| CaError::Content { path: "ca.pem".into(), reason };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|e| unfit(e.to_string()))?;
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|e| unfit(e.to_string()))
    }
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
