//! A small fleet that things go wrong with: whatever is killed, frozen, cut off, slowed or filled up, what was
//! acknowledged is stored, once, and what is not stored is counted.
//!
//! `VEDETTE_SEED=n` plays what is left to chance as run n did. `VEDETTE_FAULTS=a,b` plays these kinds; `all` every kind.
//! `VEDETTE_PAIRS=n` plays n pairs of kinds at a time besides.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod fault;
mod verdict;

use std::time::Instant;

use rand::seq::IndexedRandom as _;

use fault::{Fault, Leaves};
use tests::site::Site;
use tests::site::pace::lasts;

const N_HOSTS: usize = 4;
/// Those that every run of the tests plays.
const SHORT: &[&str] = &[
    "partition",
    "collector_killed",
    "sensor_killed",
    "database_killed",
    "database_connections_cut",
    "commits_fail",
];

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_stored_twice() {
    let set = |name: &str| std::env::var(name).ok();
    let seed = set("VEDETTE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let alone: Vec<Fault> = match set("VEDETTE_FAULTS").as_deref() {
        Some("all") => fault::ALL.to_vec(),
        Some(names) => names.split(',').filter(|name| !name.is_empty()).map(fault::named).collect(),
        None => SHORT.iter().map(|name| fault::named(name)).collect(),
    };
    let n_pairs = set("VEDETTE_PAIRS").and_then(|n| n.parse().ok()).unwrap_or(0);
    println!("VEDETTE_SEED={seed}");
    let mut site = Site::start(N_HOSTS, seed).expect("the site starts");
    println!("{:52} {:>6} {:>6} {:>6} {:>6} {:>8}", "fault", "made", "found", "acked", "gone", "drain ms");
    let mut failed = Vec::new();
    for fault in &alone {
        failed.extend(play(&mut site, &[*fault]));
    }
    for _ in 0..n_pairs {
        let pair: Vec<Fault> = fault::ALL.choose_multiple(&mut site.random, 2).copied().collect();
        failed.extend(play(&mut site, &pair));
    }
    assert!(
        failed.is_empty(),
        "VEDETTE_SEED={seed}: {} of {} failed:\n{}",
        failed.len(),
        alone.len() + n_pairs,
        failed.join("\n")
    );
}

/// Plays these faults at a time; says what is wrong afterwards, if anything is.
fn play(site: &mut Site, faults: &[Fault]) -> Option<String> {
    let name = faults.iter().map(|fault| fault.name).collect::<Vec<_>>().join(" + ");
    let leaves = faults.iter().map(|fault| fault.leaves).max().unwrap_or(Leaves::Nothing);
    let played = (|| {
        site.begin_round()?;
        lasts(std::time::Duration::from_secs(1));
        let mut mends = Vec::new();
        for fault in faults {
            mends.push((fault.begin)(site)?);
        }
        let began = Instant::now();
        let how_long = faults.iter().map(|fault| fault.lasts).max().unwrap_or_default();
        lasts(how_long.saturating_sub(began.elapsed()));
        // In the order in which they began: a database is there before what was killed beside it.
        for mend in mends {
            mend(site)?;
        }
        site.wait_until_going()?;
        let drained = site.end_round()?;
        let tally = verdict::judge(site, leaves)?;
        anyhow::Ok((drained, tally))
    })();
    match played {
        Ok((drained, tally)) => {
            println!(
                "{name:52} {:6} {:6} {:6} {:6} {:8}",
                tally.made,
                tally.found,
                tally.acknowledged,
                tally.counted,
                drained.as_millis()
            );
            None
        }
        Err(error) => {
            println!("{name:52} FAILED: {error:#}\n{}", site.words());
            Some(format!("{name}: {error:#}"))
        }
    }
}
