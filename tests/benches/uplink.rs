//! Ingest end to end: hosts with real uplinks, QUIC with mutual TLS, the real collector, a durable PostgreSQL; beside
//! multi-row INSERT and COPY of one row per event with the same search indexes, in the same run.
//!
//! Run by `make bench BENCH=uplink`. The collector is a process of its own, PostgreSQL's are, and this one is the
//! hosts: so the CPU of each is known. Medians of interleaved rounds, each on an empty database; what makes the rounds
//! smaller: `HOSTS` (5000), `ROUNDS` (3), `EVENTS` a round (400000), `RATES` (events/s, "25000 50000 100000"), `SECONDS`
//! at each rate (20). `BURN` (0) loops take the cores while a rate is offered, and end with it: what becomes of sessions
//! is told then, and how long it takes to get over it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

/// As the collector has it: one process plays thousands of hosts here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../../collector/benches/ingest/baseline.rs"]
mod baseline;
#[path = "uplink/batches.rs"]
mod batches;
#[path = "uplink/burn.rs"]
mod burn;
#[path = "uplink/collector.rs"]
#[expect(dead_code, reason = "another benchmark needs more of it")]
mod collector;
#[path = "../../collector/benches/ingest/cost.rs"]
mod cost;
#[path = "uplink/fleet.rs"]
#[expect(dead_code, reason = "another benchmark needs more of it")]
mod fleet;
#[path = "uplink/offer.rs"]
mod offer;
#[path = "uplink/share.rs"]
mod share;

use batches::{Load, Shape, n_events};
use collector::Collector;
use cost::Cost;
use fleet::Fleet;
use offer::Offered;
use share::Share;
use tests::usage::rss_anon_kib;
use vedette_collector::postgres::scratch::Server;

/// What the baseline's module asks for.
mod support {
    pub(crate) fn wall_clock() -> wire::time::WallTime {
        let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
        wire::time::WallTime::from_unix_ns(i64::try_from(now).unwrap())
    }
}

/// How many hosts send large batches.
const FEW: u64 = 10;
/// How many batches are on the way at full speed: large ones, and small ones.
const ON_THE_WAY: [usize; 2] = [40, 2_000];
/// The hosts that are connected before the first look at the collector's memory.
const FIRST: usize = 100;

#[tokio::main]
async fn main() {
    let (n_hosts, n_rounds, round_events) = (set("HOSTS", 5_000), set("ROUNDS", 3), set("EVENTS", 400_000));
    let rates: Vec<u64> = std::env::var("RATES")
        .unwrap_or_else(|_| "25000 50000 100000".into())
        .split_whitespace()
        .map(|rate| rate.parse().expect("RATES are events a second"))
        .collect();
    let (seconds, n_burning) = (set("SECONDS", 20), set("BURN", 0));
    let counted = vedette_collector::metrics::install().unwrap();
    let server = Server::durable().await.unwrap();
    let few = |n_events_in_all: u64| Shape {
        n_hosts: FEW,
        n_events: 2_000,
        n_batches: n_events_in_all.div_ceil(FEW * 2_000) as usize,
        n_warm: 3,
    };
    let many = |n_events_in_all: u64| Shape {
        n_hosts,
        n_events: 20,
        n_batches: n_events_in_all.div_ceil(n_hosts * 20) as usize,
        n_warm: 1,
    };

    let (large, small) = (batches::make(few(round_events)), batches::make(many(round_events)));
    let rows = rows(&large);
    let mut ends: [Vec<EndToEnd>; 2] = Default::default();
    let mut costs: [Vec<Cost>; 2] = Default::default();
    for _ in 0..n_rounds {
        for (n, loads) in [&large, &small].into_iter().enumerate() {
            let take = |fleet: &mut Fleet| offer::as_taken(fleet, loads, ON_THE_WAY[n]);
            ends[n].push(EndToEnd::of(&server, loads, take).await);
        }
        let wide = server.database().await.unwrap().pool;
        baseline::create(&wide).await;
        costs[0].push(Cost::of(&server, rows.len() as u64, baseline::insert(&wide, &rows)).await);
        sqlx::query("truncate event").execute(&wide).await.unwrap();
        costs[1].push(Cost::of(&server, rows.len() as u64, baseline::copy(&wide, &rows)).await);
    }
    drop(rows);
    if n_rounds > 0 {
        let [large, small] = ends.each_ref().map(|ends| EndToEnd::median(ends));
        print_full_speed([("batches of 2,000 from 10 hosts", large), ("batches of 20", small)], &costs);
        idle(small, n_hosts);
    }

    println!(
        "\nacknowledgements at a fixed offered load, {seconds} s each; times from a batch written to it acknowledged"
    );
    println!(
        "| events/s | done in | p50 ms | p99 ms | longest ms | collector CPU, of one core | PostgreSQL | hosts |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for rate in rates {
        let shapes = [few(rate * seconds), many(rate * seconds)];
        for shape in shapes.into_iter().skip(usize::from(n_burning > 0)) {
            let loads = batches::make(shape);
            let offer = |fleet: &mut Fleet| match n_burning {
                0 => offer::at_rate(fleet, &loads, rate, |_, _, _| {}),
                n => burn::offer_beside(fleet, &loads, rate, (n, || counted.render())),
            };
            let end = EndToEnd::of(&server, &loads, offer).await;
            let took = end.offered.took.as_secs_f64();
            let of_one = |cpu: std::time::Duration| cpu.as_secs_f64() * 100.0 / took;
            println!(
                "| {rate} in batches of {} | {took:.1} s | {:.0} | {:.0} | {:.0} | {:.0} % | {:.0} % | {:.0} % |",
                shape.n_events,
                end.offered.percentile_ms(50),
                end.offered.percentile_ms(99),
                end.offered.percentile_ms(100),
                of_one(end.share.collector),
                of_one(end.share.server),
                of_one(end.share.hosts),
            );
        }
    }
}

