//! A workload beside nothing and beside each watch, in rounds: what is compared is always of one round.

use std::time::Instant;

use tests::pairs::order;
use tests::skip::skip;
use vedette_sensor::probe::Runs;

use super::kernel_time::{during, loaded};
use super::measure::{Figure, measure};
use super::site::Site;
use super::table;
use super::watch::Watch;
use super::worker;
use super::workload::Workload;

/// All that was measured of one watch: a figure a round, and what its programs in the kernel took in one more.
pub(crate) struct Measured {
    pub(crate) watch: Watch,
    pub(crate) figures: Vec<Figure>,
    pub(crate) in_kernel: Vec<Runs>,
    /// How much was done in that one.
    pub(crate) n_counted: u64,
}

pub(crate) fn run(site: &Site, workload: Workload, watches: &[Watch], n_rounds: usize) {
    let start = Instant::now();
    workload.prepare(site.scratch()).unwrap();
    let can = |watch: &Watch| match watch.missing() {
        Some(reason) => {
            skip(&format!("bench cost {} {}", workload.name(), watch.short()), &reason);
            false
        }
        None => true,
    };
    let watches: Vec<Watch> = watches.iter().copied().filter(can).collect();
    // What is read from disk for the first time is not measured.
    worker::run(site, workload).unwrap();
    let mut figures = vec![Vec::new(); watches.len()];
    for round in 0..n_rounds {
        for at in order(round, watches.len()) {
            figures[at].push(measure(site, workload, watches[at]).unwrap());
        }
    }
    let all: Vec<Measured> = watches
        .into_iter()
        .zip(figures)
        .map(|(watch, figures)| {
            let (n_counted, in_kernel) = count(site, workload, watch);
            Measured { watch, figures, in_kernel, n_counted }
        })
        .collect();
    table::print(workload, &all, site.empty_ns, start.elapsed());
}

/// Once more, while the kernel counts what its programs take: that is not free, so it is no part of the rounds.
fn count(site: &Site, workload: Workload, watch: Watch) -> (u64, Vec<Runs>) {
    let known = loaded().unwrap();
    let watching = watch.start(site, workload.is_about_opens()).unwrap();
    worker::prime(site, workload).unwrap();
    watching.settle();
    let (worked, ran) = during(&known, || worker::run(site, workload).unwrap()).unwrap();
    drop(watching);
    (worked.done.n, ran)
}
