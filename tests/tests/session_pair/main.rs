//! The two session machines against each other, under virtual time.
//!
//! The real outbox, the real frames, the real machines; the network, the store, the disk and the clock are
//! modelled. Each seed is one history of seals, reorderings between streams, lost connections, restarts
//! of either side, refused batches and a store that is away. At the end the world is left in peace,
//! and everything must be accounted for.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod disk;
mod network;
mod store;
mod world;

use std::collections::{BTreeMap, HashSet};

use world::{Chaos, World};

/// How many histories each test plays; `VEDETTE_SEEDS` plays more, `VEDETTE_SEED` one alone.
fn seeds() -> std::ops::Range<u64> {
    let set = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    match set("VEDETTE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..set("VEDETTE_SEEDS").unwrap_or(40),
    }
}

/// One history to its end, with everything accounted for.
fn history(seed: u64, chaos: Chaos, n_steps: usize) -> World {
    let mut world = World::new(seed, chaos);
    (0..n_steps).for_each(|_| world.step());
    world.settle();
    world.check_all_accounted_for();
    world
}

/// How many histories of the spool are played, besides.
fn spool_seeds() -> std::ops::Range<u64> {
    match std::env::var("VEDETTE_SEEDS").or(std::env::var("VEDETTE_SEED")) {
        Ok(_) => seeds(),
        Err(_) => 0..500,
    }
}

fn play(chaos: Chaos, n_steps: usize) {
    seeds().for_each(|seed| drop(history(seed, chaos, n_steps)));
}

#[test]
fn a_calm_world_stores_everything_on_one_connection() {
    let chaos = Chaos::default();
    for seed in seeds() {
        let world = history(seed, chaos, 600);
        assert_eq!(world.n_connections(), 1, "seed {seed}");
        assert_eq!(world.n_resends(), 0, "seed {seed}");
    }
}

#[test]
fn lost_connections_lose_nothing_acknowledged() {
    play(Chaos { disconnects: true, ..Chaos::default() }, 800);
}

#[test]
fn a_store_that_comes_and_goes_loses_nothing() {
    play(Chaos { store_is_away: true, ..Chaos::default() }, 800);
}

#[test]
fn restarts_of_either_side_lose_nothing_sealed() {
    play(
        Chaos { sensor_restarts: true, collector_restarts: true, disconnects: true, ..Chaos::default() },
        800,
    );
}

#[test]
fn refused_batches_are_booked_and_passed() {
    play(Chaos { poison: true, disconnects: true, ..Chaos::default() }, 800);
}

#[test]
fn new_epochs_go_live_at_once_and_old_ones_drain() {
    play(Chaos { new_epochs: true, disconnects: true, ..Chaos::default() }, 800);
}

#[test]
fn what_is_shed_leaves_a_tombstone() {
    play(Chaos { small_outbox: true, disconnects: true, store_is_away: true, ..Chaos::default() }, 800);
}

/// A program that was stopped, or got no CPU, finds what was sent to it and does not take its own absence for the other
/// side's. A collector is stopped for longer than a sensor waits that was not disappointed before.
#[test]
fn who_is_paused_keeps_the_session() {
    let sensor = Chaos { sensor_pauses: true, patience: 1, ..Chaos::default() };
    let collector = Chaos { collector_pauses: true, patience: 4, ..Chaos::default() };
    for chaos in [sensor, collector] {
        let mut n_pauses = 0;
        for seed in seeds() {
            let world = history(seed, chaos, 800);
            assert_eq!(world.n_connections(), 1, "seed {seed}");
            n_pauses += world.n_pauses();
        }
        assert!(n_pauses as usize > seeds().count(), "hardly anyone was paused");
    }
}

#[test]
fn an_impatient_sensor_leaves_a_paused_collector_and_loses_nothing() {
    play(Chaos { collector_pauses: true, sensor_pauses: true, disconnects: true, ..Chaos::default() }, 800);
}

