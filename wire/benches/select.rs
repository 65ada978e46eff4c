//! How long the evaluator takes over many batches, decompression included.
//!
//! Run with `cargo bench -p wire --bench select`. Every query reads every batch afresh, as a search that terms do
//! not narrow would, on one core; the last column is what that makes of 10 million events on two. Times are those the
//! thread ran, so that neighbours on the machine count less.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{Batch, Builder, Sealed};
use wire::event::FlatEvent;
use wire::flat::{Flattener, Outer};
use wire::id::HostId;
use wire::predicate::{Options, Predicate};
use wire::sample::{Host, Mix};
use wire::term;
use wire::time::WallTime;

const N_EVENTS: u32 = 1_000_000;
const ROUNDS: usize = 5;

const QUERIES: &[&str] = &[
    "process.name:no-such-program",
    "process.command_line:*no-such-text*",
    "no-such-word",
    "process.command_line:*\"two words\"*",
    "\"No-Such-Word\"i",
    "process.command_line:*http*",
    "process.executable:/usr/bin/* and destination.port:443",
    "process.name:bash and event.action:connect",
    "destination.ip:10.0.0.0/8",
    "destination.ip:203.0.113.77",
    "process.ancestor.name:sshd and event.action:exec",
    "file.path:/etc/shadow",
    "not process.user.id:0 and event.action:exec",
];

fn main() {
    measure(8_000);
    measure(20);
}

fn measure(events_per_batch: u32) {
    let mut host = Host::new(7, Mix::BENCHMARK);
    let mut builder = Builder::new();
    let n_batches = (N_EVENTS / events_per_batch) as usize;
    let batches: Vec<Sealed> = (0..n_batches).map(|_| host.batch(&mut builder, events_per_batch)).collect();
    let n_events = f64::from(N_EVENTS);
    let outer = Outer {
        host: HostId::new(Uuid::nil()),
        host_name: Bytes::from_static(b"web-1"),
        host_tags: Vec::new(),
        received: WallTime::default(),
    };
    let bytes: usize = batches.iter().map(|batch| batch.payload.len()).sum();
    println!("\n{events_per_batch} events a batch, {:.1} bytes each\n", bytes as f64 / n_events);

    println!("| query | matches | ns/event | 10 million on two cores, s |\n|---|---|---|---|");
    for text in QUERIES {
        let predicate = Predicate::parse(text, &Options::default()).expect("a query");
        let mut n_matches = 0;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = ran();
            n_matches = batches
                .iter()
                .map(|sealed| predicate.select(&open(sealed), &outer).expect("a selection").len())
                .sum();
            times.push(ran() - start);
        }
        let ns = median(times).as_nanos() as f64 / n_events;
        println!("| `{text}` | {n_matches} | {ns:.1} | {:.2} |", ns * 1e7 / 2.0 / 1e9);
    }

    let start = ran();
    let n_terms: usize =
        batches.iter().map(|sealed| term::of_batch(&open(sealed)).expect("terms").len()).sum();
    let ns = (ran() - start).as_nanos() as f64 / n_events;
    println!("\nterms: {ns:.1} ns/event, {:.1} a batch", n_terms as f64 / n_batches as f64);

    let some: Vec<Batch> =
        batches.iter().rev().take((16_000 / events_per_batch) as usize).map(open).collect();
    let n: f64 = some.iter().map(|batch| f64::from(batch.n_events())).sum();
    let start = ran();
    let events: Vec<FlatEvent> = some
        .iter()
        .flat_map(|batch| {
            let mut flattener = Flattener::new(batch, &outer);
            (0..batch.n_events()).filter_map(move |n| flattener.event(n).expect("an event"))
        })
        .collect();
    let flatten = (ran() - start).as_nanos() as f64 / n;
    let start = ran();
    let length: usize = events.iter().map(|event| event.to_json().to_string().len()).sum();
    let json = (ran() - start).as_nanos() as f64 / n;
    println!("flatten: {flatten:.0} ns/event; JSON: {json:.0} ns/event, {:.0} bytes", length as f64 / n);
}

/// How long the process has run.
fn ran() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default())
}

fn open(sealed: &Sealed) -> Batch {
    Batch::open(sealed).expect("a batch that was just built")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
