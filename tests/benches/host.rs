//! What a sensor costs its host: CPU, memory, and the slow-down of a fork and exec loop beside bpftrace.
//!
//! Run as root by `make bench BENCH=host`. Each figure is a median of interleaved rounds in one run. The variable
//! `PARTS` names the parts to run, of `slow_down load searchable memory`; all of them without it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

#[path = "host/many.rs"]
mod many;
#[path = "host/tiny.rs"]
mod tiny;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use many::Many;
use tests::bpftrace::{PROCESSES as TRACE, Trace};
use tests::group::Group;
use tests::loops::{execute, repeat};
use tests::skip::{needs_root, skip};
use tests::stack::Stack;
use tests::usage::{cpu, rss_anon_kib};
use tests::wait::until;
use tests::watcher::Watcher;
use tiny::Deed;

/// The sensor's name on this host.
const NAME: &str = "bench";
const ROUNDS: usize = 5;
const EXECS_A_ROUND: u64 = 2_000;
const RATES: [u64; 3] = [0, 1_000, 10_000];
const RATE_SECONDS: u64 = 10;
/// How many threads make the load: more than there are cores, as each waits for its child most of the time.
const WORKERS: u64 = 16;
/// How many processes the sensor is to know.
const PROCESSES: usize = 50_000;

fn main() {
    if !needs_root("bench host") {
        return;
    }
    let group = Group::new("bench").unwrap();
    let stack = Stack::up(&["--no-sensor"]).unwrap();
    let host = Watcher::enroll(&stack, NAME, &group).unwrap();
    std::fs::write(group.path().join("cgroup.procs"), std::process::id().to_string()).unwrap();

    let wanted = std::env::var("PARTS").unwrap_or_default();
    let wants = |part: &str| wanted.is_empty() || wanted.split_whitespace().any(|name| name == part);
    if wants("slow_down") {
        slow_down(&host);
    }
    if wants("load") {
        load(&host);
    }
    if wants("searchable") {
        searchable(&host, &stack);
    }
    if wants("memory") {
        memory(&host, &stack);
    }
    let root = group.path().parent().unwrap().join("cgroup.procs");
    std::fs::write(root, std::process::id().to_string()).unwrap();
    host.unload().unwrap();
}

fn slow_down(host: &Watcher) {
    let mut figures = [const { Vec::new() }; 3];
    exec_loop(EXECS_A_ROUND);
    for _ in 0..ROUNDS {
        figures[0].push(exec_loop(EXECS_A_ROUND));
        let sensor = host.start(&[], &[]).unwrap();
        figures[1].push(exec_loop(EXECS_A_ROUND));
        host.stop(sensor).unwrap();
        if let Ok(_trace) = Trace::start(TRACE) {
            figures[2].push(exec_loop(EXECS_A_ROUND));
        }
    }
    let off = median(&mut figures[0]);
    println!(
        "fork, exec and wait of /bin/true, {EXECS_A_ROUND} a round, median of {ROUNDS} interleaved rounds"
    );
    println!("{:<28} {:>10} {:>8}", "", "µs each", "ratio");
    for (name, figures) in ["nothing", "vedette-sensor", "bpftrace, the same trace"].iter().zip(&mut figures)
    {
        if figures.is_empty() {
            println!("{name:<28} SKIPPED: bpftrace is not installed");
            continue;
        }
        let each = median(figures);
        println!("{name:<28} {:>10.1} {:>8.3}", each / 1e3, each / off);
    }
}

/// ns for each fork, exec and wait of /bin/true.
fn exec_loop(n: u64) -> f64 {
    repeat(n, execute).took.as_nanos() as f64 / n as f64
}

fn load(host: &Watcher) {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let program = dir.path().join("tiny");
    tiny::write(&program, Deed::Exit).unwrap();
    println!(
        "\nthe sensor's own CPU and memory under execs of a program that ends at once (CPU is of one core)"
    );
    println!(
        "{:>14} {:>14} {:>10} {:>12} {:>14}",
        "asked execs/s", "done execs/s", "CPU", "µs an exec", "RssAnon KiB"
    );
    let sensor = host.start(&[], &[]).unwrap();
    for rate in RATES {
        let (before, start) = (cpu(sensor.id()), Instant::now());
        let end = start + Duration::from_secs(RATE_SECONDS);
        let n_done = paced(&program, rate, end);
        let (used, seconds) = ((cpu(sensor.id()) - before).as_secs_f64(), start.elapsed().as_secs_f64());
        println!(
            "{rate:>14} {:>14.0} {:>9.2}% {:>12.1} {:>14}",
            n_done as f64 / seconds,
            used / seconds * 100.0,
            used * 1e6 / n_done.max(1) as f64,
            rss_anon_kib(sensor.id())
        );
    }
    host.stop(sensor).unwrap();
}

/// Runs the program at this rate until `end`; how often it ran. A thread's child is started by vfork, so that
/// the load is the program's and not the copying of this process.
fn paced(program: &Path, rate: u64, end: Instant) -> u64 {
    let start = Instant::now();
    let worker = || {
        let mut n_done = 0;
        while Instant::now() < end {
            let n_due = (start.elapsed().as_secs_f64() * rate as f64) as u64 / WORKERS;
            if n_done >= n_due {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            assert!(Command::new(program).env_clear().status().unwrap().success());
            n_done += 1;
        }
        n_done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

fn searchable(host: &Watcher, stack: &Stack) {
    let sensor = host.start(&[], &[]).unwrap();
    let mut took: Vec<f64> = (0..100)
        .map(|i| {
            let mark = format!("bench-mark-{i}");
            let start = Instant::now();
            assert!(Command::new("/bin/true").arg(&mark).status().unwrap().success());
            until("the exec is found", Duration::from_secs(20), || {
                let found = stack.search(&format!("process.args:{mark} and event.action:exec")).unwrap();
                (!found.is_empty()).then_some(())
            });
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("\nexec to searchable (by `vedette search` every 50 ms, {} execs)", took.len());
    println!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", took[49], took[98], took[99]);
    host.stop(sensor).unwrap();
}

/// The sensor's memory while it knows many processes: that it saw start, and that it found at its own start.
fn memory(host: &Watcher, stack: &Stack) {
    let sensor = host.start(&[], &[]).unwrap();
    println!(
        "\nthe sensor's memory with {PROCESSES} processes of {PROCESSES} command lines alive: RssAnon KiB"
    );
    println!("{:<44} {:>8}", "before them", rss_anon_kib(sensor.id()));
    let many = match Many::start(PROCESSES) {
        Ok(many) => many,
        Err(reason) => {
            host.stop(sensor).unwrap();
            return skip("bench host memory", &reason);
        }
    };
    let last = format!("process.args:{} and event.action:exec", PROCESSES - 1);
    until("the last process is found", Duration::from_secs(120), || {
        (!stack.search(&last).unwrap().is_empty()).then_some(())
    });
    println!("{:<44} {:>8}", "when it has seen them start", settled(&sensor));
    host.stop(sensor).unwrap();
    let sensor = host.start(&[], &[]).unwrap();
    println!("{:<44} {:>8}", "when it found them at its own start", settled(&sensor));
    drop(many);
    println!("{:<44} {:>8}", "when they have ended", settled(&sensor));
    host.stop(sensor).unwrap();
}

/// RssAnon a while after the last event, when batches are acknowledged and grace has passed.
fn settled(sensor: &Child) -> u64 {
    std::thread::sleep(Duration::from_secs(10));
    rss_anon_kib(sensor.id())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
