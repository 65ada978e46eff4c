//! Renewal: the certificate held so far, ended or not, and a proof of its key, for a new one.
//!
//! Sent again, a renewal gives its sender nothing: the certificate in the answer is for the key
//! that the statement names. A host whose last two certificates are newer than the one shown is
//! refused, so a copied disk or a stolen key shows.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use wire::enrolment::{Certified, RenewRequest, renewal_statement};

use super::{Call, certified, challenge, stamp};
use crate::ca::{self, Authorities, CaError, CertifiedHost, HostKey, Keyring, RequestError};
use crate::store::hosts::{Renewal, Standing};
use crate::store::{self, Pool, Stamp, StoreError, audit};

/// How long after its end a certificate still renews, in seconds: 90 days.
const GRACE_S: i64 = 90 * 86_400;

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The signing request cannot be used.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The challenge is none of ours, or was given out more than a minute ago.
    #[error("the challenge is not valid or older than a minute")]
    Challenge,
    /// The certificate is not one that an authority of this fleet gave to a host.
    #[error("the certificate is not one of a host of this fleet")]
    Certificate,
    /// It ended too long ago.
    #[error("the certificate ended {days} days ago, expected at most 90")]
    TooOld {
        /// How long ago.
        days: i64,
    },
    /// The statement is not signed by the certificate's key.
    #[error("the statement is not signed by the key of the certificate")]
    Signature,
    /// The host may not renew.
    #[error("{}", match .0 {
        Standing::Revoked => "this host was revoked",
        Standing::Superseded => "another holder of this host's key has renewed since: was the host copied, or its disk restored?",
        Standing::Unknown | Standing::Good => "this host is not known to the collector",
    })]
    Standing(Standing),
    /// The store failed.
    #[error("cannot write the renewal down")]
    Store(#[from] StoreError),
    /// No certificate could be made.
    #[error(transparent)]
    Make(#[from] CaError),
}

/// Gives the holder of a host's certificate and key a new one for a new key.
///
/// # Errors
/// See [`RenewError`].
pub async fn renew(
    pool: &Pool,
    keyring: &Keyring,
    call: Call,
    request: &RenewRequest,
) -> Result<Certified, RenewError> {
    let Proven { shown, made, key } = prove(&keyring.current(), call, request)?;
    let certificate = keyring.certify_host(shown.host, &key, call.now)?;
    let renewal = Renewal {
        host: shown.host,
        shown: shown.serial,
        given: certificate.serial,
        certified_until: stamp(certificate.not_after),
        made,
    };
    if !store::hosts::renew(pool, renewal).await? {
        let standing = store::hosts::standing(pool, shown.host, shown.serial).await?;
        if matches!(standing, Standing::Revoked | Standing::Superseded) {
            audit::append(
                pool,
                audit::Entry {
                    at: call.stamp(),
                    actor: &format!("host:{}", shown.host),
                    action: "host.renew",
                    about: &format!("host:{}", shown.host),
                    address: Some(call.address),
                    outcome: audit::Outcome::Refused,
                    detail: Some(&RenewError::Standing(standing).to_string()),
                },
            )
            .await?;
        }
        return Err(RenewError::Standing(standing));
    }
    tracing::debug!(host.id = %shown.host, "renewed the certificate of host {}", shown.host);
    Ok(certified(keyring, shown.host, certificate, call.now))
}

/// What a renewal proves.
struct Proven {
    /// The certificate that was shown.
    shown: CertifiedHost,
    /// When that was made.
    made: Stamp,
    /// The key to be certified.
    key: HostKey,
}

/// What can be told without the store: whose certificate it is, and that its key asks now.
fn prove(authorities: &Authorities, call: Call, request: &RenewRequest) -> Result<Proven, RenewError> {
    let now = call.now.unix_timestamp();
    let key = HostKey::from_request(&request.csr)?;
    // The collector that gave it out may have another authority for its first.
    let mut secrets = authorities.all().map(|authority| authority.derived_secret(challenge::PURPOSE));
    if !secrets.any(|secret| challenge::check(&secret, &request.challenge, now.max(0) as u64)) {
        return Err(RenewError::Challenge);
    }
    let der = CertificateDer::from_pem_slice(request.certificate.as_bytes())
        .map_err(|_| RenewError::Certificate)?;
    let shown = ca::host_of(&der).map_err(|_| RenewError::Certificate)?;
    // Checked as of its last second where it has ended; the grace is ours to judge.
    let then = UnixTime::since_unix_epoch(Duration::from_secs(now.min(shown.not_after).max(0) as u64));
    authorities
        .client_verifier()?
        .verify_client_cert(&der, &[], then)
        .map_err(|_| RenewError::Certificate)?;
    if now - shown.not_after > GRACE_S {
        return Err(RenewError::TooOld { days: (now - shown.not_after) / 86_400 });
    }
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| RenewError::Certificate)?;
    let holder =
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &parsed.public_key().subject_public_key.data);
    let signature = STANDARD.decode(&request.signature).map_err(|_| RenewError::Signature)?;
    holder
        .verify(&renewal_statement(&request.challenge, &der, key.spki()), &signature)
        .map_err(|_| RenewError::Signature)?;
    let validity = parsed.validity();
    let made = ca::made_at(validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(Proven { shown, made: Stamp::from_unix_us(made.saturating_mul(1_000_000)), key })
}
