//! What the kernel's own statistics say of its programs while something happens.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::bpftrace::Trace;
use vedette_sensor::probe::{Counting, ProbeError, Runs};

use super::worker::{self, Deed};

const EMPTY_RUNS: u64 = 1_000_000;

/// The programs that are loaded now.
pub(crate) fn loaded() -> Result<BTreeSet<u32>, ProbeError> {
    Ok(Counting::begin()?.runs()?.into_iter().map(|runs| runs.id).collect())
}

/// Counts the runs of all programs that are not `known` while `deed` happens; those that ran, the costliest first.
pub(crate) fn during<T>(
    known: &BTreeSet<u32>,
    deed: impl FnOnce() -> T,
) -> Result<(T, Vec<Runs>), ProbeError> {
    let counting = Counting::begin()?;
    let before = counting.runs()?;
    let done = deed();
    let after = counting.runs()?;
    Ok((done, difference(before, after, known)))
}

fn difference(before: Vec<Runs>, after: Vec<Runs>, known: &BTreeSet<u32>) -> Vec<Runs> {
    let of_before = |id| before.iter().find(|runs| runs.id == id);
    // Those that came meanwhile are somebody else's.
    let mut ran: Vec<Runs> = after
        .into_iter()
        .filter(|runs| !known.contains(&runs.id))
        .filter_map(|runs| {
            let then = of_before(runs.id)?;
            Some(Runs { n_runs: runs.n_runs - then.n_runs, time: runs.time - then.time, ..runs })
        })
        .filter(|runs| runs.n_runs > 0)
        .collect();
    ran.sort_by_key(|runs| std::cmp::Reverse(runs.time));
    ran
}

/// All of it.
pub(crate) fn total(ran: &[Runs]) -> Duration {
    ran.iter().map(|runs| runs.time).sum()
}

/// ns of all of it, without what measuring adds to each run.
pub(crate) fn net_ns(ran: &[Runs], empty_ns: f64) -> f64 {
    ran.iter().map(|runs| (runs.time.as_nanos() as f64 - runs.n_runs as f64 * empty_ns).max(0.0)).sum()
}

/// ns of each run.
pub(crate) fn ns_a_run(runs: &Runs) -> f64 {
    runs.time.as_nanos() as f64 / runs.n_runs.max(1) as f64
}

/// ns that the statistics show of a program that does nothing.
pub(crate) fn empty_ns() -> anyhow::Result<f64> {
    let known = loaded()?;
    let trace = Trace::start("tracepoint:syscalls:sys_enter_openat { }")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(worker::repeating(Deed::Open, EMPTY_RUNS, Path::new("/dev/null")));
    let (worked, ran) = during(&known, || worker::finish(&mut command))?;
    drop(trace);
    worked?;
    let runs = ran.iter().max_by_key(|runs| runs.n_runs);
    runs.map(ns_a_run).ok_or_else(|| anyhow::anyhow!("no program of bpftrace's ran"))
}
