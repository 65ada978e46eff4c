//! `vedette-sensor enroll`: a one-use token becomes this host's identity.

mod call;
mod facts;
mod flags;

pub(crate) use call::Caller;
pub use call::{CallError, Refusal};
pub use flags::{EnrollArgs, InvitationError};

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use wire::authority::Endorsed;
use wire::enrolment::{Certified, EnrollRequest};
use wire::id::HostId;

use crate::identity::{Fingerprint, Identity, IdentityError, Mismatch, trust};

/// What a host is enrolled with.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Where the collectors are, the preferred one first.
    pub collectors: Vec<String>,
    /// The token.
    pub token: String,
    /// The fingerprint of the fleet's authority.
    pub ca_sha256: Fingerprint,
    /// Enrol again, as a new host, though there is an identity.
    pub force: bool,
}

/// Why this host was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// It has an identity.
    #[error("this host is enrolled already (its identity is in {}); --force enrols it again, as a new host", folder.display())]
    Already {
        /// The folder.
        folder: PathBuf,
    },
    /// An address of a collector that cannot be one.
    #[error(
        "invalid collector {found:?}, expected HOST:PORT such as collector.example:7443 or [2001:db8::1]:7443"
    )]
    Address {
        /// What was given.
        found: String,
    },
    /// No collector could be called.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// The collector's answer makes no identity.
    #[error("the collector's answer cannot be used: {0}")]
    Answer(String),
    /// The identity could not be written.
    #[error(transparent)]
    Keep(#[from] IdentityError),
}

/// Enrols this host and writes its identity into `folder` (`$home/sensor`). The key is made here and never leaves.
///
/// # Errors
/// See [`EnrollError`]; nothing is written then.
pub async fn enroll(args: &Enrolment, folder: &Path) -> Result<HostId, EnrollError> {
    if Identity::exists(folder) && !args.force {
        return Err(EnrollError::Already { folder: folder.to_owned() });
    }
    for collector in &args.collectors {
        check_address(collector)?;
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request =
        EnrollRequest { token: args.token.trim().to_owned(), csr: csr(&key)?, facts: facts::here() };
    let caller = Caller::new(vec![args.ca_sha256])?;
    let certified: Certified = caller.post(&args.collectors, "/api/v1/enroll", &request).await?;
    let known = Known { pinned: vec![args.ca_sha256], trusted: Vec::new(), collectors: &args.collectors };
    let identity = identity(certified, key, known)?;
    identity.save(folder)?;
    Ok(identity.host)
}

/// A signing request for a key. It says nothing but the key: the collector takes nothing else.
pub(crate) fn csr(key: &KeyPair) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(key)?.pem()
}

/// What is known of the fleet when a collector answers.
pub(crate) struct Known<'a> {
    /// The authorities, one or more.
    pub(crate) pinned: Vec<Fingerprint>,
    /// Their certificates, as far as they are known.
    pub(crate) trusted: Vec<CertificateDer<'static>>,
    pub(crate) collectors: &'a [String],
}

/// What the collector answered, if it is for this key and by a pinned authority. Further authorities that one of those
/// speaks for are trusted then, too.
pub(crate) fn identity(
    certified: Certified,
    key: KeyPair,
    known: Known<'_>,
) -> Result<Identity, EnrollError> {
    let answer = |what: &str| EnrollError::Answer(what.to_owned());
    let certificate = CertificateDer::from_pem_slice(certified.certificate.as_bytes())
        .map_err(|_| answer("its certificate is no PEM"))?;
    let ca = CertificateDer::from_pem_slice(certified.ca.as_bytes())
        .map_err(|_| answer("its authority is no PEM"))?;
    if !known.pinned.contains(&Fingerprint::of(&ca)) {
        return Err(answer("it names another authority than the pinned one"));
    }
    let mut trusted = known.trusted;
    if !trusted.contains(&ca) {
        trusted.push(ca);
    }
    let offered: Vec<Endorsed> =
        certified.authorities.iter().filter_map(|text| Endorsed::from_text(text).ok()).collect();
    let trusted = trust::extended(&trusted, &offered).unwrap_or(trusted);
    let identity = Identity::try_new(certificate, key, trusted, known.collectors.to_vec())
        .map_err(|e: Mismatch| EnrollError::Answer(e.to_string()))?;
    if identity.host.uuid() != certified.host {
        return Err(answer("its certificate is for another host than it says"));
    }
    Ok(identity)
}

fn check_address(address: &str) -> Result<(), EnrollError> {
    let sound = address
        .rsplit_once(':')
        .filter(|(host, _)| {
            !host.is_empty() && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'))
        })
        .filter(|(host, _)| !host.contains(['/', '@', ' ', '?', '#']))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match sound {
        Some(port) if port != 0 => Ok(()),
        _ => Err(EnrollError::Address { found: address.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["collector:7443", "10.0.0.1:7443", "[2001:db8::1]:7443", "a.example:1"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "collector",
            "collector:",
            ":7443",
            "2001:db8::1:7443x",
            "2001:db8::1:7443",
            "https://c:7443",
            "c:0",
            "u@c:1",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
