//! How hosts come into the fleet and stay in it: a one-use token for the first certificate, the key
//! of the last certificate for the next.

pub mod challenge;
pub mod facts;
pub mod limits;
pub mod renew;

use std::net::IpAddr;

use time::OffsetDateTime;
use uuid::Uuid;
use wire::authority::Endorsed;
use wire::enrolment::{Certified, EnrollRequest};
use wire::id::HostId;
use wire::time::WallTime;

use crate::access::secret::{Purpose, Secret};
use crate::ca::{CaError, HostCertificate, HostKey, Keyring, RequestError};
use crate::store::{self, Pool, Stamp, StoreError, audit};
use facts::FactsError;

/// Who calls, and when.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The address the call came from.
    pub address: IpAddr,
    /// The collector's clock.
    pub now: OffsetDateTime,
}

/// Why a host was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The signing request cannot be used. Says nothing about the token, which was not looked at.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// What the host says of itself cannot be kept. Says nothing about the token, either.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The token enrols nobody. One answer for every reason, as a guesser learns nothing from it.
    #[error("this enrolment token is not valid: unknown, used already, or expired")]
    Token,
    /// The store failed; the token is as good as before.
    #[error("cannot write the enrolment down")]
    Store(#[from] StoreError),
    /// No certificate could be made; the token is as good as before.
    #[error(transparent)]
    Certificate(#[from] CaError),
}

/// Spends a token on a new host: its row, its certificate and the audit entry, or nothing at all.
///
/// # Errors
/// See [`EnrollError`].
pub async fn enroll(
    pool: &Pool,
    keyring: &Keyring,
    call: Call,
    request: &EnrollRequest,
) -> Result<Certified, EnrollError> {
    let key = HostKey::from_request(&request.csr)?;
    facts::check(&request.facts)?;
    let secret = Secret::parse(Purpose::Enroll, &request.token).ok_or(EnrollError::Token)?;
    let host = HostId::new(Uuid::now_v7());
    let certificate = keyring.certify_host(host, &key, call.now)?;

    let now = call.stamp();
    let mut transaction = pool.begin().await.map_err(StoreError::from)?;
    let tags = store::enrolment::redeem(&mut *transaction, secret.hash(), host, now)
        .await?
        .ok_or(EnrollError::Token)?;
    let row = store::hosts::NewHost {
        id: host,
        facts: &request.facts,
        tags: &tags,
        serial: certificate.serial,
        certified_until: stamp(certificate.not_after),
        now,
    };
    store::hosts::enroll(&mut *transaction, row).await?;
    audit::commit(
        transaction,
        audit::Entry {
            at: now,
            actor: "anonymous",
            action: "host.enroll",
            about: &format!("host:{host}"),
            address: Some(call.address),
            outcome: audit::Outcome::Done,
            detail: Some(&request.facts.name),
        },
    )
    .await?;
    tracing::info!(host.id = %host, address = %call.address, "enrolled host {host}");
    Ok(certified(keyring, host, certificate, call.now))
}

/// Writes down that somebody tried an enrolment or renewal in vain.
pub async fn note_refusal(pool: &Pool, call: Call, action: &'static str, why: &str) {
    let entry = audit::Entry {
        at: call.stamp(),
        actor: "anonymous",
        action,
        about: "",
        address: Some(call.address),
        outcome: audit::Outcome::Refused,
        detail: Some(why),
    };
    if let Err(error) = audit::append(pool, entry).await {
        tracing::warn!(error = %wire::cause::chain(&error), "cannot write an audit entry: {error}");
    }
}

impl Call {
    /// The time of the call as the store has it.
    pub fn stamp(&self) -> Stamp {
        stamp(self.now)
    }
}

fn stamp(t: OffsetDateTime) -> Stamp {
    Stamp::floor(WallTime::from_unix_ns(i64::try_from(t.unix_timestamp_nanos()).unwrap_or(i64::MAX)))
}

fn certified(
    keyring: &Keyring,
    host: HostId,
    certificate: HostCertificate,
    now: OffsetDateTime,
) -> Certified {
    let authorities = keyring.current();
    Certified {
        host: host.uuid(),
        certificate: certificate.pem,
        ca: authorities.serving().pem().to_owned(),
        not_after: certificate.not_after.unix_timestamp(),
        now: now.unix_timestamp(),
        authorities: authorities.endorsed().iter().map(Endorsed::to_text).collect(),
    }
}
