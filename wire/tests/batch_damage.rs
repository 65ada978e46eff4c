//! What is not exactly what was sealed is refused, with a typed error and without a panic.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use wire::batch::{Batch, BatchError, Builder, Sealed, decompressed, restored};
use wire::limits::{MAX_BATCH_BYTES, MAX_EVENTS_PER_BATCH, MAX_FRAME_BYTES};
use wire::sample::{Host, Mix};
use zstd::zstd_safe::{CCtx, CParameter};

fn small() -> Sealed {
    Host::new(1, Mix::PROCESSES).batch(&mut Builder::new(), 12)
}

fn large() -> Sealed {
    Host::new(1, Mix::BENCHMARK).batch(&mut Builder::new(), 2_500)
}

/// The payload again with a valid sum, as a hostile sensor would make it; as it is where its content cannot be read.
fn resealed(header: &Bytes, mut payload: Vec<u8>) -> Sealed {
    if payload[0] == 2 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"parted");
        for piece in [&header[..], payload.get(17..).unwrap_or_default()] {
            hasher.update(&(piece.len() as u64).to_le_bytes());
            hasher.update(piece);
        }
        let sum = *hasher.finalize().as_bytes();
        payload.iter_mut().skip(1).take(16).zip(sum).for_each(|(to, from)| *to = from);
    }
    let payload = restored(header, &payload).unwrap_or_else(|_| payload.into());
    Sealed { header: header.clone(), payload }
}

/// A whole payload without dictionaries, whose directory and columns are this frame and claim to decompress to
/// `raw` bytes, with these strings.
fn whole(frame: &[u8], raw: usize, text: &[u8]) -> Sealed {
    let lengths = [raw, frame.len(), text.len()].map(|n| postcard::to_allocvec(&n).unwrap()).concat();
    resealed(&small().header, [&[1], &[0; 17][..], &lengths[..], frame, text].concat())
}

/// A frame without its magic number.
fn compress(raw: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(raw, 3).unwrap().split_off(4)
}

fn error(sealed: &Sealed) -> BatchError {
    Batch::validate(sealed).unwrap_err()
}

#[test]
fn a_flipped_bit_is_refused_or_says_nothing() {
    for sealed in [small(), large()] {
        Batch::validate(&sealed).unwrap();
        let mut n_refused = 0;
        for at in 0..sealed.payload.len() {
            let mut payload = sealed.payload.to_vec();
            payload[at] ^= 1 << (at % 8);
            let damaged = Sealed { header: sealed.header.clone(), payload: payload.into() };
            // A frame may have bits that say nothing; then what it holds is what was sealed.
            match Batch::validate(&damaged) {
                Err(_) => n_refused += 1,
                Ok(_) => {
                    assert_eq!(decompressed(&damaged).unwrap(), decompressed(&sealed).unwrap(), "byte {at}")
                }
            }
        }
        assert!(n_refused + 4 > sealed.payload.len(), "{n_refused} of {}", sealed.payload.len());
    }
    let sealed = small();
    for at in 0..8 * sealed.header.len() {
        let mut header = sealed.header.to_vec();
        header[at / 8] ^= 1 << (at % 8);
        assert!(
            Batch::validate(&Sealed { header: header.into(), ..sealed.clone() }).is_err(),
            "header bit {at}"
        );
    }
}

#[test]
fn damage_under_a_valid_checksum_never_panics() {
    let sealed = small();
    for bit in 0..8 * sealed.payload.len() {
        let mut payload = sealed.payload.to_vec();
        payload[bit / 8] ^= 1 << (bit % 8);
        read_all(&resealed(&sealed.header, payload));
    }
    // Damage before compression reaches the decoders of all columns.
    let (raw, text) = decompressed(&sealed).unwrap();
    for bit in 0..8 * raw.len() {
        let mut raw = raw.clone();
        raw[bit / 8] ^= 1 << (bit % 8);
        read_all(&whole(&compress(&raw), raw.len(), &text));
    }
    for bit in 0..8 * text.len() {
        let mut text = text.clone();
        text[bit / 8] ^= 1 << (bit % 8);
        read_all(&whole(&compress(&raw), raw.len(), &text));
    }
    let sealed = large();
    for at in (0..sealed.payload.len()).step_by(97) {
        let mut payload = sealed.payload.to_vec();
        payload[at] ^= 1 << (at % 8);
        drop(Batch::validate(&resealed(&sealed.header, payload)));
    }
}

/// Reads everything there is, whatever it says.
fn read_all(sealed: &Sealed) {
    let Ok(batch) = Batch::validate(sealed) else { return };
    for number in 0..batch.n_events() {
        drop(batch.event(number).unwrap());
    }
    let subjects = batch.subjects().unwrap();
    for number in (0..batch.n_subjects()).map(wire::subject::SubjectNumber) {
        drop(batch.subject(number).unwrap());
        assert!(subjects.ancestors(number).count() <= wire::limits::MAX_ANCESTORS);
    }
}

