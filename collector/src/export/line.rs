//! One stream on its way to the sink. Pure.
//!
//! ```text
//! committed ≤ delivered ≤ taken ≤ known ≤ stored
//! written     reported    handed   found    in the
//! down                    over              store
//! ```
//! Between `taken` and `known` lie items without gaps; what was found beyond `known` is kept aside, a little of it.

use std::collections::VecDeque;

use wire::id::{EventId, StreamId};

use crate::store::Stamp;
use crate::store::candidates::SegmentKey;
use crate::store::directory::Entry;
use crate::store::exports::find::Page;
use crate::store::exports::{Advance, Behind, Fate};

/// A batch, and the segment it is in.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) key: SegmentKey,
    pub(super) entry: Entry,
}

/// The next events of a stream.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) first: u64,
    pub(super) upto: u64,
    /// Of the commit that stored them, or of one before.
    pub(super) received: Stamp,
    pub(super) what: What,
}

impl Item {
    /// What is in a batch.
    pub(super) fn batch(located: Located) -> Self {
        let (first, upto) = ends(&located);
        Self { first, upto, received: located.key.received, what: What::Batch(Box::new(located)) }
    }
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// They are in the store.
    Batch(Box<Located>),
    /// They were never stored.
    Gone,
    /// They were stored, and are not there any more.
    Expired,
}

/// Events that were handed over, or need not be.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) upto: u64,
    pub(super) received: Stamp,
    /// What becomes of them if nothing is refused.
    pub(super) fate: Fate,
    /// By what they are reported; `None`: there is nothing to wait for.
    pub(super) slot: Option<u32>,
}

/// Where the batch at `known` is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quest {
    pub(super) page: Page,
    /// Whether everything has been looked through that can hold it, but for clocks that were days apart.
    pub(super) is_wide: bool,
}

#[derive(Debug)]
pub(super) struct Line {
    committed: u64,
    delivered: u64,
    taken: u64,
    known: u64,
    stored: u64,
    items: VecDeque<Item>,
    aside: Vec<Located>,
    flying: VecDeque<Flying>,
    /// Of the last that was delivered.
    received: Stamp,
    /// What became of what lies between `committed` and `delivered`.
    fate: Fate,
    quest: Quest,
    /// Whether what is between `known` and `stored` has to be looked for: nobody will tell of it.
    is_sought: bool,
    /// Where it stood when it was behind for the first time: it may only not have been told yet.
    suspect: Option<u64>,
}

/// Collectors' clocks differ, and a merged segment bears the time of its first batch.
const SLACK_US: i64 = 10 * 60_000_000;
/// Partitions are made for a day back and three ahead: beyond, no batch can have been stored.
const WIDE_US: i64 = 4 * 86_400_000_000;
/// So many batches beyond a hole are kept.
const MAX_ASIDE: usize = 32;

impl Line {
    pub(super) fn new(behind: &Behind) -> Self {
        let Behind { next_seq, stored, received, .. } = *behind;
        Self {
            committed: next_seq,
            delivered: next_seq,
            taken: next_seq,
            known: next_seq,
            stored: stored.max(next_seq),
            items: VecDeque::new(),
            aside: Vec::new(),
            flying: VecDeque::new(),
            received,
            fate: Fate::default(),
            quest: Quest { page: Page::from(received.plus_us(-SLACK_US)), is_wide: false },
            is_sought: false,
            suspect: None,
        }
    }

    /// A batch was found.
    pub(super) fn learn(&mut self, located: Located) {
        let (first, upto) = ends(&located);
        self.stored = self.stored.max(upto);
        if first == self.known {
            self.push(located);
            self.absorb();
        } else if first > self.known {
            self.is_sought = true;
            let is_new = self.aside.iter().all(|other| other.entry.first_seq != first);
            if is_new && self.aside.len() < MAX_ASIDE {
                self.aside.push(located);
            }
        }
    }

    /// So far it is stored, as the store says. Only what stands still for a while is looked for, unless `at_once`.
    pub(super) fn aim(&mut self, stored: u64, at_once: bool) {
        self.stored = self.stored.max(stored);
        if self.known >= self.stored {
            self.suspect = None;
        } else if at_once || self.suspect == Some(self.known) {
            self.is_sought = true;
        } else {
            self.suspect = Some(self.known);
        }
    }

    /// The next `n` events were never stored.
    pub(super) fn gone(&mut self, first: u64, n: u64) {
        if first == self.known && n > 0 {
            self.skip(n, What::Gone);
        }
    }

    /// The events up to the next that was found, or to the end, are not there any more; how many, from where.
    pub(super) fn expired(&mut self) -> Option<(u64, u64)> {
        let next = self.aside.iter().map(|located| located.entry.first_seq).min().unwrap_or(self.stored);
        let (first, n) = (self.known, next.saturating_sub(self.known));
        if n == 0 {
            return None;
        }
        self.skip(n, What::Expired);
        Some((first, n))
    }