/// One fleet's whole way, from the first batch written to the last acknowledged.
struct EndToEnd {
    n_events: u64,
    share: Share,
    offered: Offered,
    /// The collector's RssAnon in KiB: with the first hosts, with all of them idle, with all after the load.
    rss: [u64; 3],
}

impl EndToEnd {
    async fn of(server: &Server, loads: &[Load], offer: impl FnOnce(&mut Fleet) -> Offered) -> Self {
        let collector = Collector::start(server).await;
        let mut fleet = Fleet::new();
        let (first, rest) = loads.split_at(loads.len().min(FIRST));
        let mut rss = [0; 3];
        for (loads, rss) in [first, rest].into_iter().zip(&mut rss) {
            fleet.connect(&collector, loads).await;
            *rss = rss_anon_kib(collector.pid());
        }
        tokio::task::block_in_place(|| offer::warm_up(&mut fleet, loads));
        let before = Share::now(server, collector.pid(), &collector.pool).await;
        let offered = tokio::task::block_in_place(|| offer(&mut fleet));
        let share = Share::now(server, collector.pid(), &collector.pool).await.since(&before);
        rss[2] = rss_anon_kib(collector.pid());
        let n_warm: u64 =
            loads.iter().flat_map(|load| &load.warm).map(|batch| u64::from(batch.n_events)).sum();
        let n_missing: u64 = fleet.hosts.iter().map(fleet::Host::n_missing).sum();
        let n_stored = collector.n_stored().await.saturating_sub(n_warm);
        if offered.n_left == 0 {
            assert_eq!((n_stored, n_missing), (n_events(loads), 0), "{}", collector.log());
        } else {
            let (n_sent, n_down) = (n_events(loads), fleet.n_down());
            println!(
                "TOO MUCH here: {n_stored} of {n_sent} events were stored; {n_down} hosts have no session"
            );
        }
        fleet.disconnect().await;
        Self { n_events: n_stored.max(1), share, offered, rss }
    }

    fn events_per_s(&self) -> f64 {
        self.n_events as f64 / self.offered.took.as_secs_f64()
    }

    /// CPU of the collector and of PostgreSQL, in µs an event.
    fn cpu_us(&self) -> [f64; 2] {
        [self.share.collector, self.share.server].map(|cpu| cpu.as_secs_f64() * 1e6 / self.n_events as f64)
    }

    /// The one in the middle by CPU, which neighbours on the machine disturb least.
    fn median(all: &[Self]) -> &Self {
        let mut all: Vec<&Self> = all.iter().collect();
        all.sort_by(|a, b| a.cpu_us().iter().sum::<f64>().total_cmp(&b.cpu_us().iter().sum()));
        all[all.len() / 2]
    }
}

fn print_full_speed(ends: [(&str, &EndToEnd); 2], costs: &[Vec<Cost>; 2]) {
    let copy = Cost::median(&costs[1]);
    println!("at full speed, hosts, collector and PostgreSQL on this machine");
    println!(
        "| | events/s | to COPY | CPU µs/event: collector | PostgreSQL | COPY's to both | hosts | WAL B/event | ack p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (name, end) in ends {
        let [collector, server] = end.cpu_us();
        println!(
            "| {name} | {:.0} | {:.2} | {collector:.2} | {server:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |",
            end.events_per_s(),
            end.events_per_s() / copy.events_per_s(),
            copy.cpu_us() / (collector + server),
            end.share.hosts.as_secs_f64() * 1e6 / end.n_events as f64,
            end.share.wal as f64 / end.n_events as f64,
            end.offered.percentile_ms(50),
            end.offered.percentile_ms(99),
        );
    }
    for (name, costs) in ["INSERT of 1,000 rows", "COPY"].into_iter().zip(costs) {
        let cost = Cost::median(costs);
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} (its client) | {:.2} | {:.2} | | {:.0} | | |",
            cost.events_per_s(),
            cost.events_per_s() / copy.events_per_s(),
            cost.cpu_us() - cost.server_us(),
            cost.server_us(),
            copy.cpu_us() / cost.cpu_us(),
            cost.wal_bytes()
        );
    }
}

fn idle(end: &EndToEnd, n_hosts: u64) {
    let [first, all, after] = end.rss;
    let n = n_hosts.saturating_sub(FIRST as u64).max(1) as f64;
    println!("\nthe collector's RssAnon: {first} KiB with {FIRST} hosts, {all} KiB with {n_hosts} idle ones");
    println!("an idle connection: {:.1} KiB", (all.saturating_sub(first)) as f64 / n);
    println!(
        "after the load, still connected: {after} KiB, {:.1} KiB each",
        (after.saturating_sub(first)) as f64 / n
    );
}

/// One row per event, for the baselines.
fn rows(loads: &[Load]) -> Vec<baseline::Row> {
    let sealed: Vec<_> = loads
        .iter()
        .flat_map(|load| load.measured.iter().map(|batch| (load.host, batch.sealed.clone())))
        .collect();
    baseline::rows(&sealed)
}

fn set(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, expected a number")),
        Err(_) => otherwise,
    }
}
