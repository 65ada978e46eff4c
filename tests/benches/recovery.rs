//! Coming back: a fleet whose collector was away for half an hour, and a fleet that all comes back at once.
//!
//! Run by `make bench BENCH=recovery`. Hosts with the sensor's own outbox and uplink in this process; the real collector
//! and a durable PostgreSQL in theirs. `HOSTS` (1000) have a backlog of `BATCHES` (360) batches of 20 events: one every 5 s
//! for half an hour. While it drains, each goes on with a batch every 5 s, and how long these take is told. Then `STORM` (10000)
//! idle hosts lose their collector by `kill -9` and find it again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

#[path = "uplink/batches.rs"]
#[expect(dead_code, reason = "another benchmark needs more of it")]
mod batches;
#[path = "uplink/collector.rs"]
#[expect(dead_code, reason = "another benchmark needs more of it")]
mod collector;
#[path = "uplink/fleet.rs"]
#[expect(dead_code, reason = "another benchmark needs more of it")]
mod fleet;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use batches::{Load, Shape};
use collector::Collector;
use fleet::Fleet;
use tests::usage::rss_anon_kib;
use vedette_collector::postgres::scratch::Server;
use vedette_sensor::spool::StreamKey;
use wire::frame::data::Batch;

/// How often a host goes on with a batch.
const EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(600);
/// The hosts that are connected before the first look at the collector's memory.
const FIRST: usize = 100;

#[tokio::main]
async fn main() {
    let most = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap().1;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most).unwrap();
    let server = Server::durable().await.unwrap();
    let (n_hosts, n_batches, n_storm) = (set("HOSTS", 1_000), set("BATCHES", 360), set("STORM", 10_000));
    // Each host has two files open, and some machines allow no more than 20,000.
    let n_storm = n_storm.min(most.saturating_sub(500) / 2);
    if n_storm > 0 {
        storm(&server, n_storm).await;
    }
    // Second: each endpoint has 3 MB to receive into, which cost nothing while they are fresh from the kernel. The system's
    // allocator leaves them so.
    if n_hosts > 0 {
        backlog(&server, n_hosts, n_batches as usize).await;
    }
}

/// What a host does when its collector is back: the backlog's end is noted, and live batches go in an epoch of their own.
struct Returning<'a> {
    stream: StreamKey,
    live: StreamKey,
    rest: std::slice::Iter<'a, Batch>,
    due: Instant,
    has_begun: bool,
    is_drained: bool,
    waiting: VecDeque<(u64, Instant)>,
}

