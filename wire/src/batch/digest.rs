//! The chain of a stream's batches.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Sealed, payload};

/// A link of a stream's chain: `blake3(previous digest, header, form and sum of the payload)`. The sum stands for the
/// payload's content, so the chain can be followed through a store that has compressed it otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Where every stream's chain starts.
    pub const START: Digest = Digest([0; 32]);

    /// The digest after this batch. Lengths are hashed too, so no two splits collide.
    pub fn after(self, batch: &Sealed) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&(batch.header.len() as u64).to_le_bytes());
        hasher.update(&batch.header);
        // What is shorter than a sum is no payload, but has its place in the chain.
        hasher.update(batch.payload.get(..payload::HEAD).unwrap_or(&batch.payload));
        Digest(*hasher.finalize().as_bytes())
    }

    /// The digest after `n_events` from `first_seq` on were shed: their tombstone.
    pub fn after_tombstone(self, first_seq: u64, n_events: u64) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(b"shed");
        hasher.update(&first_seq.to_le_bytes());
        hasher.update(&n_events.to_le_bytes());
        Digest(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn sealed(header: &'static str, payload: &'static str) -> Sealed {
        Sealed {
            header: Bytes::from_static(header.as_bytes()),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn a_link_depends_on_all_before_it() {
        let (one, two) = (sealed("h", "one"), sealed("h", "two"));
        let straight = Digest::START.after(&one).after(&two);
        assert_eq!(straight, Digest::START.after(&one).after(&two));
        assert_ne!(straight, Digest::START.after(&two).after(&one));
        assert_ne!(straight, Digest::START.after(&two));
    }

    #[test]
    fn where_the_header_ends_matters() {
        assert_ne!(Digest::START.after(&sealed("ab", "c")), Digest::START.after(&sealed("a", "bc")));
    }

    #[test]
    fn a_tombstone_is_no_batch_and_names_what_was_shed() {
        let digest = Digest::START.after_tombstone(5, 7);
        assert_ne!(digest, Digest::START.after_tombstone(5, 8));
        assert_ne!(digest, Digest::START.after_tombstone(6, 7));
        assert_ne!(digest, Digest::START);
    }

    #[test]
    fn the_chain_is_what_it_was_when_first_stored() {
        let digest = Digest::START.after(&sealed("header", "payload")).after_tombstone(1, 2);
        expect_test::expect!["a6c13eba145775e4e17604a443ad2e3d7c3d784fc54bd496cc880fe1083fd5f5"]
            .assert_eq(&digest.to_string());
    }
}
