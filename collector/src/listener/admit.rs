//! From a first packet to a connection whose host is known.

use std::time::Instant;

use metrics::counter;
use quinn::{Connection, Incoming, VarInt};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;
use tracing::warn;
use wire::frame::Code;

use super::{HostIdentity, MAX_CHAIN, Refusal, Shared};
use crate::ca::issuer_of;

/// Does the handshake and asks whose certificate it is. `None` when it came to nothing; that was counted.
pub(super) async fn admit(incoming: Incoming, shared: &Shared) -> Option<(Connection, HostIdentity)> {
    let address = incoming.remote_address();
    let refused = |reason: &'static str, detail: &dyn std::fmt::Display| {
        counter!("collector_handshake_refused_total", "reason" => reason).increment(1);
        if let Some(n_suppressed) = shared.noise.may_log(Instant::now()) {
            warn!(%address, reason, %detail, n_suppressed, "refused a connection");
        }
    };
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(e) => {
            refused("handshake", &e);
            return None;
        }
    };
    let connection = match timeout(shared.limits.handshake, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(e)) => {
            refused("handshake", &e);
            return None;
        }
        Err(_) => {
            refused("slow", &"no handshake in time");
            return None;
        }
    };
    match identify(&connection, shared) {
        Ok(identity) => {
            counter!("collector_handshake_admitted_total").increment(1);
            Some((connection, identity))
        }
        Err(refusal) => {
            let (reason, code) = match refusal {
                Refusal::NoHost => ("no_host", Code::NOT_ALLOWED),
                Refusal::LongChain { .. } => ("long_chain", Code::NOT_ALLOWED),
                Refusal::Revoked => ("revoked", Code::REVOKED),
            };
            refused(reason, &refusal);
            connection.close(VarInt::from_u32(code.0), refusal.to_string().as_bytes());
            None
        }
    }
}

/// By which key the connection's certificate says that it was signed. The handshake has checked that.
pub(super) fn issuer(connection: &Connection) -> Vec<u8> {
    let chain = connection.peer_identity().and_then(|id| id.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.and_then(|chain| chain.first().map(issuer_of)).unwrap_or_default()
}

/// Whose certificate the connection has, and whether it may connect now.
pub(super) fn identify(connection: &Connection, shared: &Shared) -> Result<HostIdentity, Refusal> {
    let identity = connection.peer_identity().ok_or(Refusal::NoHost)?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| Refusal::NoHost)?;
    if chain.len() > MAX_CHAIN {
        return Err(Refusal::LongChain { found: chain.len() });
    }
    (shared.identify)(&chain)
}
