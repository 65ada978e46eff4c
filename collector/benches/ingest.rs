//! What storing costs: ingest fed directly, beside multi-row INSERT and COPY of one row per event with the same
//! search indexes, on one durable PostgreSQL, in the same run.
//!
//! Run with `cargo bench -p vedette-collector --bench ingest`. The three are measured in interleaved rounds and
//! the table shows medians. CPU is that of this process and of the server's processes together.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

/// As the collector has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "ingest/baseline.rs"]
mod baseline;
#[path = "ingest/cost.rs"]
mod cost;
#[path = "ingest/feed.rs"]
mod feed;

use cost::Cost;
use feed::n;
use sqlx::postgres::PgPool;
use support::{Ingest, Source, count, wall_clock};
use vedette_collector::merge;
use vedette_collector::postgres::scratch::Server;
use vedette_collector::store::partitions::MINUTE_US;
use vedette_collector::store::{Group, Stamp};
use wire::batch::Sealed;
use wire::id::HostId;

/// How many rounds, unless the variable `ROUNDS` says otherwise.
const ROUNDS: usize = 5;
/// Batches under way at a time: what credit allows a fleet.
const IN_FLIGHT: usize = 20_000;

#[tokio::main]
async fn main() {
    let server = Server::durable().await.unwrap();
    let large = made(10, 2_000, 20, 3);
    let small = made(5_000, 20, 4, 1);
    let rows = baseline::rows(&large);
    // A minute of hosts that send 20 events a second.
    let minute = made(300, 20, 60, 1);
    println!(
        "events a round: {} in batches of 2,000; {} in batches of 20; baselines {}",
        n(&large),
        n(&small),
        rows.len()
    );

    let mut costs: [Vec<Cost>; 4] = [const { Vec::new() }; 4];
    sizes(&server, &large, &minute, &rows).await;
    let rounds = std::env::var("ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    for _ in 0..rounds {
        let batches = server.database().await.unwrap().pool;
        let quiet = server.database().await.unwrap().pool;
        let wide = server.database().await.unwrap().pool;
        baseline::create(&wide).await;
        costs[0].push(Cost::of(&server, n(&large), fed(&batches, &large)).await);
        costs[1].push(Cost::of(&server, n(&small), fed(&quiet, &small)).await);
        costs[2].push(Cost::of(&server, rows.len() as u64, baseline::insert(&wide, &rows)).await);
        sqlx::query("truncate event").execute(&wide).await.unwrap();
        costs[3].push(Cost::of(&server, rows.len() as u64, baseline::copy(&wide, &rows)).await);
    }
    if rounds == 0 {
        return;
    }
    println!(
        "\n| | events/s | to COPY | CPU µs/event | of which server | to COPY | WAL B/event |\n|---|---|---|---|---|---|---|"
    );
    let copy = Cost::median(&costs[3]);
    let names =
        ["ingest, batches of 2,000", "ingest, 5,000 hosts x 20 events", "INSERT of 1,000 rows", "COPY"];
    for (name, costs) in names.iter().zip(&costs) {
        let c = Cost::median(costs);
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} |",
            c.events_per_s(),
            c.events_per_s() / copy.events_per_s(),
            c.cpu_us(),
            c.server_us(),
            copy.cpu_us() / c.cpu_us(),
            c.wal_bytes()
        );
    }
}

/// Batches in the order they are sent: round by round, a batch of each host. The first of each host, which
/// name every daemon for the first time, are left out of the rounds but not of the streams.
fn made(n_hosts: u64, n_events: u32, n_rounds: usize, n_warm: usize) -> Vec<(HostId, Sealed)> {
    let mut sources: Vec<Source> = (1..=n_hosts).map(Source::new).collect();
    for source in &mut sources {
        (0..n_warm).for_each(|_| drop(source.batch(n_events.min(200))));
    }
    // Their streams begin where the warming up ended: as tombstones, which cost nothing worth counting.
    let mut all = Vec::new();
    for _ in 0..n_rounds {
        all.extend(sources.iter_mut().map(|source| (source.id, source.batch(n_events))));
    }
    all
}

