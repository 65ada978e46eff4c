//! How a fleet moves from one certificate authority to the next without a host enrolled again.
//!
//! A sensor trusts the authorities it was told of, the first by the fingerprint given at enrolment. It takes another one
//! when one that it trusts has signed [`endorsement_statement`] over it: whoever merely holds a collector's certificate cannot
//! add one. What is told here travels in the answers to enrolment and renewal, and in the frames [`Authorities`] (to sensors)
//! and [`Trusts`] (back): both of types that older programs skip.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most authorities that are told of, or trusted, at once.
pub const MAX_AUTHORITIES: usize = 4;
/// The most fingerprints of authorities that are forgotten.
pub const MAX_RETIRED: usize = 8;
/// The longest certificate of an authority, in bytes of DER; ours have about 450.
pub const MAX_CERTIFICATE_BYTES: usize = 4096;
/// The longest signature of an endorsement, in bytes.
pub const MAX_SIGNATURE_BYTES: usize = 128;

/// `sha256` of an authority's certificate (DER).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorityId(pub [u8; 32]);

/// A text that is not the fingerprint of an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid fingerprint of {found} characters, expected 64 hex digits")]
pub struct AuthorityIdError {
    found: usize,
}

/// Which authorities the collectors use now; sent when a session begins, and again when it changes, while there is something
/// to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities {
    /// Those by which collectors and hosts are certified, the one that certifies this collector first; at most
    /// [`MAX_AUTHORITIES`].
    pub authorities: Vec<Endorsed>,
    /// The one that certifies hosts from now on.
    pub issuing: AuthorityId,
    /// Who has a certificate of another renews it within so many seconds, at a moment left to chance; 0: when it is due.
    pub renew_within_s: u32,
    /// Those that no collector uses any more: to be forgotten. At most [`MAX_RETIRED`].
    pub retired: Vec<AuthorityId>,
}

/// An authority, with those who say that it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsed {
    /// Its certificate, in DER; at most [`MAX_CERTIFICATE_BYTES`].
    pub certificate: Vec<u8>,
    /// None for one that a sensor must know already; at most [`MAX_AUTHORITIES`].
    pub endorsements: Vec<Endorsement>,
}

/// One authority's word for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endorsement {
    /// Who gives it.
    pub by: AuthorityId,
    /// Over [`endorsement_statement`] by its key: ECDSA P-256 with SHA-256, ASN.1; at most [`MAX_SIGNATURE_BYTES`].
    pub signature: Vec<u8>,
}

/// Which authorities a sensor trusts now, kept on its disk; sent when a session begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusts {
    /// At most [`MAX_AUTHORITIES`].
    pub authorities: Vec<AuthorityId>,
}

/// An [`Endorsed`] that cannot be read out of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no endorsed authority, expected one value in postcard, as hex digits, within its bounds")]
pub struct EndorsedError;

/// What one authority signs to say that another is one of the same fleet: the text `vedette authority 1`, then that one's
/// certificate in DER.
pub fn endorsement_statement(certificate: &[u8]) -> Vec<u8> {
    let mut statement = b"vedette authority 1".to_vec();
    statement.extend_from_slice(certificate);
    statement
}

impl Endorsed {
    /// As it stands in the answers to enrolment and renewal: postcard, in hex.
    pub fn to_text(&self) -> String {
        hex::encode(postcard::to_allocvec(self).expect("a vector takes every byte"))
    }

    /// Reads what [`Endorsed::to_text`] wrote.
    ///
    /// # Errors
    /// When it is something else, or out of bounds.
    pub fn from_text(text: &str) -> Result<Self, EndorsedError> {
        let bytes = hex::decode(text).map_err(|_| EndorsedError)?;
        let (endorsed, rest): (Self, _) = postcard::take_from_bytes(&bytes).map_err(|_| EndorsedError)?;
        if rest.is_empty() && endorsed.check().is_ok() { Ok(endorsed) } else { Err(EndorsedError) }
    }

    fn check(&self) -> Result<(), &'static str> {
        bound(self.certificate.len() <= MAX_CERTIFICATE_BYTES, "a certificate of more than 4096 bytes")?;
        bound(self.endorsements.len() <= MAX_AUTHORITIES, "more than 4 endorsements")?;
        let fits = |endorsement: &Endorsement| endorsement.signature.len() <= MAX_SIGNATURE_BYTES;
        bound(self.endorsements.iter().all(fits), "a signature of more than 128 bytes")
    }
}

impl Authorities {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        bound(!self.authorities.is_empty(), "no authority")?;
        bound(self.authorities.len() <= MAX_AUTHORITIES, "more than 4 authorities")?;
        bound(self.retired.len() <= MAX_RETIRED, "more than 8 retired authorities")?;
        self.authorities.iter().try_for_each(Endorsed::check)
    }
}

impl Trusts {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        bound(self.authorities.len() <= MAX_AUTHORITIES, "more than 4 authorities")
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityId({self})")
    }
}

impl FromStr for AuthorityId {
    type Err = AuthorityIdError;

    fn from_str(text: &str) -> Result<Self, AuthorityIdError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| AuthorityIdError { found: text.len() })?;
        Ok(Self(bytes))
    }
}

fn bound(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endorsed(n_bytes: usize) -> Endorsed {
        let endorsement = Endorsement { by: AuthorityId([1; 32]), signature: vec![2; 70] };
        Endorsed { certificate: vec![3; n_bytes], endorsements: vec![endorsement] }
    }

    #[test]
    fn what_is_written_as_text_is_read() {
        let written = endorsed(400);
        assert_eq!(Endorsed::from_text(&written.to_text()), Ok(written));
    }

    #[test]
    fn texts_out_of_bounds_are_refused() {
        assert_eq!(Endorsed::from_text(&endorsed(MAX_CERTIFICATE_BYTES + 1).to_text()), Err(EndorsedError));
        let longer = endorsed(10).to_text() + "00";
        for text in ["", "zz", "00ff", longer.as_str()] {
            assert_eq!(Endorsed::from_text(text), Err(EndorsedError), "{text}");
        }
    }
}
