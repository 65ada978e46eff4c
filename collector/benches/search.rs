//! What searching costs: 10 million stored events on one durable PostgreSQL.
//!
//! Run with `cargo bench -p vedette-collector --bench search`. Each search runs many times over the whole store, in turn with
//! the others; the table shows the median and the 99th percentile, and what one run costs on average. In the environment:
//! `EVENTS=1000000` for fewer events; `KEEP=/var/tmp/NAME` keeps the database in that folder, and a later run finds it there (its
//! events lie in the past then: within a month); `ONLY=TEXT` runs only the searches with that in their names.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

/// As the collector has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "search/stage.rs"]
mod stage;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage::Stage;
use support::{Ingest, host_id, wall_clock};
use vedette_collector::listener::Outcome;
use vedette_collector::retention;
use vedette_collector::search::{Answer, Engine, Progress, Request, Search};
use vedette_collector::store::{Conn, Pool, Stamp, hosts};
use wire::batch::{Builder, Sealed};
use wire::enrolment::HostFacts;
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{HostId, ProcessKey};
use wire::sample::{Host, Mix};
use wire::subject::Subject;
use wire::time::BootTime;
use wire::value::Value;

const N_HOSTS: u64 = 50;
const BATCH_EVENTS: u32 = 2_000;
/// The events lie within so many hours before now.
const HOURS: u64 = 20;
const IN_FLIGHT: usize = 64;
const N_ASKED: usize = 4;

/// A search, how often it is run, and how many events it must find.
struct Case {
    name: &'static str,
    request: Request,
    n_runs: usize,
    n_found: Option<u64>,
}

#[tokio::main]
async fn main() {
    let stage = Stage::open(Stamp::floor(wall_clock())).await;
    store(&stage).await;
    let only = std::env::var("ONLY").unwrap_or_default();
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.name.contains(&only)).collect();
    let engine = Engine::new(&stage.pool);
    let mut conn = stage.pool.acquire().await.unwrap();
    let mut found: Vec<Found> = cases.iter().map(|_| Found::default()).collect();
    let mut asked = Found::default();
    for round in 0..cases.iter().map(|case| case.n_runs).max().unwrap_or(0) {
        for (case, found) in cases.iter().zip(&mut found).filter(|(case, _)| round < case.n_runs) {
            let before = stage.cpu();
            let (time, n_bytes) = run(&engine, case).await;
            let after = stage.cpu();
            // The first of each warms what a server that runs has warm.
            if round > 0 {
                found.times.push(time);
                found.own += after.0 - before.0;
                found.server += after.1.saturating_sub(before.1);
            }
            found.n_bytes = n_bytes;
        }
        asked.times.push(ask(&mut conn).await);
    }
    println!(
        "\n| search | runs | p50 ms | p99 ms | CPU ms (of which server) | MB read |\n|---|---|---|---|---|---|"
    );
    for (case, found) in cases.iter().zip(found) {
        println!("| {} | {found} |", case.name);
    }
    println!("| `select 1`, {N_ASKED} times: what the machine adds | {asked} |");
    drop(conn);
    stage.close().await;
}

/// What came of running a search.
#[derive(Default)]
struct Found {
    times: Vec<Duration>,
    own: Duration,
    server: Duration,
    n_bytes: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.times.clone();
        times.sort_unstable();
        let n = times.len();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let at = |at: usize| times.get(at.min(n.saturating_sub(1))).copied().map_or(f64::NAN, ms);
        let each = |sum: Duration| ms(sum) / n as f64;
        let (p50, p99) = (at(n / 2), at(n * 99 / 100));
        let (both, server) = (each(self.own + self.server), each(self.server));
        write!(f, "{n} | {p50:.1} | {p99:.1} | {both:.1} ({server:.1}) | {:.2}", self.n_bytes as f64 / 1e6)
    }
}

/// How long so many statements take that do nothing: as many as a search for something rare has.
async fn ask(conn: &mut Conn) -> Duration {
    let begun = Instant::now();
    for _ in 0..N_ASKED {
        sqlx::query("select 1").execute(&mut *conn).await.unwrap();
    }
    begun.elapsed()
}

