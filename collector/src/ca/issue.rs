//! The two kinds of certificate that the authority makes: a host's and a collector's.

use std::net::IpAddr;

use base64::Engine as _;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use wire::id::HostId;

use super::{Authority, CaError, HostKey};

/// How far clocks may be behind the collector's and still find a new certificate valid.
pub(super) const SKEW: Duration = Duration::minutes(10);

/// How long a host's certificate is valid if nothing else is said; it is renewed at half of that.
pub(super) const HOST_LIFE: Duration = Duration::hours(24);

/// How long a collector's own certificate is valid; it is renewed at half of that.
const SERVER_LIFE: Duration = Duration::days(14);

/// A certificate just made for a host.
#[derive(Clone, Debug)]
pub struct HostCertificate {
    /// The certificate as PEM.
    pub pem: String,
    /// Its serial number, 16 random bytes.
    pub serial: [u8; 16],
    /// When it ends.
    pub not_after: OffsetDateTime,
}

/// A collector's own certificate, and its key, which is never written to a file.
pub struct ServerCertificate {
    /// The certificate, then the authority's, so that a sensor that knows only a fingerprint can check it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
    /// When it should be replaced.
    pub renew_at: OffsetDateTime,
}

impl Authority {
    /// Makes a certificate that says: the holder of this key is this host. Nothing in it comes
    /// from the host but the key.
    ///
    /// # Errors
    /// When signing fails, which a sound key never does.
    pub fn certify_host(
        &self,
        host: HostId,
        key: &HostKey,
        now: OffsetDateTime,
    ) -> Result<HostCertificate, CaError> {
        let (mut params, serial) = leaf(&host.to_string(), now, self.host_life);
        params.subject_alt_names = vec![SanType::URI(format!("urn:uuid:{host}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let not_after = params.not_after;
        let certificate = params.signed_by(key.info(), &self.issuer)?;
        Ok(HostCertificate { pem: pem(certificate.der()), serial, not_after })
    }

    /// Makes this collector's own certificate, for both QUIC and HTTPS.
    ///
    /// Beside `names` (DNS names and addresses), it carries [`wire::enrolment::COLLECTOR_NAME`],
    /// which every sensor expects, however it reached the collector.
    ///
    /// # Errors
    /// When a name is not ASCII, or signing fails.
    pub fn certify_collector(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<ServerCertificate, CaError> {
        let (mut params, _) = leaf("Vedette collector", now, SERVER_LIFE);
        params.subject_alt_names = vec![SanType::DnsName(wire::enrolment::COLLECTOR_NAME.try_into()?)];
        for name in names {
            let name = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            };
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ServerCertificate {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            renew_at: now + SERVER_LIFE / 2,
        })
    }
}

/// When a host's certificate of this validity was made, all in seconds since the Unix epoch: it begins a little earlier.
pub fn made_at(not_before: i64, not_after: i64) -> i64 {
    let whole = not_after.saturating_sub(not_before);
    not_before.saturating_add(SKEW.whole_seconds().min(whole / 21))
}

/// A certificate as PEM.
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn leaf(common_name: &str, now: OffsetDateTime, life: Duration) -> (CertificateParams, [u8; 16]) {
    let mut serial: [u8; 16] = rand::random();
    // A serial number is a positive integer without leading zeros.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // A certificate of minutes that began long ago would be past half of its life when it is made.
    params.not_before = now - SKEW.min(life / 20);
    params.not_after = now + life;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params, serial)
}
