//! What a batch is proven by: a sum over its header and its content.
//!
//! Of a whole payload it is taken over what the two parts hold when decompressed, so the same content has the same sum
//! however it is compressed: a store may compress many batches together and still show that nothing was altered. Of a
//! parted payload, which nobody compresses again, over its bytes. The chain of a stream ([`super::Digest`]) is made of
//! sums.

/// How many bytes of the hash a payload carries: nobody finds other content for 16.
pub(super) const BYTES: usize = 16;

pub(super) type Sum = [u8; BYTES];

/// What a whole payload holds.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    /// Directory and columns.
    pub(super) columns: &'a [u8],
    /// The strings.
    pub(super) text: &'a [u8],
}

/// That of a whole payload: `blake3("whole", header, columns, text)`, each after its length.
pub(super) fn of_content(header: &[u8], content: Content<'_>) -> Sum {
    of(b"whole", &[header, content.columns, content.text])
}

/// That of a parted payload: `blake3("parted", header, bytes)`, each after its length; `bytes` is what follows the sum.
pub(super) fn of_bytes(header: &[u8], bytes: &[u8]) -> Sum {
    of(b"parted", &[header, bytes])
}

fn of(form: &[u8], pieces: &[&[u8]]) -> Sum {
    let mut hasher = blake3::Hasher::new();
    hasher.update(form);
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_le_bytes());
        hasher.update(piece);
    }
    let mut sum = [0; BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}
