//! What is kept of what was found.

use std::sync::Arc;

use wire::batch::{Batch, BatchError};
use wire::flat::Outer;
use wire::id::EventId;
use wire::time::{BootTime, WallTime, indexed_time};

use super::examine::Located;
use super::histogram::Scale;
use super::newest::Newest;
use super::survey::Surveyed;
use super::top::Counts;
use super::{Gathering, Position, Search};

/// An event that was found, not yet read.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) located: Arc<Located>,
    /// Its number within the batch.
    pub(super) number: u32,
}

/// What a search keeps; each thread has its own, and they are merged.
#[derive(Clone, Debug)]
pub(super) enum Gather {
    Events(Newest<Hit>),
    Histogram { scale: Scale, counts: Vec<u64> },
    Top(Counts),
    Survey(Box<Surveyed>),
}

impl Gather {
    /// Empty.
    pub(super) fn new(search: &Search) -> Self {
        match search.gathering {
            Gathering::Events => Gather::Events(Newest::new(search.limit, search.after)),
            Gathering::Histogram { n_buckets } => {
                let scale = Scale::new(search.since, search.until, n_buckets);
                Gather::Histogram { scale, counts: vec![0; scale.len()] }
            }
            Gathering::Top { field } => Gather::Top(Counts::new(field)),
            Gathering::Survey { n_buckets } => Gather::Survey(Box::new(Surveyed::new(search, n_buckets))),
        }
    }

    /// Adds what another has.
    pub(super) fn merge(&mut self, other: Gather) {
        match (self, other) {
            (Gather::Events(newest), Gather::Events(other)) => {
                other.into_items().for_each(|(position, hit)| newest.offer(position, hit));
            }
            (Gather::Histogram { counts, .. }, Gather::Histogram { counts: other, .. }) => {
                counts.iter_mut().zip(other).for_each(|(count, other)| *count += other);
            }
            (Gather::Top(counts), Gather::Top(other)) => counts.merge(other),
            (Gather::Survey(survey), Gather::Survey(other)) => survey.merge(*other),
            _ => {}
        }
    }

    /// Events to which nothing newer can come any more, beyond those handed out: see [`Newest::settled`].
    pub(super) fn settled(&self, unseen: Option<WallTime>, handed: Option<Position>) -> Vec<(Position, Hit)> {
        match self {
            Gather::Events(newest) => {
                newest.settled(unseen, handed).map(|(position, hit)| (position, hit.clone())).collect()
            }
            Gather::Histogram { .. } | Gather::Top(_) | Gather::Survey(_) => Vec::new(),
        }
    }

    /// How many events have been listed, those that had to make room again too.
    pub(super) fn n_listed(&self) -> u64 {
        match self {
            Gather::Events(newest) => newest.n_taken(),
            Gather::Histogram { .. } | Gather::Top(_) | Gather::Survey(_) => 0,
        }
    }

    /// Events before this no longer matter.
    pub(super) fn floor(&self) -> Option<WallTime> {
        match self {
            Gather::Events(newest) => newest.floor(),
            Gather::Histogram { .. } | Gather::Top(_) | Gather::Survey(_) => None,
        }
    }

    /// Keeps what matters of a batch's matching events (their numbers within it, ascending).
    pub(super) fn take(
        &mut self,
        search: &Search,
        batch: &Batch,
        outer: &Outer,
        located: &Arc<Located>,
        mut selected: Vec<u32>,
    ) -> Result<(), BatchError> {
        if selected.is_empty() {
            return Ok(());
        }
        let (times, clock) = (batch.times()?, batch.header().clock);
        let time = |number: u32| {
            let ns = times.get(number as usize).copied().unwrap_or_default();
            indexed_time(clock.timestamp(BootTime::from_ns(ns)), outer.received)
        };
        let entry = &located.entry;
        if entry.earliest.wall() < search.since || entry.latest.wall() > search.until {
            selected.retain(|number| (search.since..=search.until).contains(&time(*number)));
        }
        match self {
            Gather::Events(newest) => list(newest, located, selected.into_iter().map(|n| (n, time(n)))),
            Gather::Histogram { scale, counts } => count(*scale, counts, selected.into_iter().map(time)),
            Gather::Top(counts) => counts.take(batch, outer, &selected)?,
            Gather::Survey(survey) => {
                let times: Vec<(u32, WallTime)> = selected.iter().map(|n| (*n, time(*n))).collect();
                survey.take(batch, outer, located, &selected, &times)?;
            }
        }
        Ok(())
    }
}

/// Offers a batch's events, by their numbers within it, to what is listed.
pub(super) fn list(
    newest: &mut Newest<Hit>,
    located: &Arc<Located>,
    found: impl Iterator<Item = (u32, WallTime)>,
) {
    let entry = &located.entry;
    for (number, time) in found {
        let seq = entry.first_seq.saturating_add(u64::from(number));
        let position = Position { time, id: EventId { stream: entry.stream, seq } };
        if newest.wants(position) {
            newest.offer(position, Hit { located: Arc::clone(located), number });
        }
    }
}

/// Counts moments.
pub(super) fn count(scale: Scale, counts: &mut [u64], found: impl Iterator<Item = WallTime>) {
    for time in found {
        if let Some(count) = scale.place(time).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
}
