#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use uuid::Uuid;

use super::collector::*;
use super::data::*;
use super::sensor::*;
use super::*;
use crate::batch::{Digest, Sealed};
use crate::id::{BootId, Epoch, Lane};
use crate::ledger::Ledger;
use crate::limits::{MAX_EVENTS_PER_BATCH, MAX_FRAME_BYTES};
use crate::time::WallTime;

const EPOCH: Epoch = Epoch::new(Uuid::from_u128(0x0102_0304));

fn watermark() -> Watermark {
    Watermark { epoch: EPOCH, lane: Lane::Bulk, next_seq: 300, digest: Digest([7; 32]) }
}

fn from_sensor() -> Vec<FromSensor> {
    let hello = Hello {
        versions: vec![1],
        sensor_version: "0.1.0".into(),
        host_name: "web-1".into(),
        kernel_release: "6.12.9".into(),
        arch: "x86_64".into(),
        boot: BootId::new(Uuid::from_u128(5)),
        capabilities: vec!["exec".into()],
        streams: vec![Held { epoch: EPOCH, lane: Lane::Critical, acked: 1, digest: Digest([1; 32]), end: 2 }],
    };
    let lane = LaneFacts {
        epoch: EPOCH,
        lane: Lane::Bulk,
        ledger: Ledger { generated: 5, merged: 1, lost: 1, dropped: 0 },
        end: 3,
        shed: 0,
        rejected: 0,
    };
    let facts = Facts { lanes: vec![lane], held_bytes: 4096, clock_offset_ns: -5, ..Facts::default() };
    vec![
        hello.into(),
        Heartbeat { sent: WallTime::from_unix_ns(-1), facts }.into(),
        Goodbye { code: Code::SHUTDOWN, reason: "restart".into() }.into(),
    ]
}

fn from_collector() -> Vec<FromCollector> {
    let t = WallTime::from_unix_ns(1_800_000_000_000_000_000);
    let welcome = Welcome {
        version: 1,
        collector: Uuid::from_u128(9),
        collector_version: "0.1.0".into(),
        time: t,
        heartbeat_ms: 3000,
        max_batch_bytes: 1 << 20,
        watermarks: vec![watermark()],
        credit: Credit { bytes: 4 << 20, batches: 256 },
    };
    let (epoch, lane) = (EPOCH, Lane::Critical);
    vec![
        welcome.into(),
        Ack { watermark: watermark() }.into(),
        Rejected { epoch, lane, first_seq: 7, n_events: 2, reason: RejectReason::Limit }.into(),
        Resend { watermark: watermark() }.into(),
        Credit { bytes: 1, batches: 2 }.into(),
        HeartbeatReply { sent: t, received: t, replied: t }.into(),
        Goodbye { code: Code(400), reason: String::new() }.into(),
    ]
}

fn data() -> Vec<Data> {
    let sealed = Sealed { header: Bytes::from_static(b"head"), payload: Bytes::from_static(b"payload") };
    vec![
        Data::Open(Open { epoch: EPOCH, lane: Lane::Bulk, from: 300 }),
        Data::Batch(Batch { first_seq: 300, n_events: 2, sealed }),
        Data::Tombstone(Tombstone { first_seq: 302, n_events: 1 << 40, digest: Digest([2; 32]) }),
    ]
}

/// All frames in the stream, which comes in pieces of this size.
fn decode<F: Frame>(bytes: &[u8], piece: usize) -> Result<Vec<F>, FrameError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn survives<F: Frame + PartialEq + std::fmt::Debug>(frames: &[F]) {
    let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
    for piece in [1, 2, 5, 7, 64, 1 << 20] {
        assert_eq!(decode::<F>(&bytes, piece).unwrap(), frames);
    }
}

#[test]
fn frames_survive_the_trip_in_pieces_of_any_size() {
    survives(&from_sensor());
    survives(&from_collector());
    survives(&data());
}

fn check_bytes<F: Frame>(frames: &[F], expected: Expect) {
    let lines: Vec<String> = frames.iter().map(|frame| hex::encode(encode(frame))).collect();
    expected.assert_eq(&lines.join("\n"));
}

