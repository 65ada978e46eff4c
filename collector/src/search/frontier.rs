//! Which segments come next, and when no more can matter.

use std::collections::VecDeque;

use wire::time::WallTime;

use crate::store::Stamp;
use crate::store::candidates::{Candidate, PageEnd};

const FIRST_PAGE: u32 = 64;
const LAST_PAGE: u32 = 2048;
/// Where each page costs as much as all of them, the second is to be the last.
const LAST_COSTLY_PAGE: u32 = 32_768;
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
    pages: Pages,
    n_events: u64,
    /// The latest times of the chunks that were taken and are not looked through yet.
    under_way: Vec<Stamp>,
}

/// What pages cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pages {
    /// Each as much as it is long: they begin small, and grow.
    ByLength,
    /// Each as much as all of them: there are to be few.
    Alike,
}

/// Where the merged segments' pages are.
#[derive(Clone, Copy, Debug)]
enum Page {
    Next { after: Option<PageEnd>, size: u32 },
    Done,
}

impl Frontier {
    /// `fresh`: all fresh candidates, newest first.
    pub(super) fn new(fresh: Vec<Candidate>, pages: Pages) -> Self {
        let page = Page::Next { after: None, size: FIRST_PAGE };
        Self {
            fresh: fresh.into(),
            merged: VecDeque::new(),
            page,
            pages,
            n_events: FIRST_EVENTS,
            under_way: Vec::new(),
        }
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
        let next = match self.pages {
            Pages::ByLength => (size * 2).min(LAST_PAGE),
            Pages::Alike => LAST_COSTLY_PAGE,
        };
        self.page = match page.last() {
            Some(last) if !is_last => Page::Next { after: Some(last.into()), size: next },
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
        if let Some(first) = chunk.first() {
            self.under_way.push(first.key.latest);
            self.n_events = (self.n_events * 2).min(LAST_EVENTS);
        }
        chunk
    }

    /// Notes that a chunk has been looked through.
    pub(super) fn finished(&mut self, chunk: &[Candidate]) {
        let latest = chunk.first().map(|candidate| candidate.key.latest);
        if let Some(at) = self.under_way.iter().position(|under_way| Some(*under_way) == latest) {
            self.under_way.swap_remove(at);
        }
    }

    /// No event later than this is left to be seen; `None` when all have been.
    pub(super) fn unseen(&self) -> Option<Stamp> {
        let front = |queue: &VecDeque<Candidate>| queue.front().map(|candidate| candidate.key.latest);
        let page = match self.page {
            Page::Done => None,
            Page::Next { after, .. } => {
                Some(after.map_or(Stamp::from_unix_us(i64::MAX), |after| after.latest))
            }
        };
        let under_way = self.under_way.iter().copied().max();
        [under_way, front(&self.fresh), front(&self.merged), page].into_iter().flatten().max()
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

impl Default for Frontier {
    /// Of no segments at all.
    fn default() -> Self {
        Self {
            fresh: VecDeque::new(),
            merged: VecDeque::new(),
            page: Page::Done,
            pages: Pages::Alike,
            n_events: FIRST_EVENTS,
            under_way: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use wire::id::HostId;

    use super::*;
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
        let mut frontier = Frontier::new(vec![fresh(9), fresh(5)], Pages::ByLength);
        assert!(frontier.next(None).is_empty(), "the first page is missing");
        assert_eq!(frontier.wanted_page(), Some((None, FIRST_PAGE)));
        frontier.add_page(vec![merged(7), merged(6), merged(1)]);
        assert_eq!(times(&frontier.next(None)), [9, 7, 6]);
        assert_eq!(times(&frontier.next(None)), [5, 1]);
        assert!(frontier.is_done() && frontier.next(None).is_empty());
    }

    #[test]
    fn it_ends_below_the_floor() {
        let mut frontier = Frontier::new(vec![fresh(9), fresh(5)], Pages::ByLength);
        frontier.add_page(vec![merged(4); FIRST_PAGE as usize]);
        let floor = Stamp::from_unix_us(5).wall();
        assert_eq!(times(&frontier.next(Some(floor))), [9, 5]);
        assert!(frontier.is_done() && frontier.wanted_page().is_none());
    }

    #[test]
    fn a_full_page_asks_for_the_next() {
        let mut frontier = Frontier::new(vec![], Pages::ByLength);
        frontier.add_page(vec![merged(4); FIRST_PAGE as usize]);
        while !frontier.next(None).is_empty() {}
        assert!(matches!(frontier.wanted_page(), Some((Some(_), size)) if size == 2 * FIRST_PAGE));
        frontier.add_page(vec![]);
        assert!(frontier.is_done());
    }

    #[test]
    fn what_is_unseen_is_known_while_chunks_are_looked_through() {
        let mut frontier = Frontier::new(vec![fresh(9)], Pages::ByLength);
        let unseen = |frontier: &Frontier| frontier.unseen().map(|stamp| stamp.unix_us());
        assert_eq!(unseen(&frontier), Some(i64::MAX), "nothing is known of the merged");
        let rest = (0..FIRST_PAGE as i64 - 2).map(|_| merged(2));
        frontier.add_page([merged(7), merged(6)].into_iter().chain(rest).collect());
        let first = frontier.next(None);
        assert_eq!(times(&first), [9, 7, 6]);
        let second = frontier.next(None);
        assert_eq!(unseen(&frontier), Some(9), "the first chunk is under way");
        frontier.finished(&first);
        assert_eq!(unseen(&frontier), Some(2));
        frontier.finished(&second);
        while !frontier.next(None).is_empty() {}
        frontier.add_page(vec![]);
        frontier.under_way.clear();
        assert_eq!(unseen(&frontier), None);
    }

    #[test]
    fn where_pages_cost_much_there_are_few() {
        let mut frontier = Frontier::new(vec![], Pages::Alike);
        frontier.add_page(vec![merged(4); FIRST_PAGE as usize]);
        while !frontier.next(None).is_empty() {}
        assert!(matches!(frontier.wanted_page(), Some((Some(_), LAST_COSTLY_PAGE))));
    }
}
