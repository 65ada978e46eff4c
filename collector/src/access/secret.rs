//! Random secrets that are shown once and kept only as a hash.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;

/// What a secret is for. The prefix tells people, and secret scanners, what they have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A bearer token of the API.
    Api,
    /// A one-use enrolment token.
    Enroll,
}

impl Purpose {
    const fn prefix(self) -> &'static str {
        match self {
            Purpose::Api => "vdt_",
            Purpose::Enroll => "vde_",
        }
    }
}

/// A secret of 256 random bits in its written form. Never stored, never logged: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// `blake3` of a secret's written form. With 256 random bits under it, a fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash([u8; 32]);

impl Secret {
    /// Makes a new secret from the operating system's random source.
    ///
    /// # Panics
    /// If that source fails, as nothing safe can be done then.
    pub fn generate(purpose: Purpose) -> Self {
        let mut bytes = [0; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the kernel's random source works");
        Self(format!("{}{}", purpose.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes what a caller sent, if it has the form of a secret for this purpose.
    pub fn parse(purpose: Purpose, text: &str) -> Option<Self> {
        let body = text.strip_prefix(purpose.prefix())?;
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// What is stored and looked up in its place.
    pub fn hash(&self) -> SecretHash {
        SecretHash(*blake3::hash(self.0.as_bytes()).as_bytes())
    }

    /// The written form, to show once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl SecretHash {
    /// The hash as it is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash() {
        let secret = Secret::generate(Purpose::Api);
        let again = Secret::parse(Purpose::Api, secret.reveal()).expect("its own form");
        assert!(secret.hash() == again.hash());
        assert!(secret.hash() != Secret::generate(Purpose::Api).hash());
    }

    #[test]
    fn a_secret_for_one_purpose_is_none_for_another() {
        let secret = Secret::generate(Purpose::Enroll);
        assert_eq!(Secret::parse(Purpose::Api, secret.reveal()), None);
        assert_eq!(Secret::parse(Purpose::Api, "vdt_short"), None);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
