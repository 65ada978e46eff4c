//! Which segments come next, and when no more can matter.

use std::collections::VecDeque;

use wire::time::WallTime;

use crate::store::candidates::{Candidate, PageEnd};

const FIRST_PAGE: u32 = 64;
const LAST_PAGE: u32 = 2048;
const FIRST_EVENTS: u64 = 20_000;
const LAST_EVENTS: u64 = 320_000;
/// A chunk's keys go into one statement.
const MAX_SEGMENTS: usize = 256;

/// Segments still to be looked at, newest first; the merged ones come page by page.
#[derive(Debug)]
pub(super) struct Frontier {
    fresh: VecDeque<Candidate>,
    merged: VecDeque<Candidate>,
    page: Page,
    n_events: u64,
}

/// Where the merged segments' pages are.
#[derive(Clone, Copy, Debug)]
enum Page {
    Next { after: Option<PageEnd>, size: u32 },
    Done,
}

impl Frontier {
    /// `fresh`: all fresh candidates, newest first.
    pub(super) fn new(fresh: Vec<Candidate>) -> Self {
        let page = Page::Next { after: None, size: FIRST_PAGE };
        Self { fresh: fresh.into(), merged: VecDeque::new(), page, n_events: FIRST_EVENTS }
    }

    /// The page that has to be added before anything else can be taken, if one has: after what, and its size.
    pub(super) fn wanted_page(&self) -> Option<(Option<PageEnd>, u32)> {
        match self.page {
            Page::Next { after, size } if self.merged.is_empty() => Some((after, size)),
            _ => None,
        }
    }

    /// Adds the page that [`Self::wanted_page`] asked for.
    pub(super) fn add_page(&mut self, page: Vec<Candidate>) {
        let Page::Next { size, .. } = self.page else { return };
        let is_last = page.len() < size as usize;
        self.page = match page.last() {
            Some(last) if !is_last => {
                Page::Next { after: Some(last.into()), size: (size * 2).min(LAST_PAGE) }
            }
            _ => Page::Done,
        };
        self.merged.extend(page);
    }

    /// The next segments. Each time there are more, as a search that has not found enough will not soon.
    ///
    /// `floor`: events before it no longer matter. Empty when a page is wanted or all is done.
    pub(super) fn next(&mut self, floor: Option<WallTime>) -> Vec<Candidate> {
        let (mut chunk, mut n_events) = (Vec::new(), 0);
        while self.wanted_page().is_none() && n_events < self.n_events && chunk.len() < MAX_SEGMENTS {
            let latest = |queue: &VecDeque<Candidate>| queue.front().map(|c| c.key.latest);
            let queue = match (latest(&self.fresh), latest(&self.merged)) {
                (Some(fresh), Some(merged)) if fresh < merged => &mut self.merged,
                (Some(_), _) => &mut self.fresh,
                (None, _) => &mut self.merged,
            };
            let Some(candidate) = queue.pop_front() else { break };
            if floor.is_some_and(|floor| candidate.key.latest.wall() < floor) {
                self.finish();
                break;
            }
            n_events += u64::from(candidate.n_events);
            chunk.push(candidate);
        }
        if !chunk.is_empty() {
            self.n_events = (self.n_events * 2).min(LAST_EVENTS);
        }
        chunk
    }

    /// Whether there is nothing left to look at.
    pub(super) fn is_done(&self) -> bool {
        self.fresh.is_empty() && self.merged.is_empty() && matches!(self.page, Page::Done)
    }

    fn finish(&mut self) {
        self.fresh.clear();
        self.merged.clear();
        self.page = Page::Done;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::id::HostId;

    use super::*;
    use crate::store::Stamp;
    use crate::store::candidates::{Place, SegmentKey};

    fn candidate(place: Place, latest: i64) -> Candidate {
        let latest = Stamp::from_unix_us(latest);
        let key = SegmentKey { place, bucket: 0, id: Uuid::nil(), received: latest, latest };
        Candidate { key, earliest: latest, n_events: 8_000 }
    }

    fn fresh(latest: i64) -> Candidate {
        candidate(Place::Fresh, latest)
    }

    fn merged(latest: i64) -> Candidate {
        candidate(Place::Merged(HostId::new(Uuid::nil())), latest)
    }

    fn times(chunk: &[Candidate]) -> Vec<i64> {
        chunk.iter().map(|c| c.key.latest.unix_us()).collect()
    }

    #[test]
    fn both_tables_come_in_one_order() {
        let mut frontier = Frontier::new(vec![fresh(9), fresh(5)]);
        assert!(frontier.next(None).is_empty(), "the first page is missing");
        assert_eq!(frontier.wanted_page(), Some((None, FIRST_PAGE)));
        frontier.add_page(vec![merged(7), merged(6), merged(1)]);
        assert_eq!(times(&frontier.next(None)), [9, 7, 6]);
        assert_eq!(times(&frontier.next(None)), [5, 1]);
        assert!(frontier.is_done() && frontier.next(None).is_empty());
    }

    #[test]
    fn it_ends_below_the_floor() {
        let mut frontier = Frontier::new(vec![fresh(9), fresh(5)]);
        frontier.add_page(vec![merged(4); FIRST_PAGE as usize]);
        let floor = Stamp::from_unix_us(5).wall();
        assert_eq!(times(&frontier.next(Some(floor))), [9, 5]);
        assert!(frontier.is_done() && frontier.wanted_page().is_none());
    }

    #[test]
    fn a_full_page_asks_for_the_next() {
        let mut frontier = Frontier::new(vec![]);
        frontier.add_page(vec![merged(4); FIRST_PAGE as usize]);
        while !frontier.next(None).is_empty() {}
        assert!(matches!(frontier.wanted_page(), Some((Some(_), size)) if size == 2 * FIRST_PAGE));
        frontier.add_page(vec![]);
        assert!(frontier.is_done());
    }
}
