//! The collector's challenge to a host that renews. Nothing is remembered: a challenge proves itself.
//!
//! Layout, in base64url: when it ends (u64, seconds since the Unix epoch, big endian), 16 random
//! bytes, and `blake3` of both under a key that every collector of the fleet derives from the
//! authority's. So any of them can check what another one gave out, and a clock that is wrong on
//! the host does not matter.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long a challenge can be answered, in seconds.
const LIFE_S: u64 = 60;

/// The purpose its key is derived for.
pub const PURPOSE: &str = "vedette 2026 renewal challenge";

/// Makes a challenge. `now` is in seconds since the Unix epoch.
pub fn make(key: &[u8; 32], nonce: [u8; 16], now: u64) -> String {
    let mut bytes = (now + LIFE_S).to_be_bytes().to_vec();
    bytes.extend_from_slice(&nonce);
    let proof = blake3::keyed_hash(key, &bytes);
    bytes.extend_from_slice(proof.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether this is a challenge made with this key that has not ended.
pub fn check(key: &[u8; 32], challenge: &str, now: u64) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(challenge) else { return false };
    let Some((said, proof)) = bytes.split_at_checked(24) else { return false };
    let Ok(proof) = <[u8; 32]>::try_from(proof) else { return false };
    // Comparing blake3 hashes takes the same time wherever they differ.
    if blake3::keyed_hash(key, said) != blake3::Hash::from_bytes(proof) {
        return false;
    }
    let ends = said.first_chunk().map_or(0, |ends| u64::from_be_bytes(*ends));
    now <= ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_holds_for_a_minute() {
        let challenge = make(&[7; 32], [1; 16], 1000);
        assert!(check(&[7; 32], &challenge, 1000));
        assert!(check(&[7; 32], &challenge, 1060));
        assert!(!check(&[7; 32], &challenge, 1061));
    }

    #[test]
    fn what_another_key_made_or_someone_changed_is_none() {
        let challenge = make(&[7; 32], [1; 16], 1000);
        assert!(!check(&[8; 32], &challenge, 1000));
        let mut later = URL_SAFE_NO_PAD.decode(&challenge).expect("base64");
        later.splice(6..7, [0xff]);
        assert!(!check(&[7; 32], &URL_SAFE_NO_PAD.encode(later), 1000));
        for garbage in ["", "AAAA", "not base64!", &"A".repeat(4000)] {
            assert!(!check(&[7; 32], garbage, 0), "{garbage}");
        }
    }
}
