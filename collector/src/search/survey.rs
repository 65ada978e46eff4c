//! Everything about what was found at once: what a rule would have hit.

use std::sync::Arc;

use wire::batch::{Batch, BatchError};
use wire::event::FlatEvent;
use wire::field::Field;
use wire::flat::Outer;
use wire::time::WallTime;

use super::examine::Located;
use super::gather::{self, Hit};
use super::histogram::{Bucket, Scale};
use super::newest::Newest;
use super::top::{Counts, Top};
use super::{Position, Search};

/// What is counted: on which hosts, by which programs, and what happened.
pub(super) const FIELDS: [Field; 3] = [Field::HostId, Field::ProcessExecutable, Field::EventAction];

/// How many values of each are told.
const MAX_VALUES: usize = 20;

/// Everything about what was found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How many events.
    pub n_events: u64,
    /// When the first and the last of them were, by their indexed times.
    pub range: Option<(WallTime, WallTime)>,
    /// The newest of them.
    pub events: Vec<FlatEvent>,
    /// How many over time.
    pub histogram: Vec<Bucket>,
    /// On which hosts, by id.
    pub hosts: Top,
    /// By which executables.
    pub executables: Top,
    /// Of which actions.
    pub actions: Top,
}

/// What was found so far.
#[derive(Clone, Debug)]
pub(super) struct Surveyed {
    newest: Newest<Hit>,
    range: Option<(WallTime, WallTime)>,
    n_events: u64,
    scale: Scale,
    counts: Vec<u64>,
    values: [Counts; 3],
}

impl Surveyed {
    pub(super) fn new(search: &Search, n_buckets: u32) -> Self {
        let scale = Scale::new(search.since, search.until, n_buckets);
        Self {
            newest: Newest::new(search.limit, None),
            range: None,
            n_events: 0,
            scale,
            counts: vec![0; scale.len()],
            values: FIELDS.map(Counts::new),
        }
    }

    pub(super) fn take(
        &mut self,
        batch: &Batch,
        outer: &Outer,
        located: &Arc<Located>,
        selected: &[u32],
        times: &[(u32, WallTime)],
    ) -> Result<(), BatchError> {
        self.n_events += selected.len() as u64;
        let all = || times.iter().map(|(_, time)| *time);
        self.widen(all().min().zip(all().max()));
        gather::list(&mut self.newest, located, times.iter().copied());
        gather::count(self.scale, &mut self.counts, all());
        self.values.iter_mut().try_for_each(|counts| counts.take(batch, outer, selected))
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.n_events += other.n_events;
        self.widen(other.range);
        other.newest.into_items().for_each(|(position, hit)| self.newest.offer(position, hit));
        self.counts.iter_mut().zip(other.counts).for_each(|(count, other)| *count += other);
        self.values.iter_mut().zip(other.values).for_each(|(counts, other)| counts.merge(other));
    }

    fn widen(&mut self, other: Option<(WallTime, WallTime)>) {
        self.range = match (self.range, other) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (range, other) => range.or(other),
        };
    }

    /// The events that are listed, and what makes a survey of them.
    pub(super) fn finish(self) -> (Vec<(Position, Hit)>, impl FnOnce(Vec<FlatEvent>) -> Survey) {
        let Self { newest, range, n_events, scale, counts, values } = self;
        let finish = move |events| {
            let [hosts, executables, actions] = values.map(|counts| counts.finish(MAX_VALUES));
            Survey { n_events, range, events, histogram: scale.buckets(&counts), hosts, executables, actions }
        };
        (newest.into_items().collect(), finish)
    }
}
