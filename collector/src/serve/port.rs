//! Taking the ports, with one clear sentence when one is taken already.

use std::net::{SocketAddr, TcpListener, UdpSocket};

/// A port that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {protocol} {address} ({purpose}): {}", advice(why, key))]
pub struct PortError {
    protocol: &'static str,
    address: SocketAddr,
    purpose: &'static str,
    key: &'static str,
    why: std::io::Error,
}

/// Takes the TCP port of the API, and says which it is. UDP must be free at the same number; it is taken later.
pub(super) fn api(address: SocketAddr) -> Result<(TcpListener, SocketAddr), PortError> {
    let error = |protocol, address, why| PortError {
        protocol,
        address,
        purpose: "sensors and the API",
        key: "listen",
        why,
    };
    let listener = TcpListener::bind(address).map_err(|e| error("TCP", address, e))?;
    let address = listener.local_addr().map_err(|e| error("TCP", address, e))?;
    UdpSocket::bind(address).map_err(|e| error("UDP", address, e))?;
    listener.set_nonblocking(true).map_err(|e| error("TCP", address, e))?;
    Ok((listener, address))
}

/// Takes the TCP port of the metrics.
pub(super) fn metrics(address: SocketAddr) -> Result<tokio::net::TcpListener, PortError> {
    let error = |why| PortError { protocol: "TCP", address, purpose: "metrics", key: "metrics", why };
    let listener = TcpListener::bind(address).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    tokio::net::TcpListener::from_std(listener).map_err(error)
}

fn advice(why: &std::io::Error, key: &str) -> String {
    match why.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "another program has this port; stop it (`ss -ltunp` names it), or choose another with --{key}"
            )
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("not permitted; choose a port above 1023 with --{key}, or run as root")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!("this host has no such address; choose another with --{key}")
        }
        _ => format!("{why}; choose another with --{key}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let said = api(address).unwrap_err().to_string();
        assert!(said.contains(&address.to_string()) && said.contains("--listen"), "{said}");
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let said = api(taken.local_addr().unwrap()).unwrap_err().to_string();
        assert!(said.starts_with("cannot listen on UDP"), "{said}");
    }
}