#[test]
fn a_batch_cut_short_is_refused() {
    for sealed in [small(), large()] {
        for end in 0..sealed.payload.len() {
            let cut = sealed.payload.slice(..end);
            assert!(
                Batch::validate(&Sealed { payload: cut.clone(), ..sealed.clone() }).is_err(),
                "cut at {end}"
            );
            if end > 5 && (end < 1_000 || end % 97 == 0) {
                assert!(Batch::validate(&resealed(&sealed.header, cut.to_vec())).is_err(), "cut at {end}");
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for sealed in [small(), large()] {
        let payload = [&sealed.payload[..], b"x"].concat();
        assert!(Batch::validate(&resealed(&sealed.header, payload)).is_err());
    }
    let (raw, text) = decompressed(&small()).unwrap();
    let frame = compress(&raw);
    Batch::validate(&whole(&frame, raw.len(), &text)).unwrap();
    assert!(Batch::validate(&whole(&frame, raw.len(), &[&text[..], b"x\0"].concat())).is_err());
    let after = "bytes follow its frame";
    let empty = zstd::bulk::compress(b"", 3).unwrap();
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
    for more in [&empty[..], &skippable] {
        let sealed = whole(&[&frame[..], more].concat(), raw.len(), &text);
        assert_eq!(error(&sealed), BatchError::Compressed { part: "payload", reason: after });
    }
    let first = whole(&[&skippable[..], &frame].concat(), raw.len(), &text);
    assert!(matches!(error(&first), BatchError::Compressed { part: "payload", .. }));
}

#[test]
fn a_bomb_stops_at_the_declared_size() {
    let zeros = compress(&vec![0; 1 << 27]);
    assert!(zeros.len() < 20_000);
    let reason = "its frame is damaged or longer than declared";
    assert_eq!(error(&whole(&zeros, 1 << 20, b"")), BatchError::Compressed { part: "payload", reason });
    let limit = u64::from(MAX_BATCH_BYTES);
    let what = "decompressed size";
    assert_eq!(error(&whole(&zeros, 1 << 27, b"")), BatchError::Limit { what, found: 1 << 27, limit });
    assert_eq!(
        error(&whole(&compress(b"short"), 4_000, b"")),
        BatchError::Compressed { part: "payload", reason: "it is shorter than declared" }
    );
}

#[test]
fn a_large_window_is_refused() {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::WindowLog(27)).unwrap();
    context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    let mut frame = vec![0; 1 << 12];
    let mut output = zstd::zstd_safe::OutBuffer::around(&mut frame[..]);
    let mut input = zstd::zstd_safe::InBuffer::around(b"some bytes");
    context.compress_stream(&mut output, &mut input).unwrap();
    context.end_stream(&mut output).unwrap();
    let n = output.pos();
    let reason = "its window is too large";
    assert_eq!(error(&whole(&frame[4..n], 4_000, b"")), BatchError::Compressed { part: "payload", reason });
}

#[test]
fn an_unknown_dictionary_or_form_is_named() {
    let mut payload = small().payload.to_vec();
    payload[17] = 77;
    assert_eq!(error(&resealed(&small().header, payload)), BatchError::Dictionary { found: 77, newest: 1 });
    let mut payload = small().payload.to_vec();
    payload[0] = 3;
    assert_eq!(error(&resealed(&small().header, payload)), BatchError::Form { found: 3 });
}

#[test]
fn limits_come_before_allocation() {
    let header = |n_events| {
        let header = Batch::open(&small()).unwrap().header().clone();
        wire::batch::Header { n_events, ..header }.encode()
    };
    let too_many = resealed(&header(MAX_EVENTS_PER_BATCH + 1), small().payload.to_vec());
    assert!(matches!(error(&too_many), BatchError::Limit { what: "number of events", .. }));
    let too_long = Sealed { payload: vec![1; MAX_FRAME_BYTES as usize + 1].into(), ..small() };
    assert!(matches!(error(&too_long), BatchError::Limit { what: "payload size", .. }));
    // The most events there may be, in no group; and in one group whose columns are all constants.
    for (directory, what) in [
        (vec![0, 0, 0, 0, 0, 0], "number of events do not add up"),
        (vec![0xff, 0xff, 0xff, 0x7f, 0, 0], "number of strings"),
        (vec![0, 0xff, 0xff, 0xff, 0x7f, 0], "number of subjects"),
        (vec![0, 0, 0xff, 0x7f], "number of groups"),
    ] {
        let whole = whole(&directory, directory.len(), b"");
        let sealed = Sealed { header: header(MAX_EVENTS_PER_BATCH), ..whole };
        let sealed = resealed(&sealed.header, sealed.payload.to_vec());
        match error(&sealed) {
            BatchError::Limit { what: found, .. } => assert_eq!(found, what),
            BatchError::Malformed { part, .. } => assert_eq!(part, "directory", "{what}"),
            other => panic!("{other}"),
        }
    }
}
