//! A batch: the length of its header (two bytes), the header, the payload; as it is, and with a sum that is right.

use bytes::Bytes;
use wire::batch::{Batch, Header, Sealed, restored};
use wire::limits::MAX_ANCESTORS;
use wire::subject::SubjectNumber;
use wire::term;

/// Feeds one input; how many events could be read.
pub(crate) fn feed(input: &[u8]) -> usize {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return 0 };
    let Some((header, payload)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
        return 0;
    };
    let sealed = Sealed { header: Bytes::copy_from_slice(header), payload: Bytes::copy_from_slice(payload) };
    read(&sealed) + read(&resealed(sealed))
}

/// The same with a valid sum, as a hostile sensor would make it; as it is where its content cannot be read.
fn resealed(sealed: Sealed) -> Sealed {
    let mut payload = sealed.payload.to_vec();
    if payload.first() == Some(&2) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"parted");
        for piece in [&sealed.header[..], payload.get(17..).unwrap_or_default()] {
            hasher.update(&(piece.len() as u64).to_le_bytes());
            hasher.update(piece);
        }
        let sum = *hasher.finalize().as_bytes();
        payload.iter_mut().skip(1).take(16).zip(sum).for_each(|(to, from)| *to = from);
    }
    let payload = restored(&sealed.header, &payload).unwrap_or_else(|_| payload.into());
    Sealed { payload, ..sealed }
}

/// Reads everything that a collector reads of a batch that it takes.
fn read(sealed: &Sealed) -> usize {
    if let Ok(header) = Header::decode(&sealed.header) {
        assert_eq!(Header::decode(&header.encode()).as_ref(), Ok(&header));
    }
    let Ok(batch) = Batch::validate(sealed) else { return 0 };
    let n_events = batch.n_events() as usize;
    assert_eq!(batch.header().n_events as usize, n_events);
    assert_eq!(batch.groups().map(|group| group.n_rows()).sum::<usize>(), n_events);
    assert_eq!(batch.times().map(<[u64]>::len), Ok(n_events));
    assert_eq!(batch.event_subjects().map(<[u32]>::len), Ok(n_events));
    for number in 0..batch.n_events() {
        assert!(matches!(batch.event(number), Ok(Some(_))), "event {number}");
    }
    let subjects = batch.subjects().expect("a valid batch has subjects that can be read");
    for number in (0..batch.n_subjects()).map(SubjectNumber) {
        assert!(matches!(batch.subject(number), Ok(Some(_))), "{number:?}");
        assert!(subjects.ancestors(number).count() <= MAX_ANCESTORS);
    }
    assert!(term::of_batch(&batch).is_ok());
    n_events
}
