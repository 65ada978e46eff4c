use bytes::Bytes;
use uuid::Uuid;
use wire::id::{Epoch, HostId, Lane};

use super::*;
use crate::store::candidates::Place;
use crate::store::directory::Head;

pub(in crate::export) fn stream(n: u128) -> StreamId {
    StreamId {
        host: HostId::new(Uuid::from_u128(n)),
        epoch: Epoch::new(Uuid::from_u128(2)),
        lane: Lane::Bulk,
    }
}

pub(in crate::export) fn batch(stream: StreamId, first_seq: u64, n_events: u32) -> Located {
    let received = Stamp::from_unix_us(1_000_000 * first_seq.cast_signed());
    let entry = Entry {
        stream,
        first_seq,
        n_events,
        received,
        earliest: received,
        latest: received,
        head: Head::Other(Bytes::new()),
        offset: 0,
        payload_len: 10,
        ends: None,
        terms: vec![1],
    };
    let (place, bucket) = (Place::Merged(stream.host), stream.host.bucket());
    Located { key: SegmentKey { place, bucket, id: Uuid::nil(), received, latest: received }, entry }
}

pub(in crate::export) fn behind(stream: StreamId, next_seq: u64, stored: u64) -> Behind {
    Behind { stream, next_seq, stored, received: Stamp::from_unix_us(0) }
}

fn line(next_seq: u64, stored: u64) -> Line {
    Line::new(&behind(stream(1), next_seq, stored))
}

fn sent(line: &mut Line, slot: u32) -> Item {
    let item = line.take().expect("there is one");
    let n = item.upto - item.first;
    let fate = match item.what {
        What::Batch(_) => Fate { n_sent: n, ..Fate::default() },
        What::Gone => Fate { n_gone: n, ..Fate::default() },
        What::Expired => Fate { n_expired: n, ..Fate::default() },
    };
    let slot = matches!(item.what, What::Batch(_)).then_some(slot);
    line.fly(Flying { upto: item.upto, received: item.received, fate, slot });
    item
}

#[test]
fn a_stream_is_moved_on_only_when_all_before_is_reported() {
    let mut line = line(0, 0);
    line.learn(batch(stream(1), 0, 5));
    line.learn(batch(stream(1), 5, 5));
    sent(&mut line, 1);
    sent(&mut line, 2);
    line.arrived(2, 0);
    assert_eq!(line.advance(stream(1)), None);
    line.arrived(1, 2);
    let advance = line.advance(stream(1)).expect("both are reported");
    assert_eq!((advance.from, advance.upto), (0, 10));
    assert_eq!(advance.fate, Fate { n_sent: 8, n_refused: 2, ..Fate::default() });
    line.committed(10);
    assert!(line.is_idle() && line.advance(stream(1)).is_none());
}

#[test]
fn what_is_beyond_a_hole_waits_until_the_hole_is_known_to_be_one() {
    let mut line = line(0, 0);
    line.learn(batch(stream(1), 7, 3));
    assert!(line.is_sought() && !line.has_items());
    line.gone(0, 5);
    assert!(line.is_sought(), "5 and 6 are missing still");
    line.learn(batch(stream(1), 5, 2));
    assert!(!line.is_sought());
    let firsts: Vec<u64> = (0..3).map(|n| sent(&mut line, n).first).collect();
    assert_eq!(firsts, [0, 5, 7]);
}

#[test]
fn what_is_not_there_any_more_is_passed_up_to_what_is() {
    let mut line = line(3, 100);
    line.aim(100, true);
    line.learn(batch(stream(1), 50, 10));
    assert_eq!(line.expired(), Some((3, 47)));
    assert_eq!(line.known(stream(1)).seq, 60);
    assert_eq!(line.expired(), Some((60, 40)), "to the end");
    assert_eq!(line.expired(), None);
}

#[test]
fn only_what_stands_still_is_looked_for() {
    let mut line = line(0, 0);
    line.aim(5, false);
    assert!(!line.is_sought(), "it may be told in a moment");
    line.learn(batch(stream(1), 0, 5));
    line.aim(10, false);
    assert!(!line.is_sought());
    line.aim(10, false);
    assert!(line.is_sought());
}

#[test]
fn after_a_failure_everything_not_reported_begins_again() {
    let mut line = line(0, 15);
    for first in [0, 5, 10] {
        line.learn(batch(stream(1), first, 5));
    }
    sent(&mut line, 1);
    sent(&mut line, 2);
    line.arrived(1, 0);
    line.rewind();
    assert_eq!((line.known(stream(1)).seq, line.is_sought()), (5, true));
    line.learn(batch(stream(1), 5, 5));
    assert_eq!(sent(&mut line, 3).first, 5);
    // What is reported of before does not count.
    line.arrived(2, 0);
    assert_eq!(line.advance(stream(1)).map(|a| a.upto), Some(5));
}

#[test]
fn what_was_exported_already_is_not_taken_again() {
    let mut line = line(10, 10);
    line.learn(batch(stream(1), 0, 10));
    line.learn(batch(stream(1), 10, 5));
    line.learn(batch(stream(1), 10, 5));
    assert_eq!(line.n_located(), 1);
}