/// What the database forgot and the sensor no longer holds becomes a tombstone; the rest is sent anew.
#[test]
fn a_restored_database_stops_nobody() {
    let mut n_forgotten = 0;
    for seed in seeds() {
        let world = history(seed, Chaos { store_is_restored: true, ..Chaos::default() }, 800);
        n_forgotten += world.n_forgotten();
    }
    assert!(n_forgotten > 0, "a database was never restored to before an acknowledgement");
}

#[test]
fn everything_at_once() {
    play(Chaos::ALL, 1500);
}

/// What was reached by many histories.
#[derive(Default)]
struct Reached {
    faults: BTreeMap<&'static str, u64>,
    states: HashSet<u64>,
    n_in_doubt: u64,
}

impl Reached {
    fn add(&mut self, world: &World) {
        for (fault, n) in world.n_reached() {
            *self.faults.entry(fault).or_default() += n;
        }
        self.states.extend(world.states());
        self.n_in_doubt += world.n_in_doubt();
    }

    fn print(&self, n_histories: u64) {
        let faults: Vec<String> = self.faults.iter().map(|(fault, n)| format!("{fault} {n}")).collect();
        println!(
            "{n_histories} histories, {} distinct states, {} events in doubt after memory was lost; faults: {}",
            self.states.len(),
            self.n_in_doubt,
            faults.join(", ")
        );
    }
}

/// Histories on all CPUs, each for itself.
fn play_spool(seeds: std::ops::Range<u64>, chaos: impl Fn(u64) -> Chaos + Sync) -> Reached {
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let (chaos, first, end) = (&chaos, seeds.start, seeds.end);
    let n_histories = end - first;
    let mut reached = Reached::default();
    std::thread::scope(|scope| {
        let play = |n: u64| {
            move || {
                let mut reached = Reached::default();
                let mine = (first + n..end).step_by(n_threads as usize);
                mine.for_each(|seed| reached.add(&history(seed, chaos(seed), 400)));
                reached
            }
        };
        let threads: Vec<_> = (0..n_threads).map(|n| scope.spawn(play(n))).collect();
        for thread in threads {
            let of_thread = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            of_thread
                .faults
                .into_iter()
                .for_each(|(fault, n)| *reached.faults.entry(fault).or_default() += n);
            reached.states.extend(of_thread.states);
            reached.n_in_doubt += of_thread.n_in_doubt;
        }
    });
    reached.print(n_histories);
    reached
}

/// Each history has faults of its own: alone they show what together would be hidden, as a disk that fails once is not used again.
#[test]
fn a_spool_on_disk_loses_nothing_durable() {
    let chaos = |seed: u64| {
        let may = |bit: u32| seed >> bit & 1 == 1;
        Chaos {
            has_disk: true,
            outages: true,
            disconnects: true,
            power_cuts: may(0),
            disk_errors: may(1),
            disk_fills: may(2),
            disk_rots: may(3),
            disk_is_slow: may(4),
            memory_losses: may(5),
            sensor_stops: may(6),
            small_outbox: may(7),
            sensor_restarts: may(8),
            new_epochs: may(5),
            store_is_away: may(6),
            poison: may(7),
            ..Chaos::default()
        }
    };
    let reached = play_spool(spool_seeds(), chaos);
    if spool_seeds().count() >= 500 {
        assert!(reached.states.len() > 1000, "{} distinct states", reached.states.len());
        assert!(reached.faults.len() >= 20, "{:?}", reached.faults);
        assert!(reached.n_in_doubt > 0, "a power cut never took anything");
    }
}

#[test]
fn a_spool_on_disk_survives_everything_at_once() {
    let n = if spool_seeds().count() == 500 { 100 } else { spool_seeds().count() as u64 };
    play_spool(spool_seeds().start..spool_seeds().start + n, |_| Chaos::SPOOL);
}