async fn backlog(server: &Server, n_hosts: u64, n_batches: usize) {
    let mut collector = Collector::start(server).await;
    let old = batches::make(Shape { n_hosts, n_events: 20, n_batches, n_warm: 1 });
    // The same hosts, some time later: other epochs.
    let later = batches::make(Shape { n_hosts: 2 * n_hosts, n_events: 20, n_batches: 60, n_warm: 0 });
    let later = &later[n_hosts as usize..];
    let mut fleet = Fleet::new();
    fleet.connect(&collector, &old).await;
    collector.kill();
    for (host, load) in fleet.hosts.iter_mut().zip(&old) {
        load.warm.iter().chain(&load.measured).for_each(|batch| host.write(batch));
        host.unacknowledged.clear();
    }
    let n_events = n_hosts * n_batches as u64 * 20;
    let held: u64 = fleet.hosts.iter().map(|host| host.outbox.n_bytes()).sum();
    // Half an hour is long enough for all to have noticed.
    while fleet.n_down() < fleet.hosts.len() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    collector.start_again();
    let start = Instant::now();
    let (mut took, drained) = tokio::task::block_in_place(|| return_home(&fleet, &old, later, start));
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_millis();
    println!(
        "a backlog of {n_events} events in batches of 20 on {n_hosts} hosts ({} MB of spool), and a batch of each host every 5 s",
        held >> 20
    );
    println!("| drained in | events/s | live batches | p50 ms | p99 ms (aim 2000) | longest ms |");
    println!("|---|---|---|---|---|---|");
    println!(
        "| {:.1} s | {:.0} | {} | {} | {} | {} |",
        drained.as_secs_f64(),
        n_events as f64 / drained.as_secs_f64(),
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert_eq!(fleet.hosts.iter().map(fleet::Host::n_missing).sum::<u64>(), 0);
    fleet.disconnect().await;
}

/// For each live batch how long it took, and when the last backlog had drained.
fn return_home(fleet: &Fleet, old: &[Load], later: &[Load], start: Instant) -> (Vec<Duration>, Duration) {
    let mut all: Vec<Returning<'_>> = old
        .iter()
        .zip(later)
        .enumerate()
        .map(|(n, (old, later))| Returning {
            stream: StreamKey { epoch: old.epoch, lane: old.lane },
            live: StreamKey { epoch: later.epoch, lane: later.lane },
            rest: later.measured.iter(),
            due: start + EVERY.mul_f64(n as f64 / old_len(fleet)),
            has_begun: false,
            is_drained: false,
            waiting: VecDeque::new(),
        })
        .collect();
    let mut took = Vec::new();
    let mut drained = Duration::ZERO;
    while start.elapsed() < PATIENCE {
        for (host, one) in fleet.hosts.iter().zip(&mut all) {
            let now = Instant::now();
            if !one.has_begun && host.outbox.wants_new_epoch() {
                host.outbox.begin(one.live.epoch);
                one.has_begun = true;
            }
            if one.has_begun && now >= one.due && !one.is_drained {
                one.due += EVERY;
                if let Some(batch) = one.rest.next() {
                    host.outbox.append(one.live.epoch, one.live.lane, batch.clone()).unwrap();
                    one.waiting.push_back((batch.end(), now));
                }
            }
            let holdings = host.outbox.holdings();
            let acked = |key: StreamKey| {
                holdings
                    .streams
                    .iter()
                    .find(|held| (held.epoch, held.lane) == (key.epoch, key.lane))
                    .map(|held| held.acked)
            };
            while let Some((end, written)) = one.waiting.front().copied()
                && acked(one.live).is_some_and(|acked| acked >= end)
            {
                one.waiting.pop_front();
                took.push(now.saturating_duration_since(written));
            }
            if one.has_begun && !one.is_drained && acked(one.stream).is_none() {
                one.is_drained = true;
                drained = start.elapsed();
            }
        }
        if all.iter().all(|one| one.is_drained && one.waiting.is_empty()) {
            return (took, drained);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let n_left = all.iter().filter(|one| !one.is_drained).count();
    panic!("{n_left} hosts still have a backlog after {PATIENCE:?}")
}

fn old_len(fleet: &Fleet) -> f64 {
    fleet.hosts.len() as f64
}

async fn storm(server: &Server, n_hosts: u64) {
    let mut collector = Collector::start(server).await;
    let loads = batches::make(Shape { n_hosts, n_events: 1, n_batches: 0, n_warm: 1 });
    let (first, rest) = loads.split_at(loads.len().min(FIRST));
    let mut fleet = Fleet::new();
    fleet.connect(&collector, first).await;
    let with_first = rss_anon_kib(collector.pid());
    fleet.connect(&collector, rest).await;
    let with_all = rss_anon_kib(collector.pid());
    let idle = with_all.saturating_sub(with_first) as f64 / rest.len().max(1) as f64;
    collector.kill();
    // All know by now that it is gone, or learn it from the new one.
    let (killed, moment) = (Instant::now(), vedette_sensor::clock::boot_time().unwrap());
    collector.start_again();
    let (served, mut most) = (killed.elapsed(), 0);
    let mut back = [None; 3];
    while back[2].is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(rss_anon_kib(collector.pid()));
        let n_back = fleet.n_up_since(moment);
        for (share, back) in [50, 99, 100].into_iter().zip(&mut back) {
            if n_back * 100 >= n_hosts as usize * share {
                back.get_or_insert_with(|| killed.elapsed());
            }
        }
        assert!(killed.elapsed() < PATIENCE, "{} hosts are not back", n_hosts as usize - n_back);
    }
    let s = |back: Option<Duration>| back.unwrap().as_secs_f64();
    println!(
        "\n{n_hosts} idle hosts whose collector is killed and started again (it serves after {:.1} s)",
        served.as_secs_f64()
    );
    println!(
        "| half are back | 99 % | all (aim 20 s) | most RssAnon KiB meanwhile | idle: KiB a connection | connections per GB |"
    );
    println!("|---|---|---|---|---|---|");
    println!(
        "| {:.1} s | {:.1} s | {:.1} s | {most} | {idle:.1} | {:.0} |",
        s(back[0]),
        s(back[1]),
        s(back[2]),
        1_048_576.0 / idle
    );
    fleet.disconnect().await;
}

fn set(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, expected a number")),
        Err(_) => otherwise,
    }
}
