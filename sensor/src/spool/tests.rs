#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;
use wire::batch::Sealed;

use super::*;

const STREAM: StreamKey = StreamKey { epoch: Epoch::new(Uuid::from_u128(3)), lane: Lane::Bulk };

fn parcel() -> Parcel {
    let sealed = Sealed { header: Bytes::from_static(b"header"), payload: Bytes::from_static(b"payload") };
    Parcel::Batch(Batch { first_seq: 7, n_events: 3, sealed })
}

#[test]
fn a_parcel_survives_the_file() {
    let tombstone = Parcel::Tombstone { first_seq: 7, n_events: u64::MAX - 7 };
    for parcel in [parcel(), tombstone] {
        let bytes = file::encode(STREAM, &parcel);
        assert_eq!(file::decode(STREAM, 7, bytes).unwrap(), parcel);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = file::encode(STREAM, &parcel());
    for at in 0..bytes.len() {
        assert!(file::decode(STREAM, 7, bytes.iter().take(at).copied().collect()).is_err());
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            *bytes.get_mut(at).unwrap() ^= 1 << bit;
            assert!(file::decode(STREAM, 7, bytes).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(file::decode(STREAM, 8, bytes.clone()).is_err(), "another sequence");
    assert!(file::decode(StreamKey { lane: Lane::Critical, ..STREAM }, 7, bytes).is_err(), "another lane");
}

#[test]
fn a_watermark_survives_the_file() {
    let bytes = file::encode_watermark(STREAM, 9, Digest([4; 32]));
    assert_eq!(file::decode_watermark(STREAM, &bytes), Some((9, Digest([4; 32]))));
    assert_eq!(file::decode_watermark(StreamKey { lane: Lane::Critical, ..STREAM }, &bytes), None);
}

proptest! {
    #[test]
    fn any_file_is_a_parcel_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(file::decode(STREAM, 7, bytes).is_err());
    }
}
