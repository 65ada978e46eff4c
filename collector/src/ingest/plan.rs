//! What becomes of what was delivered, decided from where the streams stand. Pure.

use std::collections::HashMap;

use wire::batch::{Digest, Sealed};
use wire::id::StreamId;

use crate::store::streams::Position;

/// What was delivered, as far as the decision needs it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    /// A batch that may be stored.
    Batch(&'a Sealed),
    /// A batch that is refused, and passed over.
    Refused(&'a Sealed),
    /// Events that will never come, with where the sensor says its chain is then.
    Tombstone(Digest),
}

/// One delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) stream: StreamId,
    pub(super) first_seq: u64,
    pub(super) n_events: u64,
    pub(super) kind: Kind<'a>,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is the next of its stream, which stands here then.
    Next(Position),
    /// The same for a tombstone that the chain contradicts.
    Broken(Position),
    /// It lies behind the watermark, where the stream stands now.
    Behind(Position),
    /// The same, with other bytes than came the first time.
    Conflict(Position),
    /// It does not begin at the watermark.
    Gap,
}

/// What is remembered of a stream.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) at: Position,
    /// The boundaries passed lately, oldest first, `at` not among them.
    passed: Vec<Position>,
}

/// How many boundaries of a stream are remembered, to recognise other bytes under an old number.
const MAX_PASSED: usize = 32;

impl Track {
    pub(super) fn new(at: Position) -> Self {
        Self { at, passed: Vec::new() }
    }

    fn pass(&mut self, to: Position) {
        if self.passed.len() >= MAX_PASSED {
            self.passed.remove(0);
        }
        self.passed.push(self.at);
        self.at = to;
    }

    fn digest_at(&self, seq: u64) -> Option<Digest> {
        let all = self.passed.iter().chain(std::iter::once(&self.at));
        all.rev().find(|p| p.next_seq == seq).map(|p| p.digest)
    }
}

/// Decides in the order given, moving `tracks` on. Every stream given must be in `tracks`.
pub(super) fn decide(tracks: &mut HashMap<StreamId, Track>, given: &[Given<'_>]) -> Vec<Verdict> {
    given
        .iter()
        .map(|item| match tracks.get_mut(&item.stream) {
            Some(track) => one(track, item),
            None => Verdict::Gap,
        })
        .collect()
}

fn one(track: &mut Track, item: &Given<'_>) -> Verdict {
    // Numbers are stored as signed ones.
    let end = item.first_seq.checked_add(item.n_events).filter(|end| i64::try_from(*end).is_ok());
    let Some(end) = end else { return Verdict::Gap };
    if item.first_seq == track.at.next_seq && item.n_events > 0 {
        let digest = after(track.at.digest, item);
        let to = Position { next_seq: end, digest };
        track.pass(to);
        return match item.kind {
            Kind::Tombstone(claimed) if claimed != digest => Verdict::Broken(to),
            _ => Verdict::Next(to),
        };
    }
    if end > track.at.next_seq {
        return Verdict::Gap;
    }
    match (track.digest_at(item.first_seq), track.digest_at(end)) {
        (Some(before), Some(stored)) if after(before, item) != stored => Verdict::Conflict(track.at),
        _ => Verdict::Behind(track.at),
    }
}

fn after(digest: Digest, item: &Given<'_>) -> Digest {
    match item.kind {
        Kind::Batch(sealed) | Kind::Refused(sealed) => digest.after(sealed),
        Kind::Tombstone(_) => digest.after_tombstone(item.first_seq, item.n_events),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use bytes::Bytes;
    use uuid::Uuid;
    use wire::id::{Epoch, HostId, Lane};

    use super::*;

    fn stream() -> StreamId {
        StreamId {
            host: HostId::new(Uuid::from_u128(1)),
            epoch: Epoch::new(Uuid::from_u128(2)),
            lane: Lane::Bulk,
        }
    }

    fn sealed(text: &'static str) -> Sealed {
        Sealed { header: Bytes::from_static(b"h"), payload: Bytes::from_static(text.as_bytes()) }
    }

    fn batch(first_seq: u64, n_events: u64, sealed: &Sealed) -> Given<'_> {
        Given { stream: stream(), first_seq, n_events, kind: Kind::Batch(sealed) }
    }

    fn start() -> HashMap<StreamId, Track> {
        HashMap::from([(stream(), Track::new(Position::START))])
    }

    #[test]
    fn batches_of_one_group_follow_each_other() {
        let (a, b) = (sealed("a"), sealed("b"));
        let mut tracks = start();
        let verdicts = decide(&mut tracks, &[batch(0, 5, &a), batch(5, 2, &b)]);
        let digest = Digest::START.after(&a).after(&b);
        assert_eq!(verdicts[1], Verdict::Next(Position { next_seq: 7, digest }));
    }

    #[test]
    fn a_resend_is_behind_and_other_bytes_are_a_conflict() {
        let (a, b, c) = (sealed("a"), sealed("b"), sealed("c"));
        let mut tracks = start();
        decide(&mut tracks, &[batch(0, 5, &a), batch(5, 2, &b)]);
        let at = tracks[&stream()].at;
        let verdicts = decide(&mut tracks, &[batch(0, 5, &a), batch(5, 2, &c), batch(5, 2, &b)]);
        assert_eq!(verdicts, [Verdict::Behind(at), Verdict::Conflict(at), Verdict::Behind(at)]);
        assert_eq!(tracks[&stream()].at, at);
    }

    #[test]
    fn what_leaves_a_gap_or_straddles_is_not_taken() {
        let a = sealed("a");
        let mut tracks = start();
        let given = [batch(1, 1, &a), batch(0, 2, &a), batch(1, 3, &a), batch(2, u64::MAX - 2, &a)];
        let verdicts = decide(&mut tracks, &given);
        assert_eq!([verdicts[0], verdicts[2], verdicts[3]], [Verdict::Gap; 3]);
        assert_eq!(tracks[&stream()].at.next_seq, 2);
    }

    #[test]
    fn a_tombstone_moves_the_watermark_and_shows_a_broken_chain() {
        let mut tracks = start();
        let digest = Digest::START.after_tombstone(0, 100);
        let shed =
            |digest| Given { stream: stream(), first_seq: 0, n_events: 100, kind: Kind::Tombstone(digest) };
        let to = Position { next_seq: 100, digest };
        assert_eq!(decide(&mut tracks, &[shed(digest)]), [Verdict::Next(to)]);
        assert_eq!(decide(&mut start(), &[shed(Digest([9; 32]))]), [Verdict::Broken(to)]);
    }

    #[test]
    fn the_memory_of_a_stream_is_bounded() {
        let a = sealed("a");
        let mut tracks = start();
        for seq in 0..1000 {
            decide(&mut tracks, &[batch(seq, 1, &a)]);
        }
        assert_eq!(tracks[&stream()].passed.len(), MAX_PASSED);
    }
}