/// These are the bytes of version 1. A released body never changes: what differs here needs a new type.
#[test]
fn released_bytes_stay_what_they_are() {
    check_bytes(
        &from_sensor(),
        expect![[r#"
        010068000000010105302e312e30057765622d3106362e31322e39067838365f363410000000000000000000000000000000050104657865630110000000000000000000000000010203040001010101010101010101010101010101010101010101010101010101010101010102
        0200230000000101100000000000000000000000000102030401050101000300000080200000090000
        030009000000010772657374617274"#]],
    );
    check_bytes(
        &from_collector(),
        expect![[r#"
        01016100000001100000000000000000000000000000000905302e312e308080a0bbd29df1fa31b81780804001100000000000000000000000000102030401ac020707070707070707070707070707070707070707070707070707070707070707808080028002
        020134000000100000000000000000000000000102030401ac020707070707070707070707070707070707070707070707070707070707070707
        030115000000100000000000000000000000000102030400070202
        040134000000100000000000000000000000000102030401ac020707070707070707070707070707070707070707070707070707070707070707
        0501020000000102
        06011b0000008080a0bbd29df1fa318080a0bbd29df1fa318080a0bbd29df1fa31
        070103000000900300"#]],
    );
    check_bytes(
        &data(),
        expect![[r#"
        110014000000100000000000000000000000000102030401ac02
        120010000000ac02020468656164077061796c6f6164
        130028000000ae028080808080200202020202020202020202020202020202020202020202020202020202020202"#]],
    );
}

fn header(ty: u16, length: u32) -> Vec<u8> {
    [&ty.to_le_bytes()[..], &length.to_le_bytes()].concat()
}

#[test]
fn lengths_are_refused_as_soon_as_they_are_known() {
    for (ty, max) in [(0x12, MAX_FRAME_BYTES), (0x11, 128), (0x13, 128)] {
        for length in [max + 1, 64 << 20, u32::MAX] {
            let found = decode::<Data>(&header(ty, length), 1);
            assert_eq!(found, Err(FrameError::TooLong { ty, length, max }));
        }
        assert_eq!(decode::<Data>(&header(ty, max), 1), Ok(vec![]), "the bound itself waits for its body");
    }
    assert!(matches!(decode::<Data>(&header(0x12, 0), 1), Err(FrameError::Body { ty: 0x12 })));
    assert!(matches!(decode::<FromSensor>(&header(2, 0), 1), Err(FrameError::Body { ty: 2 })));
}

#[test]
fn nothing_is_held_of_a_length_that_is_only_claimed() {
    let mut decoder = Decoder::<Data>::default();
    decoder.push(&header(0x12, MAX_FRAME_BYTES));
    decoder.push(&[0]);
    assert_eq!(decoder.next_frame(), Ok(None));
    let expected = HEADER_BYTES + MAX_FRAME_BYTES as usize;
    assert_eq!(decoder.pending(), Some(Pending { received: 7, expected }));
    assert!(decoder.n_reserved() < 1024, "{}", decoder.n_reserved());
}

#[test]
fn unknown_types_are_skipped_only_where_they_say_so() {
    let mut bytes = [header(0x9999, 5), b"hello".to_vec()].concat();
    bytes.extend(encode(&FromSensor::Goodbye(Goodbye { code: Code::DONE, reason: "x".into() })));
    for piece in [1, 3, 100] {
        assert_eq!(decode::<FromSensor>(&bytes, piece).unwrap().len(), 1);
    }
    assert_eq!(decode::<FromSensor>(&header(0x1999, 5), 1), Err(FrameError::UnknownType { ty: 0x1999 }));
    // A rule or an acknowledgement sent upwards is not a type of that direction.
    assert_eq!(decode::<FromSensor>(&header(0x0102, 1), 1), Err(FrameError::UnknownType { ty: 0x0102 }));
    assert_eq!(decode::<Data>(&header(0x0002, 1), 1), Err(FrameError::UnknownType { ty: 2 }));
    let too_long = decode::<FromSensor>(&header(0x9999, MAX_CONTROL_BYTES + 1), 1);
    assert!(matches!(too_long, Err(FrameError::TooLong { .. })));
}

#[test]
fn bytes_after_the_body_are_refused() {
    let mut bytes = encode(&FromCollector::Credit(Credit { bytes: 1, batches: 2 }));
    bytes[2] += 1;
    bytes.push(0);
    assert_eq!(decode::<FromCollector>(&bytes, 1), Err(FrameError::Trailing { ty: 0x0105, extra: 1 }));
}

#[test]
fn numbers_past_their_bounds_are_refused() {
    let batch = |first_seq, n_events| {
        let sealed = Sealed { header: Bytes::new(), payload: Bytes::new() };
        decode::<Data>(&encode(&Data::Batch(Batch { first_seq, n_events, sealed })), 1)
    };
    assert!(batch(0, MAX_EVENTS_PER_BATCH).is_ok());
    assert!(batch(u64::MAX - 1, 1).is_ok());
    for (first_seq, n_events) in [(0, 0), (0, MAX_EVENTS_PER_BATCH + 1), (u64::MAX, 1)] {
        assert!(matches!(batch(first_seq, n_events), Err(FrameError::OutOfBounds { .. })));
    }
    let tombstone = |first_seq, n_events| {
        let digest = Digest::START;
        decode::<Data>(&encode(&Data::Tombstone(Tombstone { first_seq, n_events, digest })), 1)
    };
    assert!(tombstone(0, u64::MAX).is_ok());
    assert!(matches!(tombstone(1, u64::MAX), Err(FrameError::OutOfBounds { .. })));
    assert!(matches!(tombstone(1, 0), Err(FrameError::OutOfBounds { .. })));
}

/// Bytes that begin like a frame, so that they get past the header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let ty = prop_oneof![1u16..4, 0x11u16..0x14, 0x101u16..0x108, any::<u16>()];
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (ty, body, -2i64..3).prop_map(|(ty, body, off)| {
        let length = u32::try_from((body.len() as i64 + off).max(0)).unwrap();
        [header(ty, length), body].concat()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_frames_or_an_error(
        bytes in prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), nearly()],
        piece in 1usize..50,
    ) {
        drop(decode::<FromSensor>(&bytes, piece));
        drop(decode::<FromCollector>(&bytes, piece));
        drop(decode::<Data>(&bytes, piece));
    }

    #[test]
    fn the_pieces_make_no_difference(which in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u8..8, piece in 1usize..50) {
        let mut bytes: Vec<u8> = match which {
            0 => from_sensor().iter().flat_map(encode).collect(),
            1 => from_collector().iter().flat_map(encode).collect(),
            _ => data().iter().flat_map(encode).collect(),
        };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(decode::<FromSensor>(&bytes, piece), decode::<FromSensor>(&bytes, bytes.len()));
        prop_assert_eq!(decode::<FromCollector>(&bytes, piece), decode::<FromCollector>(&bytes, bytes.len()));
        prop_assert_eq!(decode::<Data>(&bytes, piece), decode::<Data>(&bytes, bytes.len()));
    }
}
