//! Ways to offer a load: as much as is taken, or so many events a second.

use std::time::{Duration, Instant};

use wire::frame::data::Batch;

use crate::batches::Load;
use crate::fleet::Fleet;

/// How often the outboxes are looked at: the times are as exact as this, and looking at thousands costs time.
fn look_every(fleet: &Fleet) -> Duration {
    Duration::from_millis(if fleet.hosts.len() > 500 { 20 } else { 5 })
}

/// How long after the last batch was written, or at full speed after the first, all have to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(90);

/// What came of a load.
pub(crate) struct Offered {
    /// From the first batch written to the last acknowledged.
    pub(crate) took: Duration,
    /// For each batch, from written to acknowledged; ascending. What is not acknowledged at the end counts with
    /// the time it has waited.
    pub(crate) acknowledged: Vec<Duration>,
    /// How many batches were not acknowledged in the end: the load was too much.
    pub(crate) n_left: usize,
}

impl Offered {
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let at = (self.acknowledged.len() * percent / 100).min(self.acknowledged.len() - 1);
        self.acknowledged[at].as_secs_f64() * 1e3
    }
}

/// Sends what comes before the measurement.
pub(crate) fn warm_up(fleet: &mut Fleet, loads: &[Load]) {
    let batches = loads.iter().map(|load| load.warm.iter()).collect();
    let offered = send(fleet, batches, 200);
    assert_eq!(
        offered.n_left, 0,
        "batches before the measurement that were not acknowledged in {PATIENCE:?}"
    );
}

/// As fast as batches are acknowledged, with at most `most` on the way, shared out evenly.
pub(crate) fn as_taken(fleet: &mut Fleet, loads: &[Load], most: usize) -> Offered {
    send(fleet, loads.iter().map(|load| load.measured.iter()).collect(), most)
}

fn send(fleet: &mut Fleet, mut rest: Vec<std::slice::Iter<'_, Batch>>, most: usize) -> Offered {
    let (start, mut acknowledged) = (Instant::now(), Vec::new());
    let look_every = look_every(fleet);
    let most_a_host = most.div_ceil(fleet.hosts.len());
    // Where to go on: the hosts take turns.
    let mut turn = 0;
    while rest.iter().any(|batches| batches.len() > 0) && start.elapsed() < PATIENCE {
        let now = Instant::now();
        fleet.hosts.iter_mut().for_each(|host| host.look(now, &mut acknowledged));
        let mut room = most.saturating_sub(fleet.n_unacknowledged());
        for _ in 0..fleet.hosts.len() {
            turn = (turn + 1) % fleet.hosts.len();
            let host = &mut fleet.hosts[turn];
            while room > 0
                && host.unacknowledged.len() < most_a_host
                && let Some(batch) = rest[turn].next()
            {
                host.write(batch);
                room -= 1;
            }
            if room == 0 {
                break;
            }
        }
        std::thread::sleep(look_every);
    }
    drain(fleet, &mut acknowledged);
    let mut offered = finished(fleet, start, acknowledged);
    offered.n_left += rest.iter().map(|batches| batches.len()).sum::<usize>();
    offered
}

/// All hosts in turn write a batch, so many events a second together, whatever becomes of them. `when_offered` is told
/// when the last is written: how long that took, and how many are acknowledged.
pub(crate) fn at_rate(
    fleet: &mut Fleet,
    loads: &[Load],
    events_per_s: u64,
    when_offered: impl FnOnce(&Fleet, Duration, usize),
) -> Offered {
    let (start, mut acknowledged) = (Instant::now(), Vec::new());
    let n_batches = loads.iter().map(|load| load.measured.len()).max().unwrap_or(0);
    let turns = (0..n_batches)
        .flat_map(|turn| loads.iter().enumerate().map(move |(n, load)| (n, load.measured.get(turn))));
    let look_every = look_every(fleet);
    let (mut due, mut looked) = (Duration::ZERO, start);
    for (n, batch) in turns {
        let Some(batch) = batch else { continue };
        loop {
            if looked.elapsed() >= look_every {
                looked = Instant::now();
                fleet.hosts.iter_mut().for_each(|host| host.look(looked, &mut acknowledged));
            }
            let early = due.saturating_sub(start.elapsed());
            if early.is_zero() {
                break;
            }
            std::thread::sleep(early.min(look_every));
        }
        fleet.hosts[n].write(batch);
        due += Duration::from_secs_f64(f64::from(batch.n_events) / events_per_s as f64);
    }
    when_offered(fleet, start.elapsed(), acknowledged.len());
    drain(fleet, &mut acknowledged);
    finished(fleet, start, acknowledged)
}

fn drain(fleet: &mut Fleet, acknowledged: &mut Vec<Duration>) {
    let start = Instant::now();
    while fleet.n_unacknowledged() > 0 && start.elapsed() < PATIENCE {
        let now = Instant::now();
        fleet.hosts.iter_mut().for_each(|host| host.look(now, acknowledged));
        std::thread::sleep(look_every(fleet));
    }
}

fn finished(fleet: &Fleet, start: Instant, mut acknowledged: Vec<Duration>) -> Offered {
    let took = start.elapsed();
    let n_acknowledged = acknowledged.len();
    let left = fleet.hosts.iter().flat_map(|host| &host.unacknowledged);
    acknowledged.extend(left.map(|(_, written)| written.elapsed()));
    acknowledged.sort_unstable();
    Offered { took, n_left: acknowledged.len() - n_acknowledged, acknowledged }
}
