//! A payload with nothing compressed is read like the one it came from, and still proves what was sealed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use wire::batch::{Bare, Batch, BatchError, Builder, Digest, Sealed, bare, restored};
use wire::sample::{Host, Mix};
use wire::subject::SubjectNumber;

fn sealed(n_events: u32) -> Sealed {
    Host::new(5, Mix::BENCHMARK).batch(&mut Builder::new(), n_events)
}

fn bared(sealed: &Sealed) -> Sealed {
    let Bare { columns, text } = bare(&sealed.payload, 1 << 20).unwrap();
    let payload = [columns, text].concat().into();
    Sealed { header: sealed.header.clone(), payload }
}

#[test]
fn it_says_the_same() {
    let sealed = sealed(20);
    let (a, b) = (Batch::open(&sealed).unwrap(), Batch::open(&bared(&sealed)).unwrap());
    assert_eq!(a.n_events(), 20);
    for number in 0..a.n_events() {
        assert_eq!(a.event(number).unwrap(), b.event(number).unwrap());
    }
    for number in (0..a.n_subjects()).map(SubjectNumber) {
        assert_eq!(a.subject(number).unwrap(), b.subject(number).unwrap());
    }
}

#[test]
fn with_its_sum_it_is_what_was_sealed() {
    let sealed = sealed(20);
    let bared = bared(&sealed);
    assert!(matches!(Batch::validate(&bared), Err(BatchError::Checksum)), "its sum was left out");
    let payload = restored(&bared.header, &bared.payload).unwrap();
    let again = Sealed { header: bared.header, payload };
    Batch::validate(&again).unwrap();
    assert_ne!(again.payload, sealed.payload);
    assert_eq!(Digest::START.after(&again), Digest::START.after(&sealed));
}

#[test]
fn what_was_altered_in_it_shows() {
    let sealed = sealed(8);
    let bared = bared(&sealed);
    let digest = Digest::START.after(&sealed);
    // From behind the form, the sum and the lengths on.
    for at in 24..bared.payload.len() {
        let mut payload = bared.payload.to_vec();
        payload[at] ^= 1 << (at % 8);
        let payload = restored(&bared.header, &payload).unwrap();
        assert_ne!(Digest::START.after(&Sealed { payload, ..bared.clone() }), digest, "byte {at}");
    }
    let header = Bytes::from([&bared.header[..], b"x"].concat());
    let payload = restored(&header, &bared.payload).unwrap();
    assert_ne!(Digest::START.after(&Sealed { header, payload }), digest);
}

#[test]
fn what_is_large_or_cannot_be_read_is_left_as_it_is() {
    let small = sealed(20);
    let n = bared(&small).payload.len();
    assert!(bare(&small.payload, n).is_some() && bare(&small.payload, n / 2).is_none());
    assert!(bare(&sealed(3_000).payload, usize::MAX).is_none(), "parted");
    for end in 0..small.payload.len() {
        assert!(bare(&small.payload[..end], usize::MAX).is_none(), "cut at {end}");
    }
    assert!(restored(&small.header, &small.payload[..9]).is_err());
}
