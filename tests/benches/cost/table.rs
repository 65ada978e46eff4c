//! The tables: a line for each watch, and one for each program of the sensor in the kernel.

use std::time::Duration;

use tests::pairs::{interval, median};

use super::kernel_time::{net_ns, ns_a_run, total};
use super::measure::Figure;
use super::rounds::Measured;
use super::watch::Watch;
use super::workload::Workload;

/// How many of a sensor's programs have a line of their own.
const PROGRAMS: usize = 12;
/// The most CPU that the sensor may use of what auditd uses.
const OF_AUDITD: f64 = 1.0 / 3.0;

/// What a watch takes of a host, in µs for each thing done, each a median.
struct Cost {
    /// Those who watch.
    own: f64,
    /// What the workload takes more than beside nothing in the same round.
    more: f64,
}

pub(crate) fn print(workload: Workload, all: &[Measured], empty_ns: f64, took: Duration) {
    let (about, each) = workload.about();
    let n_rounds = all[0].figures.len();
    println!("\n{}: {about}; {n_rounds} pairs, in {:.0} s", workload.name(), took.as_secs_f64());
    println!(
        "{:<20} {:>11} {:>7} {:>15} {:>8} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
        "",
        format!("{each}s/s"),
        "lost %",
        "95 % of it",
        "CPU %",
        "own µs",
        "kernel µs",
        "more µs",
        "all µs",
        "events",
        "lost"
    );
    for measured in all {
        line(measured, &all[0], empty_ns);
    }
    println!(
        "lost: 1 - the median ratio to nothing; CPU: own + kernel, of one core; own: the watching processes; kernel: \
         programs, net; more: what the workload takes more, kernel included; all: own + more; each for one {each}"
    );
    aims(workload, all);
    for measured in all.iter().filter(|measured| measured.watch != Watch::Auditd) {
        programs(measured, each, empty_ns);
    }
}

fn line(measured: &Measured, nothing: &Measured, empty_ns: f64) {
    let figures = &measured.figures;
    let of = |value: fn(&Figure) -> f64| median(&figures.iter().map(value).collect::<Vec<_>>()).unwrap();
    let per_second = of(|figure| figure.per_second);
    print!("{:<20} {per_second:>11.1}", measured.watch.name());
    if measured.watch == Watch::Nothing {
        return println!();
    }
    let losses = losses(measured, nothing);
    let bounds = match interval(&losses) {
        Some((low, high)) => format!("{low:.2} to {high:.2}"),
        None => "too few pairs".to_owned(),
    };
    let kernel_us = kernel_us(measured, empty_ns);
    let cpu = of(|figure| figure.own_share) + kernel_us * per_second / 1e6;
    let cost = cost(measured, nothing);
    // What audit does in the kernel is no program, and shows only in what the workload takes more.
    let kernel = match measured.watch {
        Watch::Auditd => "-".to_owned(),
        _ => format!("{kernel_us:.3}"),
    };
    println!(
        " {:>7.2} {bounds:>15} {:>8.2} {:>9.3} {kernel:>9} {:>9.3} {:>9.3} {:>8.2} {:>8.2}",
        median(&losses).unwrap(),
        cpu * 100.0,
        cost.own,
        cost.more,
        cost.own + cost.more,
        of(|figure| figure.told),
        of(|figure| figure.lost),
    );
}

/// What was lost in each round, in per cent.
fn losses(measured: &Measured, nothing: &Measured) -> Vec<f64> {
    let pairs = measured.figures.iter().zip(&nothing.figures);
    pairs.map(|(with, without)| (1.0 - with.per_second / without.per_second) * 100.0).collect()
}

fn cost(measured: &Measured, nothing: &Measured) -> Cost {
    let own: Vec<f64> = measured.figures.iter().map(|figure| figure.own_us).collect();
    let pairs = measured.figures.iter().zip(&nothing.figures);
    let more: Vec<f64> = pairs.map(|(with, without)| with.workload_us - without.workload_us).collect();
    Cost { own: median(&own).unwrap(), more: median(&more).unwrap() }
}

fn kernel_us(measured: &Measured, empty_ns: f64) -> f64 {
    net_ns(&measured.in_kernel, empty_ns) / 1e3 / measured.n_counted.max(1) as f64
}

fn aims(workload: Workload, all: &[Measured]) {
    let find = |watch| all.iter().find(|measured| measured.watch == watch);
    if let (Some(aim), Some(default)) = (workload.may_lose(), find(Watch::Default)) {
        let lost = median(&losses(default, &all[0])).unwrap();
        println!("aim: at most {aim} % lost in the default collection: {lost:.2} %{}", missed(lost <= aim));
    }
    let with = if workload.is_about_opens() { Watch::Everything } else { Watch::Default };
    if !workload.makes_events() {
        return;
    }
    if let (Some(sensor), Some(auditd)) = (find(with), find(Watch::Auditd)) {
        let [sensor, auditd] = [sensor, auditd].map(|measured| cost(measured, &all[0]));
        let share = (sensor.own + sensor.more) / (auditd.own + auditd.more);
        println!(
            "aim: at most {OF_AUDITD:.2} of auditd's CPU for the same ({}): {share:.2}{}",
            with.name(),
            missed(share <= OF_AUDITD)
        );
    }
}

fn missed(kept: bool) -> &'static str {
    if kept { "" } else { ": MISSED" }
}

fn programs(measured: &Measured, each: &str, empty_ns: f64) {
    if measured.in_kernel.is_empty() {
        return;
    }
    println!("programs in the kernel, {}:", measured.watch.name());
    println!(
        "    {:<18} {:>12} {:>10} {:>12} {:>9}",
        "",
        format!("runs/{each}"),
        "ns/run",
        format!("ns/{each}"),
        "net"
    );
    let n = measured.n_counted.max(1) as f64;
    for runs in measured.in_kernel.iter().take(PROGRAMS) {
        println!(
            "    {:<18} {:>12.2} {:>10.0} {:>12.1} {:>9.1}",
            runs.name,
            runs.n_runs as f64 / n,
            ns_a_run(runs),
            runs.time.as_nanos() as f64 / n,
            net_ns(std::slice::from_ref(runs), empty_ns) / n
        );
    }
    let n_runs: u64 = measured.in_kernel.iter().map(|runs| runs.n_runs).sum();
    let (all, per_run) = (total(&measured.in_kernel).as_nanos() as f64, n_runs.max(1) as f64);
    let net = net_ns(&measured.in_kernel, empty_ns) / n;
    println!(
        "    {:<18} {:>12.2} {:>10.0} {:>12.1} {net:>9.1}",
        "all",
        n_runs as f64 / n,
        all / per_run,
        all / n
    );
}
