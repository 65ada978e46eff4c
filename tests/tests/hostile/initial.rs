//! The first packet of a QUIC connection, with whatever one likes in it (RFC 9001, section 5).

use std::sync::Arc;

use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{ClientConnection, Version};
use rustls_pki_types::ServerName;

/// What a first packet has to be at least, bytes.
const LEAST: usize = 1200;
const TAG: usize = 16;

/// Where the client says that it is, in a connection's own terms.
const FROM: [u8; 8] = [6; 8];
/// Transport parameters that agree with that, and nothing else.
pub(crate) const PARAMETERS: &[u8] = &[0x0f, 8, 6, 6, 6, 6, 6, 6, 6, 6];

/// An Initial of a client that holds these frames, filled up with padding.
pub(crate) fn packet(frames: &[u8]) -> Vec<u8> {
    let (to, from): ([u8; 8], _) = (rand::random(), FROM);
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap();
    let keys = suite.keys(&to, Side::Client, Version::V1);
    let number = [0; 4];
    let mut head = vec![0xc3, 0, 0, 0, 1, 8];
    head.extend(to);
    head.push(8);
    head.extend(from);
    head.push(0);
    let rest = head.len() + 2 + number.len() + TAG;
    let mut payload = frames.to_vec();
    payload.resize(payload.len().max(LEAST - rest), 0);
    let length = u16::try_from(number.len() + payload.len() + TAG).unwrap();
    head.extend((0x4000 | length).to_be_bytes());
    let number_at = head.len();
    head.extend(number);
    let tag = keys.local.packet.encrypt_in_place(0, &head, &mut payload).unwrap();
    let mut packet = [&head[..], &payload, tag.as_ref()].concat();
    let sample_at = number_at + 4;
    let sample = packet[sample_at..sample_at + keys.local.header.sample_len()].to_vec();
    let (first, rest) = packet.split_at_mut(1);
    let number = &mut rest[number_at - 1..number_at + 3];
    keys.local.header.encrypt_in_place(&sample, &mut first[0], number).unwrap();
    packet
}

/// A CRYPTO frame.
pub(crate) fn crypto(offset: u64, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend((0xc000_0000_0000_0000 | offset).to_be_bytes());
    frame.extend((0x4000 | u16::try_from(data.len()).unwrap()).to_be_bytes());
    frame.extend(data);
    frame
}

/// What TLS says first, with these transport parameters.
pub(crate) fn client_hello(tls: &Arc<rustls::ClientConfig>, parameters: &[u8]) -> Vec<u8> {
    let name = ServerName::try_from(wire::enrolment::COLLECTOR_NAME).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // One whose share fits into a packet.
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = tls.alpn_protocols.clone();
    let mut session =
        ClientConnection::new(Arc::new(config), Version::V1, name, parameters.to_vec()).unwrap();
    let mut said = Vec::new();
    session.write_hs(&mut said);
    said
}
