//! What a record costs: from a stored batch, decoded anew each time, to the JSON of each of its events.
//!
//! Run with `cargo bench -p vedette-collector --bench export_map`, or with `-- ocsf` for one format. Each format is measured in several interleaved rounds; the table
//! shows medians of the thread's CPU time, so that neighbours on the machine matter less.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use uuid::Uuid;
use vedette_collector::record::{Format, HostFacts, Renderer};
use wire::batch::{Batch, Builder, Sealed};
use wire::flat::Outer;
use wire::id::HostId;
use wire::sample::{Host, Mix};
use wire::time::WallTime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;

fn main() {
    println!(
        "| events a batch | decode only ns/event | ocsf ns/event | B/event | ecs | B/event | native | B/event |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (n_events, n_batches) in [(20, 400), (500, 16), (2_000, 4), (10_000, 1)] {
        measure(n_events, n_batches);
    }
}

fn measure(n_events: u32, n_batches: u64) {
    let mut host = Host::new(7, Mix::BENCHMARK);
    let mut builder = Builder::new();
    // The first batches of a host name every daemon for the first time; steady state is what counts.
    (0..3).for_each(|_| drop(host.batch(&mut builder, n_events)));
    let batches: Vec<Sealed> = (0..n_batches).map(|_| host.batch(&mut builder, n_events)).collect();
    let n = f64::from(n_events) * n_batches as f64;
    let wanted: Vec<Format> = std::env::args().filter_map(|name| name.parse().ok()).collect();
    let mut decode = Vec::new();
    let mut times = [const { Vec::new() }; 3];
    let mut n_bytes = [0; 3];
    for _ in 0..ROUNDS {
        decode.push(time(|| batches.iter().for_each(only_decoded)));
        for ((format, times), n_bytes) in Format::ALL.into_iter().zip(&mut times).zip(&mut n_bytes) {
            if !wanted.is_empty() && !wanted.contains(&format) {
                continue;
            }
            times.push(time(|| {
                *n_bytes = batches.iter().map(|sealed| rendered(format, sealed)).sum::<usize>()
            }));
        }
    }
    let decode = per_event(decode, n);
    let [ocsf, ecs, native] = times.map(|times| per_event(times, n));
    let [a, b, c] = n_bytes.map(|n_bytes| n_bytes as f64 / n);
    println!("| {n_events} | {decode:.0} | {ocsf:.0} | {a:.0} | {ecs:.0} | {b:.0} | {native:.0} | {c:.0} |");
}

/// What is paid for an event before a word of it is written.
fn only_decoded(sealed: &Sealed) {
    let batch = Batch::open(sealed).expect("a batch that was just sealed");
    for number in 0..batch.n_events() {
        black_box(batch.event(number).expect("it decodes"));
    }
}

/// The bytes of a batch's records.
fn rendered(format: Format, sealed: &Sealed) -> usize {
    let batch = Batch::open(sealed).expect("a batch that was just sealed");
    let outer = Outer {
        host: HostId::new(Uuid::from_u128(7)),
        host_name: Bytes::from_static(b"web-1.example.net"),
        host_tags: vec![Bytes::from_static(b"env=prod")],
        received: WallTime::from_unix_ns(1_790_000_000_000_000_000),
    };
    let facts = HostFacts {
        kernel: "6.12.48+deb13-amd64".to_owned(),
        arch: "x86_64".to_owned(),
        sensor_version: "0.1.0".to_owned(),
        address: Some("10.20.0.7:51234".to_owned()),
    };
    let mut renderer = Renderer::new(format, &batch, &outer, &facts);
    let records = (0..batch.n_events()).map(|number| renderer.event(number).expect("it decodes"));
    records.flatten().map(|record| black_box(record).value.len()).sum()
}

fn time(work: impl FnOnce()) -> Duration {
    let start = thread_time();
    work();
    thread_time().saturating_sub(start)
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has this clock").into()
}

fn per_event(mut times: Vec<Duration>, n: f64) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |median| median.as_nanos() as f64) / n
}
