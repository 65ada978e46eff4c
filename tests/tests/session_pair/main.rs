//! The two session machines against each other, under virtual time.
//!
//! The real outbox, the real frames, the real machines; the network, the store and the clock are
//! modelled. Each seed is one history of seals, reorderings between streams, lost connections, restarts
//! of either side, refused batches and a store that is away. At the end the world is left in peace,
//! and everything must be accounted for.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod network;
mod store;
mod world;

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
