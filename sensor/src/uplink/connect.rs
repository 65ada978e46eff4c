//! From an address to a connection.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint};

use wire::enrolment::COLLECTOR_NAME;

use super::{resolve, transport};

/// How long a name may take to be looked up and one address for its handshake, at least.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name cannot be looked up.
    #[error("cannot look up {address}")]
    Resolve {
        /// The address as configured.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No socket can be opened.
    #[error("cannot open a UDP socket")]
    Socket(#[source] io::Error),
    /// The TLS configuration is of no use for QUIC.
    #[error("the TLS configuration has no TLS 1.3 cipher suite that QUIC can begin with")]
    Tls,
    /// The address or the name cannot be connected to.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address as configured.
        address: String,
        /// Why.
        #[source]
        source: quinn::ConnectError,
    },
    /// The handshake failed.
    #[error("no connection with {address} at {at}")]
    Handshake {
        /// The address as configured.
        address: String,
        /// The address tried.
        at: SocketAddr,
        /// Why.
        #[source]
        source: quinn::ConnectionError,
    },
    /// Nobody answered.
    #[error("{address} does not answer on UDP within {waited:?}")]
    Silent {
        /// The address as configured.
        address: String,
        /// How long it had.
        waited: Duration,
    },
}

/// Connects to the first address that answers, with `patience` times the usual time for each. The endpoint has to live
/// as long as the connection.
pub(super) async fn connect(
    address: &str,
    tls: Arc<rustls::ClientConfig>,
    patience: u32,
) -> Result<(Connection, Endpoint), ConnectError> {
    let owned = || address.to_owned();
    let crypto = QuicClientConfig::try_from(tls).map_err(|_| ConnectError::Tls)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport::transport());
    let found = tokio::time::timeout(HANDSHAKE, resolve::resolve(address)).await;
    let addresses = found
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| ConnectError::Resolve { address: owned(), source })?;
    let endpoint = endpoint().map_err(ConnectError::Socket)?;
    let waited = HANDSHAKE * patience;
    let mut last = ConnectError::Silent { address: owned(), waited };
    for at in addresses.into_iter().take(4) {
        let connecting = match endpoint.connect_with(config.clone(), at, COLLECTOR_NAME) {
            Ok(connecting) => connecting,
            Err(source) => {
                last = ConnectError::Connect { address: owned(), source };
                continue;
            }
        };
        match tokio::time::timeout(waited, connecting).await {
            Ok(Ok(connection)) => return Ok((connection, endpoint)),
            Ok(Err(source)) => last = ConnectError::Handshake { address: owned(), at, source },
            Err(_) => last = ConnectError::Silent { address: owned(), waited },
        }
    }
    Err(last)
}

/// A socket for both IPv6 and IPv4, or for IPv4 where the host has no IPv6.
fn endpoint() -> io::Result<Endpoint> {
    Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into())
        .or_else(|_| Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into()))
}