async fn fed(pool: &PgPool, batches: &[(HostId, Sealed)]) -> cost::Span {
    feed::feed(pool, Ingest::start(pool, wall_clock), batches, IN_FLIGHT).await
}

/// Bytes on disk, everything counted: heap, TOAST, indexes.
async fn sizes(
    server: &Server,
    large: &[(HostId, Sealed)],
    minute: &[(HostId, Sealed)],
    rows: &[baseline::Row],
) {
    const SEGMENTS: &str = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
                              from pg_inherits where inhparent = 'segment'::regclass";
    const PROCESSES: &str = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
                              from pg_inherits where inhparent = 'process'::regclass";
    const CONNECTIONS: &str = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
                              from pg_inherits where inhparent = 'connection'::regclass";
    const PARTS: [(&str, &str); 4] = [
        ("payloads", "select sum(octet_length(payload))::bigint from segment"),
        ("directories", "select sum(octet_length(directory))::bigint from segment"),
        ("terms", "select sum(pg_column_size(terms))::bigint from segment"),
        (
            "the term index",
            "select sum(pg_relation_size(i.indexrelid))::bigint from pg_index i join pg_class c on c.oid = i.indexrelid
               join pg_am a on a.oid = c.relam where a.amname = 'gin' and c.relkind = 'i'",
        ),
    ];
    // Partitions made ahead have a few empty pages, which say nothing about rows.
    let empty = server.database().await.unwrap().pool;
    let size = async |pool: &PgPool, sql: &'static str| {
        (count(pool, sql).await - count(&empty, sql).await).max(0) as f64
    };
    let batches = server.database().await.unwrap().pool;
    let quiet = server.database().await.unwrap().pool;
    let wide = server.database().await.unwrap().pool;
    fed(&batches, large).await;
    fed(&quiet, minute).await;
    baseline::create(&wide).await;
    baseline::copy(&wide, rows).await;
    let (n_large, n_small) = (n(large), n(minute));
    let merger = merge::Config { pool: quiet.clone(), group: Group::WHOLE };
    let later = Stamp::floor(wall_clock()).plus_us(2 * MINUTE_US);
    let merging = Cost::of(server, n_small, async {
        let span = cost::Span::begin(&quiet).await;
        assert!(merge::catch_up(&merger, later).await.unwrap() > 0);
        span.end(&quiet).await
    })
    .await;
    println!("\nmerging: {:.2} µs CPU/event, {:.0} B WAL/event", merging.cpu_us(), merging.wal_bytes());
    println!("\n| stored | bytes |\n|---|---|");
    println!(
        "| an event in large batches, with its indexes | {:.1} |",
        size(&batches, SEGMENTS).await / n_large as f64
    );
    println!(
        "| an event in merged small ones, with its indexes | {:.1} |",
        size(&quiet, SEGMENTS).await / n_small as f64
    );
    for (name, pool) in [("large", &batches), ("small", &quiet)] {
        let n_events = if name == "large" { n_large } else { n_small } as f64;
        for (what, sql) in PARTS {
            println!("| … of which {what} ({name}) | {:.1} |", count(pool, sql).await as f64 / n_events);
        }
        let n_processes = count(pool, "select count(*) from process").await as f64;
        let n_connections = count(pool, "select count(*) from connection").await as f64;
        println!(
            "| a process row, with its indexes ({name}) | {:.1} |",
            size(pool, PROCESSES).await / n_processes
        );
        println!(
            "| a connection row, with its index ({name}) | {:.1} |",
            size(pool, CONNECTIONS).await / n_connections
        );
        println!(
            "| process rows an event ({name}) | {:.2} |",
            n_processes / if name == "large" { n_large } else { n_small } as f64
        );
    }
    let wide = count(&wide, "select pg_total_relation_size('event')").await as f64;
    println!("| a row per event, with its indexes | {:.1} |", wide / rows.len() as f64);
}
