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
use wire::authority::Authorities;
use wire::enrolment::{Certified, Challenge, RenewRequest, renewal_statement};

use crate::enroll::{CallError, Caller, EnrollError, Known, csr, identity};
use crate::identity::{Fingerprint, Identity, IdentityError, keep_pem, trust};
use crate::uplink::Link;

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
    /// Where what collectors say of authorities comes from, and what is trusted goes to.
    pub link: Arc<Link>,
}

/// Renews the certificate in time, writes it down, and hands the uplink TLS with it, until `shutdown`.
pub async fn run(config: RenewConfig, tls: watch::Sender<Arc<ClientConfig>>, shutdown: CancellationToken) {
    let RenewConfig { folder, mut identity, collectors, link } = config;
    let mut told = link.authorities();
    link.set_trusts(identity.trusted_ids());
    let mut n_failures = 0;
    let mut not_before = 0;
    // One throw for each certificate: thrown anew at each look, the earliest would win.
    let mut jitter = rand::random();
    let mut asked = None;
    loop {
        let attempt = Attempt { now: now(), n_failures, not_before, jitter, asked };
        let wait = next(identity.validity(), attempt);
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait.min(NAP)) => {}
                Ok(()) = told.changed() => {
                    let Some(authorities) = told.borrow_and_update().clone() else { continue };
                    asked = asked.or_else(|| when_asked(&identity, &authorities));
                    if let Some(fresh) = heed(&mut identity, &authorities, &folder) {
                        link.set_trusts(identity.trusted_ids());
                        // For the next connection; the one there is goes on, or a whole fleet would come back at once.
                        tls.send_if_modified(|tls| {
                            *tls = fresh;
                            false
                        });
                    }
                }
                () = shutdown.cancelled() => return,
            }
            continue;
        }
        let Some(result) = shutdown.run_until_cancelled(renew(&identity, &collectors, &folder)).await else {
            return;
        };
        match result.and_then(|renewed| Ok((renewed.tls()?, renewed))) {
            Ok((fresh, renewed)) => {
                identity = renewed;
                link.set_trusts(identity.trusted_ids());
                tls.send_replace(fresh);
                (n_failures, not_before, jitter, asked) = (0, 0, rand::random(), None);
                // Heard before this certificate, it may hold for it again.
                told.mark_changed();
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

/// When to renew because a collector asks for it: its hosts are certified by another authority now.
fn when_asked(identity: &Identity, told: &Authorities) -> Option<i64> {
    let issuing = identity.trusted().iter().find(|authority| trust::id_of(authority) == told.issuing);
    let is_of_another = issuing.is_none_or(|issuing| !trust::is_issuer(issuing, identity.certificate()));
    let within = i64::from(told.renew_within_s);
    (within > 0 && is_of_another).then(|| now() + rand::random_range(0..within))
}

/// Trusts what the collectors use, forgets what they no longer do, and writes that down; TLS with it, if anything changes.
fn heed(identity: &mut Identity, told: &Authorities, folder: &Path) -> Option<Arc<ClientConfig>> {
    let before = identity.trusted().to_vec();
    let extended = trust::extended(&before, &told.authorities);
    let all = extended.as_ref().unwrap_or(&before);
    let trusted = trust::reduced(all, told, identity.certificate()).or(extended)?;
    identity.set_trusted(trusted);
    let heeded = identity.save_trusted(folder).map_err(RenewError::from).and_then(|()| Ok(identity.tls()?));
    match heeded {
        Ok(tls) => {
            let n_trusted = identity.trusted().len();
            tracing::info!(n_trusted, "the fleet's authorities have changed: {n_trusted} are trusted now");
            Some(tls)
        }
        Err(error) => {
            identity.set_trusted(before);
            tracing::error!("cannot take up the fleet's other authority: {error}");
            None
        }
    }
}

/// Asks for the next certificate, for a new key, and writes it down.
///
/// # Errors
/// See [`RenewError`]; the identity kept is then still the old one, and the collector takes it again.
pub async fn renew(old: &Identity, collectors: &[String], folder: &Path) -> Result<Identity, RenewError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| RenewError::Key(e.to_string()))?;
    let pinned: Vec<Fingerprint> = old.trusted().iter().map(Fingerprint::of).collect();
    let caller = Caller::new(pinned.clone())?;
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
    let known = Known { pinned, trusted: old.trusted().to_vec(), collectors: &old.collectors };
    let renewed = identity(certified, key, known)?;
    if renewed.host != old.host {
        return Err(EnrollError::Answer("it is for another host".to_owned()).into());
    }
    if renewed.trusted() != old.trusted() {
        renewed.save_trusted(folder)?;
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
