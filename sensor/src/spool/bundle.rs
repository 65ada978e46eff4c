//! Batches of a stream that follow each other, as one file: so a backlog of many small batches is few files, and each costs
//! one sync.
//!
//! ```text
//! magic          "VDB1"
//! per batch      u32: how many events; header length u32, header; payload length u32, payload
//! checksum       blake3 of epoch, lane, first sequence and all of the above; 32 bytes
//! ```
//! Numbers are little endian. A bundle is believed whole or not at all.

use bytes::{Buf as _, Bytes};
use wire::batch::Sealed;
use wire::frame::data::Batch;

use super::file::{CHECKSUM_BYTES, ItemError, checksum, part, put};
use super::{Run, StreamKey};

const MAGIC: &[u8; 4] = b"VDB1";

/// These batches, which must follow each other, as a file's content.
pub(super) fn encode(stream: StreamKey, batches: &[Batch]) -> Vec<u8> {
    let size: usize = batches.iter().map(|batch| batch.credit_bytes() as usize + 12).sum();
    let mut out = Vec::with_capacity(size + MAGIC.len() + CHECKSUM_BYTES);
    out.extend_from_slice(MAGIC);
    for batch in batches {
        out.extend_from_slice(&batch.n_events.to_le_bytes());
        put(&mut out, &batch.sealed.header);
        put(&mut out, &batch.sealed.payload);
    }
    let first_seq = batches.first().map_or(0, |batch| batch.first_seq);
    let sum = checksum(stream, first_seq, &out);
    out.extend_from_slice(&sum);
    out
}

/// The batches of a file that was written for this run of events.
pub(super) fn decode(stream: StreamKey, run: Run, bytes: Vec<u8>) -> Result<Vec<Batch>, ItemError> {
    let bytes = Bytes::from(bytes);
    let Some((body, sum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(ItemError::Damaged("too short"));
    };
    if checksum(stream, run.first, body) != *sum {
        return Err(ItemError::Damaged("the checksum differs"));
    }
    if !body.starts_with(MAGIC) {
        return Err(ItemError::Damaged("another format"));
    }
    let mut rest = bytes.slice(MAGIC.len()..body.len());
    let mut batches = Vec::new();
    let mut first_seq = run.first;
    while rest.has_remaining() {
        let n_events = rest.try_get_u32_le().map_err(|_| ItemError::Damaged("a part is missing"))?;
        let header = part(&mut rest)?;
        let payload = part(&mut rest)?;
        let batch = Batch { first_seq, n_events, sealed: Sealed { header, payload } };
        if n_events == 0 || batch.end() > run.end {
            return Err(ItemError::Damaged("an impossible number of events"));
        }
        first_seq = batch.end();
        batches.push(batch);
    }
    match first_seq == run.end {
        true => Ok(batches),
        false => Err(ItemError::Damaged("another number of events than its name says")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;
    use wire::id::{Epoch, Lane};

    use super::*;

    const STREAM: StreamKey = StreamKey { epoch: Epoch::new(Uuid::from_u128(3)), lane: Lane::Bulk };

    fn batches(sizes: &[(u32, usize)]) -> (Run, Vec<Batch>) {
        let mut first_seq = 7;
        let batch = |&(n_events, n_bytes): &(u32, usize)| {
            let payload = Bytes::from(vec![n_bytes as u8; n_bytes]);
            let sealed = Sealed { header: Bytes::from_static(b"header"), payload };
            let batch = Batch { first_seq, n_events, sealed };
            first_seq = batch.end();
            batch
        };
        let batches: Vec<_> = sizes.iter().map(batch).collect();
        (Run { first: 7, end: first_seq }, batches)
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (run, batches) = batches(&[(3, 20), (1, 0), (9, 50)]);
        let bytes = encode(STREAM, &batches);
        assert_eq!(decode(STREAM, run, bytes.clone()).unwrap(), batches);
        for at in 0..bytes.len() {
            assert!(decode(STREAM, run, bytes.iter().take(at).copied().collect()).is_err());
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                *bytes.get_mut(at).unwrap() ^= 1 << bit;
                assert!(decode(STREAM, run, bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_bundle_that_was_moved_or_renamed_is_not_believed() {
        let (run, batches) = batches(&[(3, 20), (5, 4)]);
        let bytes = encode(STREAM, &batches);
        let moved = StreamKey { lane: Lane::Critical, ..STREAM };
        assert!(decode(moved, run, bytes.clone()).is_err());
        for run in [
            Run { first: 8, ..run },
            Run { end: run.end + 1, ..run },
            Run { end: 10, ..run },
            Run { end: 0, ..run },
        ] {
            assert!(decode(STREAM, run, bytes.clone()).is_err(), "{run:?}");
        }
    }

    proptest! {
        #[test]
        fn any_batches_survive_the_file(sizes in proptest::collection::vec((1..1000u32, 0..300usize), 1..20)) {
            let (run, batches) = batches(&sizes);
            prop_assert_eq!(decode(STREAM, run, encode(STREAM, &batches)).unwrap(), batches);
        }

        #[test]
        fn any_file_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let run = Run { first: 7, end: 9 };
            prop_assert!(decode(STREAM, run, bytes).is_err());
        }
    }
}