    fn skip(&mut self, n: u64, what: What) {
        let (first, upto) = (self.known, self.known.saturating_add(n));
        let received = self.items.back().map_or(self.received, |item| item.received);
        self.items.push_back(Item { first, upto, received, what });
        self.known = upto;
        self.stored = self.stored.max(upto);
        self.absorb();
    }

    fn push(&mut self, mut located: Located) {
        // They are the larger part of it, and nobody asks for them here.
        located.entry.terms = Vec::new();
        let item = Item::batch(located);
        self.known = item.upto;
        self.items.push_back(item);
    }

    /// Takes up what was kept aside and follows now.
    fn absorb(&mut self) {
        self.aside.retain(|located| ends(located).1 > self.known);
        while let Some(at) = self.aside.iter().position(|located| located.entry.first_seq == self.known) {
            let located = self.aside.swap_remove(at);
            self.push(located);
        }
        self.quest.is_wide = false;
        self.is_sought &= self.known < self.stored;
    }

    /// The next item, handed over.
    pub(super) fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.taken = item.upto;
        Some(item)
    }

    /// It was handed over, or needs not be.
    pub(super) fn fly(&mut self, flying: Flying) {
        self.flying.push_back(flying);
        self.land();
    }

    /// Everything of a slot is reported; so many of its records were refused.
    pub(super) fn arrived(&mut self, slot: u32, n_refused: u64) {
        for flying in self.flying.iter_mut().filter(|flying| flying.slot == Some(slot)) {
            flying.slot = None;
            flying.fate = flying.fate.refused(n_refused);
        }
        self.land();
    }

    fn land(&mut self) {
        while let Some(flying) = self.flying.pop_front_if(|flying| flying.slot.is_none()) {
            self.delivered = flying.upto;
            self.received = self.received.max(flying.received);
            self.fate = self.fate.plus(flying.fate);
        }
    }

    /// What was taken from here on could not be read: it is looked for again.
    pub(super) fn reread(&mut self, first: u64) {
        self.items.clear();
        self.aside.clear();
        (self.taken, self.known) = (first, first);
        self.look_again();
    }

    /// Nothing that is on its way will be reported: all of it begins again.
    pub(super) fn rewind(&mut self) {
        self.flying.clear();
        self.reread(self.delivered);
    }

    fn look_again(&mut self) {
        self.quest = Quest { page: Page::from(self.received.plus_us(-SLACK_US)), is_wide: false };
        self.is_sought = self.known < self.stored;
    }

    /// Where to look next for what is missing.
    pub(super) fn quest(&self) -> Quest {
        self.quest
    }

    /// It was looked through so far.
    pub(super) fn looked_upto(&mut self, page: Page) {
        self.quest.page = self.quest.page.max(page);
    }

    /// Everything was looked through and nothing found: once more, from much earlier on.
    pub(super) fn widen(&mut self) {
        self.quest = Quest { page: Page::from(self.received.plus_us(-WIDE_US)), is_wide: true };
    }

    /// How the store is to be told of it, if there is something to tell.
    pub(super) fn advance(&self, stream: StreamId) -> Option<Advance> {
        (self.delivered > self.committed).then_some(Advance {
            stream,
            from: self.committed,
            upto: self.delivered,
            received: self.received,
            fate: self.fate,
        })
    }

    /// The store was told.
    pub(super) fn committed(&mut self, upto: u64) {
        if upto == self.delivered {
            (self.committed, self.fate) = (upto, Fate::default());
        }
    }

    /// The first event that is neither found nor known to be missing.
    pub(super) fn known(&self, stream: StreamId) -> EventId {
        EventId { stream, seq: self.known }
    }

    pub(super) fn is_sought(&self) -> bool {
        self.is_sought
    }

    pub(super) fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// How many batches it remembers.
    pub(super) fn n_located(&self) -> usize {
        self.items.len() + self.aside.len()
    }

    /// Whether nothing is known of it that the store does not say.
    pub(super) fn is_idle(&self) -> bool {
        self.n_located() == 0
            && self.flying.is_empty()
            && self.committed == self.delivered
            && self.known >= self.stored
    }

    /// Whether nothing of it is on its way.
    pub(super) fn has_landed(&self) -> bool {
        self.flying.is_empty() && self.committed == self.delivered
    }

    /// Receipt of the oldest event that waits, or of one before it.
    pub(super) fn oldest(&self) -> Option<Stamp> {
        let first = self.flying.front().map(|flying| flying.received);
        first
            .or_else(|| self.items.front().map(|item| item.received))
            .or_else(|| self.is_sought.then_some(self.received))
    }
}

fn ends(located: &Located) -> (u64, u64) {
    let Entry { first_seq, n_events, .. } = located.entry;
    (first_seq, first_seq.saturating_add(u64::from(n_events)))
}

#[cfg(test)]
pub(super) mod tests;
