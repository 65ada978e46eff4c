//! QUIC's own limits, as a collector sets them. Quinn's defaults are not limits.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use nix::sys::socket::{setsockopt, sockopt};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use wire::frame::MAX_DATA_STREAMS;

use super::{ListenerError, ListenerLimits};

/// The kernel's buffer for packets that wait: about 10 ms of a full 10 Gbit/s link.
const SOCKET_BYTES: usize = 8 << 20;

/// A server's configuration with this certificate.
pub(super) fn server(
    tls: Arc<rustls::ServerConfig>,
    limits: &ListenerLimits,
) -> Result<ServerConfig, ListenerError> {
    let crypto = QuicServerConfig::try_from(tls).map_err(|_| ListenerError::Tls)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport(limits)))
        // A host may change its address; the connection moves with it.
        .migration(true)
        .max_incoming(limits.max_handshakes)
        // Packets of handshakes that are not yet accepted: ours are accepted or refused at once.
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(4 << 20);
    Ok(config)
}

/// What connections of the endpoint have in common.
pub(super) fn endpoint(reset_key: &[u8; 32]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset_key)));
    // Connection ids carry a tag made with this, so that a reset answers only those that one of us gave.
    let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key("vedette 2026 QUIC connection ids", reset_key);
    let tag = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(tag)));
    // A fleet whose collector was killed is told within seconds; a reset is smaller than the packet it answers.
    config.min_reset_interval(Duration::from_millis(1));
    config
}

fn transport(limits: &ListenerLimits) -> TransportConfig {
    // The session, which notices when it was we who did not run, gives a connection up sooner.
    let idle = limits.session.idle * 2;
    let idle = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_DATA_STREAMS as u32))
        // What is received and not yet read. Batches wait in the session, within its credit.
        .stream_receive_window(VarInt::from_u32(512 << 10))
        .receive_window(VarInt::from_u32(1 << 20))
        // Control frames only.
        .send_window(256 << 10)
        // A chain of a host certificate is two kilobytes; a hundred certificates do not fit.
        .crypto_buffer_size(16 << 10)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(VarInt::from_u32(idle).into()));
    config
}

/// A socket with room for a burst.
pub(super) fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen)?;
    // As root beyond the system's bound, else up to it. Both may fail; less room works too.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BYTES)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BYTES));
    let _ = setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BYTES)
        .or_else(|_| setsockopt(&socket, sockopt::SndBuf, &SOCKET_BYTES));
    Ok(socket)
}