/// Fills the store, unless it was kept full.
async fn store(stage: &Stage) {
    let n_events: u64 = std::env::var("EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    let kept = stage.n_events().await;
    if kept > 0 {
        println!("{kept} events of an earlier run");
        return;
    }
    let begun = Instant::now();
    let n_stored = fill(&stage.pool, n_events).await;
    let limits = retention::Limits { age: Duration::from_secs(86_400 * 30), max_bytes: None };
    let config = retention::Config { pool: stage.pool.clone(), limits };
    retention::tidy(&config, Stamp::floor(wall_clock())).await.unwrap();
    println!("{n_stored} events of {} hosts stored in {:.0} s", N_HOSTS + 3, begun.elapsed().as_secs_f64());
}

fn cases() -> Vec<Case> {
    let listing = |query: &str| Request {
        query: query.into(),
        // As far as they can be from an earlier run.
        since: std::env::var_os("KEEP").map(|_| "30d".to_owned()),
        ..Request::default()
    };
    let dry_run = |query: &str| Request { survey: Some(60), limit: Some(10), ..listing(query) };
    let case = |name, request, n_runs, n_found| Case { name, request, n_runs, n_found };
    vec![
        case("a rare executable", listing("process.executable:/opt/rare/implant"), 301, Some(3)),
        case("a rare address", listing("destination.ip:198.51.100.77"), 301, Some(3)),
        case("a substring over everything", listing("process.command_line:*needle-7f3a91*"), 21, Some(3)),
        case(
            "two frequent terms that never meet",
            listing("process.name:systemd and destination.port:443"),
            21,
            Some(0),
        ),
        case(
            "a histogram of one kind",
            Request { histogram: Some(60), ..listing("event.action:exec") },
            21,
            None,
        ),
        case("the newest 100 of everything", listing(""), 101, Some(100)),
        case(
            "a dry-run of a rule with 3 hits",
            dry_run("process.executable:/opt/rare/implant"),
            101,
            Some(3),
        ),
        case(
            "a dry-run of a rule with many",
            dry_run("event.action:connect and destination.port:443 and process.name:curl"),
            21,
            None,
        ),
        case(
            "top of process.name",
            Request { top: Some("process.name".into()), limit: Some(10), ..listing("") },
            11,
            None,
        ),
    ]
}

async fn run(engine: &Engine, case: &Case) -> (Duration, u64) {
    let begun = Instant::now();
    let fleet = engine.fleet().await.unwrap();
    let search = Arc::new(Search::new(&case.request, &fleet, wall_clock()).unwrap());
    let outcome = engine.run(search, fleet, Arc::<Progress>::default()).await.unwrap();
    let time = begun.elapsed();
    let n_found = match outcome.answer {
        Answer::Events(events) => events.len() as u64,
        Answer::Histogram(buckets) => buckets.iter().map(|bucket| bucket.count).sum(),
        Answer::Top(top) => top.values.iter().map(|(_, n)| n).sum(),
        Answer::Survey(survey) => survey.n_events,
    };
    if let Some(expected) = case.n_found {
        assert_eq!(n_found, expected, "{}", case.name);
    }
    assert!(case.n_found.is_some() || n_found > 0, "{}", case.name);
    (time, outcome.stats.n_bytes)
}

/// Stores so many events of made-up hosts, and on three hosts more what is searched for.
async fn fill(pool: &Pool, n_events: u64) -> u64 {
    let now = Stamp::floor(wall_clock());
    for n in 1..=N_HOSTS + 3 {
        let facts = HostFacts {
            name: format!("web-{n}"),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            sensor_version: "0.1.0".into(),
            boot: None,
        };
        let host = hosts::NewHost {
            id: host_id(n),
            facts: &facts,
            tags: &[],
            serial: [0; 16],
            certified_until: now,
            now,
        };
        hosts::enroll(pool, host).await.unwrap();
    }
    let ingest = Ingest::start(pool, wall_clock);
    let mut waiting = VecDeque::new();
    let mut sources: Vec<Host> = (1..=N_HOSTS).map(|n| Host::new(n, Mix::BENCHMARK)).collect();
    let n_rounds = n_events / (N_HOSTS * u64::from(BATCH_EVENTS));
    let mut builder = Builder::new();
    let mut n_stored = 0;
    for round in 0..n_rounds {
        let ago = Duration::from_secs(HOURS * 3600) * (n_rounds - round) as u32 / n_rounds as u32;
        let usual = sources.iter_mut().enumerate().map(|(at, source)| (host_id(at as u64 + 1), source));
        for (id, source) in usual {
            let sealed = batch(source, &mut builder, ago, false);
            send(&ingest, &mut waiting, id, sealed).await;
            n_stored += u64::from(BATCH_EVENTS);
        }
        if let Some(n) = (1..=3).find(|n| round == n_rounds * n / 4) {
            let mut source = Host::new(N_HOSTS + n, Mix::BENCHMARK);
            let sealed = batch(&mut source, &mut builder, ago, true);
            send(&ingest, &mut waiting, host_id(N_HOSTS + n), sealed).await;
            n_stored += u64::from(BATCH_EVENTS) + 2;
        }
    }
    for answer in waiting {
        stored(answer).await;
    }
    ingest.finish().await;
    n_stored
}

/// A host's next batch, sealed `ago`; `planted`: with an exec and a connection that are nowhere else.
fn batch(source: &mut Host, builder: &mut Builder, ago: Duration, planted: bool) -> Sealed {
    let mut boundary = source.fill(builder, BATCH_EVENTS);
    let ago = i64::try_from(ago.as_nanos()).unwrap();
    boundary.clock.boot_to_wall_ns = wall_clock().unix_ns() - boundary.sealed.ns() as i64 - ago;
    if planted {
        let args = ["implant", "--key", "needle-7f3a91"].map(|arg| arg.as_bytes().into());
        let row = Row::default()
            .with(Field::ProcessExecutable, "/opt/rare/implant")
            .with(Field::ProcessArgs, Value::List(args.to_vec()));
        let time = BootTime::from_ns(boundary.sealed.ns() - 1_000);
        let key = ProcessKey { start: time, pid: 4_194_000 };
        let subject = builder.subject(&Subject { key, image: 1, parent: None, is_new: true, row });
        builder.push(&Event { time, kind: Kind::EXEC, row: Row::default() }, Some(subject));
        let address: std::net::IpAddr = [198, 51, 100, 77].into();
        let row = Row::default()
            .with(Field::DestinationIp, Value::Ip(address))
            .with(Field::DestinationPort, 4_444_u64)
            .with(Field::NetworkTransport, "tcp");
        // By another process, so that each search finds one event a batch.
        builder.push(&Event { time, kind: Kind::CONNECT, row }, None);
    }
    builder.seal(boundary)
}

type Answered = tokio::sync::oneshot::Receiver<Outcome>;

async fn send(ingest: &Ingest, waiting: &mut VecDeque<Answered>, host: HostId, sealed: Sealed) {
    if waiting.len() >= IN_FLIGHT
        && let Some(answer) = waiting.pop_front()
    {
        stored(answer).await;
    }
    waiting.push_back(ingest.batch(host, &sealed).await);
}

async fn stored(answer: Answered) {
    let outcome = answer.await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
}
