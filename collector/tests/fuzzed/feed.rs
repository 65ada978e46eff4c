//! What a host gives for a certificate, and a certificate that it shows: a byte that says which, then the bytes.

use base64::Engine as _;
use rustls_pki_types::CertificateDer;
use vedette_collector::ca::{HostKey, host_of};

/// Feeds one input; whether there was a key or a host in it.
pub(crate) fn feed(input: &[u8]) -> bool {
    let Some((which, bytes)) = input.split_first() else { return false };
    match which % 3 {
        0 => host_of(&CertificateDer::from(bytes)).is_ok(),
        1 => String::from_utf8(bytes.to_vec()).is_ok_and(|pem| is_key(&pem)),
        _ => is_key(&pem(bytes)),
    }
}

fn is_key(pem: &str) -> bool {
    let Ok(key) = HostKey::from_request(pem) else { return false };
    // A P-256 key as SubjectPublicKeyInfo, and nothing else.
    assert_eq!(key.spki().len(), 91);
    true
}

fn pem(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}
