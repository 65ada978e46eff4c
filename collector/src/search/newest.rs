//! The newest of what was found, and nothing twice.

use std::collections::BTreeMap;

use wire::time::WallTime;

use super::Position;

/// The first so many in the order of results, of all that was offered.
#[derive(Clone, Debug)]
pub(super) struct Newest<T> {
    limit: usize,
    /// Only what comes after this in the order of results.
    after: Option<Position>,
    kept: BTreeMap<Position, T>,
    n_taken: u64,
}

impl<T> Newest<T> {
    pub(super) fn new(limit: usize, after: Option<Position>) -> Self {
        Self { limit, after, kept: BTreeMap::new(), n_taken: 0 }
    }

    /// Keeps it if it is among the first; what has been offered already is the same.
    pub(super) fn offer(&mut self, position: Position, item: T) {
        if self.limit == 0 || !self.wants(position) {
            return;
        }
        self.kept.insert(position, item);
        self.n_taken += 1;
        if self.kept.len() > self.limit {
            self.kept.pop_first();
        }
    }

    /// Whether it would be kept now.
    pub(super) fn wants(&self, position: Position) -> bool {
        self.after.is_none_or(|after| position < after)
            && (self.kept.len() < self.limit
                || self.kept.first_key_value().is_some_and(|(last, _)| position > *last))
    }

    /// Events older than this can no longer come in; `None` while there is room.
    pub(super) fn floor(&self) -> Option<WallTime> {
        let full = self.kept.len() >= self.limit;
        self.kept.first_key_value().filter(|_| full).map(|(last, _)| last.time)
    }

    /// What is later than `unseen` (all of it, if there is nothing unseen) and comes after `handed` in the order of results:
    /// newest first.
    pub(super) fn settled(
        &self,
        unseen: Option<WallTime>,
        handed: Option<Position>,
    ) -> impl Iterator<Item = (Position, &T)> {
        self.kept
            .iter()
            .rev()
            .skip_while(move |(position, _)| handed.is_some_and(|handed| **position >= handed))
            .take_while(move |(position, _)| unseen.is_none_or(|unseen| position.time > unseen))
            .map(|(position, item)| (*position, item))
    }

    /// How many came in, those that had to go again too.
    pub(super) fn n_taken(&self) -> u64 {
        self.n_taken
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What was kept, newest first.
    pub(super) fn into_items(self) -> impl Iterator<Item = (Position, T)> {
        self.kept.into_iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;
    use wire::id::{Epoch, EventId, HostId, Lane, StreamId};

    use super::*;

    fn position(time: i64, seq: u64) -> Position {
        let stream =
            StreamId { host: HostId::new(Uuid::nil()), epoch: Epoch::new(Uuid::nil()), lane: Lane::Bulk };
        Position { time: WallTime::from_unix_ns(time), id: EventId { stream, seq } }
    }

    proptest! {
        #[test]
        fn pages_are_the_sorted_whole(events in proptest::collection::vec((0i64..20, 0u64..20), 0..80), limit in 1usize..9) {
            let mut expected: Vec<_> = events.iter().map(|(t, s)| position(*t, *s)).collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            expected.dedup();
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let mut newest = Newest::new(limit, after);
                events.iter().for_each(|(t, s)| newest.offer(position(*t, *s), ()));
                let page: Vec<_> = newest.into_items().map(|(p, ())| p).collect();
                let Some(last) = page.last() else { break };
                after = Some(*last);
                pages.extend(page);
            }
            prop_assert_eq!(pages, expected);
        }
    }

    #[test]
    fn only_what_nothing_can_come_before_is_settled() {
        let mut newest = Newest::new(3, None);
        [5, 7, 9].into_iter().for_each(|time| newest.offer(position(time, 0), ()));
        let times = |unseen: Option<i64>, handed: Option<i64>| {
            let settled =
                newest.settled(unseen.map(WallTime::from_unix_ns), handed.map(|time| position(time, 0)));
            settled.map(|(position, ())| position.time.unix_ns()).collect::<Vec<_>>()
        };
        assert_eq!(times(Some(9), None), [0i64; 0], "another at 9 may come");
        assert_eq!(times(Some(5), None), [9, 7]);
        assert_eq!(times(Some(5), Some(9)), [7]);
        assert_eq!(times(None, Some(7)), [5]);
    }

    #[test]
    fn the_floor_is_there_once_it_is_full() {
        let mut newest = Newest::new(2, None);
        newest.offer(position(5, 0), ());
        newest.offer(position(5, 0), ());
        assert_eq!(newest.floor(), None);
        newest.offer(position(9, 0), ());
        assert_eq!(newest.floor(), Some(WallTime::from_unix_ns(5)));
        newest.offer(position(7, 0), ());
        assert_eq!(newest.floor(), Some(WallTime::from_unix_ns(7)));
        assert!(!newest.wants(position(6, 9)) && newest.wants(position(7, 1)));
    }
}
