//! Keeps this host's certificate valid: renewed at half of its life, also after it has ended.

mod schedule;

pub use schedule::{Attempt, next};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::enrolment::{Certified, Challenge, RenewRequest, renewal_statement};

use crate::enroll::{CallError, Caller, EnrollError, csr, identity};
use crate::identity::{Identity, IdentityError, keep_pem};

/// How long the task sleeps at most: the clock may jump and the host may sleep.
const NAP: Duration = Duration::from_secs(300);

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// No collector could be called, or it refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A key could not be made or used.
    #[error("cannot make or use a key: {0}")]
    Key(String),
    /// The collector's answer makes no identity.
    #[error(transparent)]
    Answer(#[from] EnrollError),
    /// The certificate could not be written.
    #[error(transparent)]
    Keep(#[from] IdentityError),
    /// TLS does not take it.
    #[error("cannot use the new certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the renewal task needs to know.
pub struct RenewConfig {
    /// Where the identity is kept (`$home/sensor`).
    pub folder: PathBuf,
    /// The identity as it is now.
    pub identity: Identity,
    /// The collectors to call, `host:port` each.
    pub collectors: Vec<String>,
}

/// Renews the certificate in time, writes it down, and hands the uplink TLS with it, until `shutdown`.
pub async fn run(config: RenewConfig, tls: watch::Sender<Arc<ClientConfig>>, shutdown: CancellationToken) {
    let RenewConfig { folder, mut identity, collectors } = config;
    let mut n_failures = 0;
    let mut not_before = 0;
    // One throw for each certificate: thrown anew at each look, the earliest would win.
    let mut jitter = rand::random();
    loop {
        let attempt = Attempt { now: now(), n_failures, not_before, jitter };
        let wait = next(identity.validity(), attempt);
        if !wait.is_zero() {
            if shutdown.run_until_cancelled(tokio::time::sleep(wait.min(NAP))).await.is_none() {
                return;
            }
            continue;
        }
        let Some(result) = shutdown.run_until_cancelled(renew(&identity, &collectors, &folder)).await else {
            return;
        };
        match result.and_then(|renewed| Ok((renewed.tls()?, renewed))) {
            Ok((fresh, renewed)) => {
                identity = renewed;
                tls.send_replace(fresh);
                (n_failures, not_before, jitter) = (0, 0, rand::random());
                tracing::info!("renewed this host's certificate");
            }
            Err(error) => {
                n_failures += 1;
                not_before = now() + schedule::pause(n_failures, rand::random()).as_secs().cast_signed();
                let left_s = identity.validity().not_after - now();
                tracing::warn!(n_failures, left_s, "cannot renew this host's certificate: {error}");
            }
        }
    }
}

/// Asks for the next certificate, for a new key, and writes it down.
///
/// # Errors
/// See [`RenewError`]; the identity kept is then still the old one, and the collector takes it again.
pub async fn renew(old: &Identity, collectors: &[String], folder: &Path) -> Result<Identity, RenewError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| RenewError::Key(e.to_string()))?;
    let caller = Caller::new(old.ca_fingerprint())?;
    let nothing = serde_json::json!({});
    let Challenge { challenge } = caller.post(collectors, "/api/v1/renew/challenge", &nothing).await?;
    let statement = renewal_statement(&challenge, old.certificate(), &key.subject_public_key_info());
    let request = RenewRequest {
        certificate: keep_pem("CERTIFICATE", old.certificate()),
        challenge,
        csr: csr(&key).map_err(|e| RenewError::Key(e.to_string()))?,
        signature: STANDARD.encode(sign(old.key(), &statement)?),
    };
    let certified: Certified = caller.post(collectors, "/api/v1/renew", &request).await?;
    let renewed = identity(certified, key, old.ca_fingerprint(), old.collectors.clone())?;
    if renewed.host != old.host {
        return Err(EnrollError::Answer("it is for another host".to_owned()).into());
    }
    renewed.save_certificate(folder)?;
    Ok(renewed)
}

fn sign(key: &KeyPair, statement: &[u8]) -> Result<Vec<u8>, RenewError> {
    let unusable = |what: String| RenewError::Key(what);
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.serialized_der())
        .map_err(|e| unusable(e.to_string()))?;
    let signature =
        signer.sign(&aws_lc_rs::rand::SystemRandom::new(), statement).map_err(|e| unusable(e.to_string()))?;
    Ok(signature.as_ref().to_vec())
}

/// This host's clock, in seconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs().cast_signed())
}
