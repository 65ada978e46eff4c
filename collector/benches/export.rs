//! What exporting costs: a real Apache Kafka on this machine, and one durable PostgreSQL; ingest is fed directly.
//!
//! Run with `cargo bench -p vedette-collector --bench export`. CPU is that of this process (collector and feeder) and of the
//! server's processes; Kafka's own is shown apart. `ROUNDS`, `EVENTS` and `RATE` (events/s of the last part) are in the environment.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

/// As the collector has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../tests/support/kafka.rs"]
mod broker;
#[expect(dead_code, reason = "it serves another benchmark too")]
#[path = "ingest/cost.rs"]
mod cost;
#[path = "ingest/feed.rs"]
mod feed;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use broker::Broker;
use cost::{Cost, Span};
use feed::{begin, n, stored};
use sqlx::postgres::PgPool;
use support::{Ingest, Source, header, wall_clock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vedette_collector::export::{self, Feed};
use vedette_collector::kafka::{Create, Settings, Topic};
use vedette_collector::postgres::scratch::Server;
use vedette_collector::presence::Tails;
use vedette_collector::record::{Format, Group};
use vedette_collector::store::{Group as Buckets, exports};
use wire::batch::Sealed;
use wire::id::HostId;

const ROUNDS: u64 = 3;
const EVENTS: u64 = 200_000;
const RATE: u64 = 50_000;
const SECONDS: u64 = 20;
/// Batches under way at a time.
const IN_FLIGHT: usize = 2_000;

type Batches = Vec<(HostId, Sealed)>;

#[tokio::main]
async fn main() {
    if let Err(why) = broker::jars() {
        println!("not measured: {why}");
        return;
    }
    let (rounds, events, rate) = (number("ROUNDS", ROUNDS), number("EVENTS", EVENTS), number("RATE", RATE));
    let broker = Broker::start(&[("log.retention.bytes", "268435456"), ("log.segment.bytes", "134217728")]);
    let server = Server::durable().await.unwrap();
    let shapes =
        [("batches of 2,000 from 10 hosts", 10, 2_000), ("batches of 20 from 1,000 hosts", 1_000, 20)];
    println!(
        "\n| {events} events | ingest: events/s | CPU µs/event, server's | export: events/s | CPU µs/event, server's | Kafka's |\n|---|---|---|---|---|---|"
    );
    for (name, n_hosts, n_events) in shapes {
        let batches = made(n_hosts, n_events, events);
        for (what, to) in [("Kafka off", To::Nowhere), ("Kafka down", To::Down), ("Kafka on", To::Kafka)] {
            let mut ingest = Vec::new();
            let mut drained = Vec::new();
            for _ in 0..rounds {
                let pool = server.database().await.unwrap().pool;
                let exporting = Exporting::start(&pool, &broker, to, Format::Ocsf).await;
                let n = n(&batches);
                let before = broker.cpu();
                ingest.push(Cost::of(&server, n, fed(&pool, &exporting.feed, &batches)).await);
                let left = exporting.drained(&pool).await;
                drained.push((left, broker.cpu() - before));
                exporting.stop().await;
            }
            let c = Cost::median(&ingest);
            println!(
                "| {name}, {what} | {:.0} | {:.2}, {:.2} | | | {:.2} |",
                c.events_per_s(),
                c.cpu_us(),
                c.server_us(),
                drained[drained.len() / 2].1.as_secs_f64() * 1e6 / n(&batches) as f64
            );
        }
        for format in [Format::Native, Format::Ocsf, Format::Ecs] {
            let mut costs = Vec::new();
            let mut kafkas = Vec::new();
            for _ in 0..rounds {
                let pool = server.database().await.unwrap().pool;
                fed(&pool, &Feed::default(), &batches).await;
                let before = broker.cpu();
                let exporting = async {
                    let span = Span::begin(&pool).await;
                    let exporting = Exporting::start(&pool, &broker, To::Kafka, format).await;
                    exporting.drained(&pool).await;
                    let span = span.end(&pool).await;
                    exporting.stop().await;
                    span
                };
                costs.push(Cost::of(&server, n(&batches), exporting).await);
                kafkas.push((broker.cpu() - before).as_secs_f64() * 1e6 / n(&batches) as f64);
            }
            let c = Cost::median(&costs);
            println!(
                "| {name}, a backlog as {format} | | | {:.0} | {:.2}, {:.2} | {:.2} |",
                c.events_per_s(),
                c.cpu_us(),
                c.server_us(),
                kafkas[kafkas.len() / 2]
            );
        }
    }
    println!(
        "\n| offered for {SECONDS} s | events behind, p50, p99 | lag at that rate, p50, p99 ms | caught up after | CPU of one core |\n|---|---|---|---|---|"
    );
    for (name, n_hosts, n_events) in shapes {
        let batches = made(n_hosts, n_events, rate * SECONDS);
        steady(&server, &broker, name, &batches, rate).await;
    }
}

/// A fixed rate, with the export beside.
async fn steady(server: &Server, broker: &Broker, name: &str, batches: &Batches, rate: u64) {
    let pool = server.database().await.unwrap().pool;
    let exporting = Exporting::start(&pool, broker, To::Kafka, Format::Ocsf).await;
    let watching = tokio::spawn(watch(pool.clone()));
    let begun = Instant::now();
    let cost = Cost::of(server, n(batches), async {
        let span = Span::begin(&pool).await;
        let ingest = Ingest::feeding(&pool, wall_clock, exporting.feed.clone());
        begin(&ingest, batches).await;
        let mut waiting = VecDeque::new();
        let (start, mut sent) = (Instant::now(), 0_u64);
        for (host, sealed) in batches {
            let due = start + Duration::from_secs_f64(sent as f64 / rate as f64);
            tokio::time::sleep_until(due.into()).await;
            sent += u64::from(header(sealed).n_events);
            if waiting.len() >= IN_FLIGHT {
                stored(waiting.pop_front()).await;
            }
            waiting.push_back(ingest.batch(*host, sealed).await);
        }
        for answer in waiting {
            stored(Some(answer)).await;
        }
        ingest.finish().await;
        span.end(&pool).await
    })
    .await;
    let offered = begun.elapsed();
    let after = exporting.drained(&pool).await;
    let mut behind = watching.await.unwrap();
    exporting.stop().await;
    behind.sort_unstable();
    let at = |part: f64| behind[((behind.len() - 1) as f64 * part) as usize];
    let ms = |n: u64| n * 1_000 / rate;
    println!(
        "| {rate} events/s, {name} | {}, {} | {}, {} | {after:.1?} | {:.0} % |",
        at(0.5),
        at(0.99),
        ms(at(0.5)),
        ms(at(0.99)),
        cost.cpu_us() * n(batches) as f64 / offered.as_micros() as f64 * 100.0
    );
}

/// How far the export is behind, again and again.
async fn watch(pool: PgPool) -> Vec<u64> {
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut behind = Vec::new();
    while Instant::now() < until {
        behind.push(exports::totals(&mut pool.acquire().await.unwrap()).await.unwrap().n_events);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    behind
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Nowhere,
    Down,
    Kafka,
}

struct Exporting {
    feed: Feed,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    to: To,
}

impl Exporting {
    async fn start(pool: &PgPool, broker: &Broker, to: To, format: Format) -> Self {
        if to == To::Nowhere {
            return Self { feed: Feed::default(), running: None, to };
        }
        let topic = Topic { name: format!("b{}", Uuid::new_v4().simple()), format };
        let settings = Settings {
            bootstrap: if to == To::Down { "127.0.0.1:1".into() } else { broker.address() },
            topics: Group::ALL.iter().map(|group| (*group, topic.clone())).collect(),
            filter: String::new(),
            create: Some(Create { partitions: 6, replication: None }),
            from_now: false,
            findings: true,
            source: "/vedette".into(),
            properties: BTreeMap::new(),
        };
        let (feed, stop) = (Feed::new(), CancellationToken::new());
        let config = export::Config {
            pool: pool.clone(),
            group: Buckets::WHOLE,
            run: Uuid::now_v7(),
            settings,
            feed: feed.clone(),
            tails: Tails::default(),
            clock: wall_clock,
        };
        let task = tokio::spawn(export::run(config, stop.clone()));
        Self { feed, running: Some((stop, task)), to }
    }

    /// Waits until everything is exported; how long that took.
    async fn drained(&self, pool: &PgPool) -> Duration {
        let begun = Instant::now();
        while self.to == To::Kafka
            && exports::totals(&mut pool.acquire().await.unwrap()).await.unwrap().n_events > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    }

    async fn stop(self) {
        if let Some((stop, task)) = self.running {
            stop.cancel();
            task.await.unwrap();
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Batches in the order they are sent: round by round, a batch of each host.
fn made(n_hosts: u64, n_events: u32, all: u64) -> Batches {
    let mut sources: Vec<Source> = (1..=n_hosts).map(Source::new).collect();
    // What names every daemon for the first time is left out.
    sources.iter_mut().for_each(|source| drop(source.batch(n_events.min(200))));
    let mut batches = Vec::new();
    for _ in 0..all.div_ceil(n_hosts * u64::from(n_events)) {
        batches.extend(sources.iter_mut().map(|source| (source.id, source.batch(n_events))));
    }
    batches
}

async fn fed(pool: &PgPool, to: &Feed, batches: &Batches) -> Span {
    feed::feed(pool, Ingest::feeding(pool, wall_clock, to.clone()), batches, IN_FLIGHT).await
}
