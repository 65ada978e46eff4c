//! The collector's own certificate: made at the start, replaced at half of its life.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ca::{Authorities, CaError, Keyring, ServerTls};

/// How often it is looked at: the clock may jump, so one long sleep will not do.
const LOOK: Duration = Duration::from_secs(600);

/// A certificate that could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("cannot make the collector's certificate (its names are {})", names.join(", "))]
    Make {
        /// What it should have been for.
        names: Vec<String>,
        /// Why.
        #[source]
        source: CaError,
    },
    /// TLS does not take it.
    #[error("cannot use the collector's certificate")]
    Use(#[from] rustls::Error),
}

/// What serves TLS now, for both listeners.
pub(super) struct Certificate {
    ca: Arc<Keyring>,
    names: Vec<String>,
    renew_at: OffsetDateTime,
    quic: watch::Sender<Arc<ServerConfig>>,
    https: axum_server::tls_rustls::RustlsConfig,
}

impl Certificate {
    pub(super) fn new(ca: Arc<Keyring>, names: Vec<String>) -> Result<Self, CertificateError> {
        let (tls, renew_at) = make(&ca.current(), &names)?;
        let https = axum_server::tls_rustls::RustlsConfig::from_config(tls.https);
        Ok(Self { ca, names, renew_at, quic: watch::Sender::new(tls.quic), https })
    }

    pub(super) fn quic(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.quic.subscribe()
    }

    pub(super) fn https(&self) -> axum_server::tls_rustls::RustlsConfig {
        self.https.clone()
    }

    /// Replaces the certificate in time, and when the authorities change, until `shutdown`.
    pub(super) async fn keep_fresh(mut self, shutdown: CancellationToken) {
        let mut every = tokio::time::interval(LOOK);
        let mut changes = self.ca.changes();
        loop {
            tokio::select! {
                _ = every.tick() => if OffsetDateTime::now_utc() < self.renew_at {
                    continue;
                },
                Ok(()) = changes.changed() => {}
                () = shutdown.cancelled() => return,
            }
            let authorities = changes.borrow_and_update().clone();
            match make(&authorities, &self.names) {
                Ok((tls, renew_at)) => {
                    self.https.reload_from_config(tls.https);
                    self.quic.send_replace(tls.quic);
                    self.renew_at = renew_at;
                    tracing::info!("replaced the collector's certificate");
                }
                Err(error) => {
                    let error = wire::cause::chain(&error);
                    tracing::error!(error, "cannot replace the collector's certificate: {error}");
                }
            }
        }
    }
}

/// What the API may be called by: what the settings say, the host's name, the address it listens
/// on, and loopback.
pub(super) fn names(configured: &[String], listen: SocketAddr) -> Vec<String> {
    let mut names = configured.to_vec();
    if let Ok(name) = nix::unistd::gethostname()
        && let Ok(name) = name.into_string()
        && name.is_ascii()
        && !name.is_empty()
    {
        names.push(name);
    }
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    names.extend(["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string(), "::1".to_owned()]);
    names
}

/// Where sensors on other hosts reach the collector, as far as it can know: the first name of the settings, else the address it
/// listens on, else the host's name.
pub(super) fn addresses(configured: &[String], listen: SocketAddr) -> Vec<String> {
    let name = match names(configured, listen).into_iter().next() {
        Some(name) if !configured.is_empty() || listen.ip().is_unspecified() => name,
        _ => listen.ip().to_string(),
    };
    let name = if name.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{name}]") } else { name };
    vec![format!("{name}:{}", listen.port())]
}

fn make(ca: &Authorities, names: &[String]) -> Result<(ServerTls, OffsetDateTime), CertificateError> {
    let certificate = ca
        .serving()
        .certify_collector(names, OffsetDateTime::now_utc())
        .map_err(|source| CertificateError::Make { names: names.to_vec(), source })?;
    Ok((ca.server_tls(&certificate, wire::frame::ALPN)?, certificate.renew_at))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sensors_are_sent_to_a_name_that_others_know() {
        let at = |names: &[&str], listen: &str| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            addresses(&names, listen.parse().unwrap()).concat()
        };
        assert_eq!(at(&["c.example", "10.0.0.1"], "0.0.0.0:7443"), "c.example:7443");
        assert_eq!(at(&["2001:db8::1"], "[::]:7443"), "[2001:db8::1]:7443");
        assert_eq!(at(&[], "10.0.0.1:1"), "10.0.0.1:1");
        assert_eq!(at(&[], "[::1]:1"), "[::1]:1");
        let own = nix::unistd::gethostname().unwrap().into_string().unwrap();
        assert_eq!(at(&[], "0.0.0.0:7443"), format!("{own}:7443"));
    }
}
