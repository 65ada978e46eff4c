//! Search on a real PostgreSQL: the same answer as looking at every event, however it is paged, whatever the
//! merger does meanwhile; and stopped when nobody waits for it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use support::{Ingest, host_id, wall_clock};
use uuid::Uuid;
use vedette_collector::ingest::Committed;
use vedette_collector::lineage::{self, Asked, LineageError, forest::State};
use vedette_collector::listener::Outcome;
use vedette_collector::merge;
use vedette_collector::postgres::scratch;
use vedette_collector::search::{Answer, Engine, Position, Progress, Request, Search};
use vedette_collector::store::partitions::MINUTE_US;
use vedette_collector::store::reader::Reader;
use vedette_collector::store::{Group, Pool, Stamp, hosts};
use vedette_collector::tail::{Message, Tail};
use wire::batch::{Batch, Builder, Sealed};
use wire::enrolment::HostFacts;
use wire::event::FlatEvent;
use wire::field::Field;
use wire::flat::{Flattener, Outer};
use wire::id::HostId;
use wire::predicate::{Options, Predicate};
use wire::sample::{Host, Mix};
use wire::time::{WallTime, indexed_time};
use wire::value::Value;

/// A fleet under test: what is stored, and the same flattened, to compare with.
struct World {
    pool: Pool,
    ingest: Ingest,
    engine: Arc<Engine>,
    hosts: Vec<(HostId, Host)>,
    builder: Builder,
    events: Vec<(Position, FlatEvent)>,
    committed: tokio::sync::broadcast::Receiver<Arc<Committed>>,
}

impl World {
    async fn new(n_hosts: u64) -> Self {
        let db = scratch::database().await;
        let now = Stamp::floor(wall_clock());
        for n in 1..=n_hosts {
            enroll(&db.pool, host_id(n), &format!("web-{n}"), now).await;
        }
        let ingest = Ingest::start(&db.pool, wall_clock);
        let committed = ingest.committed.subscribe();
        let hosts = (1..=n_hosts).map(|n| (host_id(n), Host::new(n, Mix::PROCESSES))).collect();
        let engine = Arc::new(Engine::new(&db.pool));
        Self { pool: db.pool, ingest, engine, hosts, builder: Builder::new(), events: vec![], committed }
    }

    /// Stores a host's next events, which end about `ago` before now.
    async fn store(&mut self, host: usize, n_events: u32, ago: Duration) {
        let (id, source) = &mut self.hosts[host];
        let mut boundary = source.fill(&mut self.builder, n_events);
        let ago = i64::try_from(ago.as_nanos()).unwrap();
        boundary.clock.boot_to_wall_ns = wall_clock().unix_ns() - boundary.sealed.ns() as i64 - ago;
        let (id, sealed) = (*id, self.builder.seal(boundary));
        let outcome = self.ingest.batch(id, &sealed).await.await.unwrap();
        assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
        let committed = self.committed.recv().await.unwrap();
        let outer = Outer {
            host: id,
            host_name: format!("web-{}", host + 1).into(),
            host_tags: vec!["env=test".into()],
            received: committed.received,
        };
        self.events.extend(flattened(&sealed, &outer));
    }

    /// What a search should find, newest first.
    fn expected(&self, query: &str, since: WallTime, until: WallTime) -> Vec<&FlatEvent> {
        let predicate = Predicate::parse(query, &Options { now: until, store_fields: false }).unwrap();
        let mut found: Vec<&(Position, FlatEvent)> = self
            .events
            .iter()
            .filter(|(position, event)| (since..=until).contains(&position.time) && predicate.matches(event))
            .collect();
        found.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
        found.into_iter().map(|(_, event)| event).collect()
    }

    async fn run(&self, request: &Request) -> (Answer, Option<String>) {
        let fleet = self.engine.fleet().await.unwrap();
        let search = Search::new(request, &fleet, wall_clock()).unwrap();
        let search = self.engine.narrowed(search).await.unwrap();
        let outcome = self.engine.run(Arc::new(search), fleet, Arc::<Progress>::default()).await.unwrap();
        assert_eq!(outcome.stats.n_unreadable, 0);
        (outcome.answer, outcome.cursor)
    }

    async fn page(
        &self,
        query: &str,
        limit: u32,
        cursor: Option<String>,
    ) -> (Vec<FlatEvent>, Option<String>) {
        let request = Request { query: query.into(), limit: Some(limit), cursor, ..Request::default() };
        let (answer, cursor) = self.run(&request).await;
        let Answer::Events(events) = answer else { panic!("{answer:?}") };
        (events, cursor)
    }

    async fn all_pages(&self, query: &str, limit: u32) -> Vec<FlatEvent> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (events, next) = self.page(query, limit, cursor).await;
            assert!(events.len() <= limit as usize);
            all.extend(events);
            cursor = next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// Moves all finished minutes; `later`: as if it were so much later.
    async fn merge(&self, later: i64) {
        let config = merge::Config {
            pool: self.pool.clone(),
            group: Group::WHOLE,
            holder: Uuid::from_u128(1),
            clock: wall_clock,
        };
        merge::catch_up(&config, Stamp::floor(wall_clock()).plus_us(later)).await.unwrap();
    }
}

async fn enroll(pool: &Pool, id: HostId, name: &str, now: Stamp) {
    let facts = HostFacts {
        name: name.into(),
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
        sensor_version: "0.1.0".into(),
        boot: None,
    };
    let tags = ["env=test".to_owned()];
    let host = hosts::NewHost { id, facts: &facts, tags: &tags, serial: [0; 16], certified_until: now, now };
    hosts::enroll(pool, host).await.unwrap();
}

fn flattened(sealed: &Sealed, outer: &Outer) -> Vec<(Position, FlatEvent)> {
    let batch = Batch::open(sealed).unwrap();
    let mut flattener = Flattener::new(&batch, outer);
    (0..batch.n_events())
        .map(|number| {
            let event = flattener.event(number).unwrap().unwrap();
            let (Some(Value::Time(time)), Some(Value::Keyword(id))) =
                (event.row.get(Field::Timestamp), event.row.get(Field::EventId))
            else {
                panic!("{event:?}")
            };
            let id = std::str::from_utf8(id).unwrap().parse().unwrap();
            (Position { time: indexed_time(*time, outer.received), id }, event)
        })
        .collect()
}

fn ids(events: &[FlatEvent]) -> Vec<String> {
    events.iter().map(|event| text(event, Field::EventId)).collect()
}

fn text(event: &FlatEvent, field: Field) -> String {
    match event.row.get(field) {
        Some(Value::Keyword(text)) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

const QUERIES: &[&str] = &[
    "",
    "process.name:curl",
    "event.action:exec and process.user.id:0",
    "event.action:connect and destination.port:443",
    "not event.action:fork and process.ancestor.name:sshd",
    "curl",
    "*cron*",
    "destination.ip:10.20.0.0/16 or process.exit_code > 0",
    "process.executable:/usr/bin/* and not host.name:web-1",
    "process.parent.name:(sh or bash) and process.command_line:*-c*",
    "host.name:web-2 and event.action:(exit or exec)",
    "host.tags:\"env=test\" and source.port >= 40000",
    "process.name:no-such-thing",
    "event.sequence < 5",
];

async fn check_all(world: &World, label: &str) {
    let since = wall_clock().saturating_add_ns(-86_400_000_000_000);
    for query in QUERIES {
        let expected = world.expected(query, since, wall_clock());
        for limit in [7, 100, 10_000] {
            if limit == 7 && expected.len() > 400 {
                continue;
            }
            let found = world.all_pages(query, limit).await;
            assert_eq!(found.len(), expected.len(), "{label}: {query} by {limit}");
            assert!(found.iter().zip(&expected).all(|(a, b)| a == *b), "{label}: {query} by {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_search_finds_what_looking_at_every_event_finds() {
    let mut world = World::new(3).await;
    for round in 0..6 {
        for host in 0..3 {
            // Large ones alone, small ones side by side, some late.
            let n_events = if (round + host) % 4 == 0 { 2_500 } else { 40 };
            let ago = Duration::from_secs((7 * round as u64 % 5) * 600);
            world.store(host, n_events, ago).await;
        }
    }
    check_all(&world, "fresh").await;
    world.merge(2 * MINUTE_US).await;
    check_all(&world, "merged").await;
    for host in 0..3 {
        world.store(host, 60, Duration::from_secs(1200)).await;
    }
    check_all(&world, "both").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_goes_on_exactly_while_batches_come_and_move() {
    let mut world = World::new(2).await;
    for _ in 0..5 {
        world.store(0, 90, Duration::from_secs(60)).await;
        world.store(1, 1_200, Duration::from_secs(60)).await;
    }
    let query = "event.action:exec";
    let before: Vec<String> = {
        let since = wall_clock().saturating_add_ns(-86_400_000_000_000);
        world.expected(query, since, wall_clock()).iter().map(|event| text(event, Field::EventId)).collect()
    };
    let (mut found, mut cursor, mut n_pages) = (Vec::new(), None, 0);
    loop {
        let (events, next) = world.page(query, 150, cursor).await;
        found.extend(ids(&events));
        cursor = next;
        if cursor.is_none() {
            break;
        }
        n_pages += 1;
        // Between two pages newer events come, minutes are merged, and at last dropped.
        world.store(n_pages % 2, 200, Duration::ZERO).await;
        world.merge(n_pages as i64 * 3 * MINUTE_US).await;
    }
    assert!(n_pages > 5, "{n_pages} pages");
    assert_eq!(found, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_those_of_looking_at_every_event() {
    let mut world = World::new(2).await;
    for round in 0..4 {
        world.store(0, 1_500, Duration::from_secs(900 * round)).await;
        world.store(1, 80, Duration::from_secs(700 * round)).await;
    }
    let fields = [
        Field::ProcessName,
        Field::ProcessExecutable,
        Field::EventAction,
        Field::HostName,
        Field::HostTags,
        Field::DestinationPort,
        Field::DestinationIp,
        Field::ProcessParentName,
        Field::ProcessUserId,
        Field::ProcessAncestorName,
        Field::ProcessCommandLine,
        Field::ProcessArgs,
        Field::ProcessExitCode,
        Field::NetworkDirection,
    ];
    let day_ago = wall_clock().saturating_add_ns(-86_400_000_000_000);
    for query in ["", "event.action:exec", "destination.port:443"] {
        let expected = world.expected(query, day_ago, wall_clock());
        for field in fields {
            let request = Request {
                query: query.into(),
                top: Some(field.name().into()),
                limit: Some(10_000),
                ..Request::default()
            };
            let (Answer::Top(top), None) = world.run(&request).await else { panic!("a top") };
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for event in &expected {
                let json = event.to_json();
                let value = field.name().split('.').try_fold(&json, |json, name| json.get(name)).cloned();
                let mut values = match value {
                    None => continue,
                    Some(serde_json::Value::Array(items)) => items.iter().map(ToString::to_string).collect(),
                    Some(value) => vec![value.to_string()],
                };
                values.sort_unstable();
                values.dedup();
                values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            let found: BTreeMap<String, u64> = top.values.iter().map(|(v, n)| (v.to_string(), *n)).collect();
            assert_eq!(found, counts, "{query} by {field}");
            assert!(top.values.is_sorted_by(|a, b| a.1 >= b.1));
        }
        let request = Request { query: query.into(), histogram: Some(50), ..Request::default() };
        let (Answer::Histogram(buckets), None) = world.run(&request).await else { panic!("a histogram") };
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), expected.len() as u64);
        let times = world.events.iter().map(|(position, event)| (position.time, event));
        let (first, second) = (buckets[buckets.len() - 2].start, buckets[buckets.len() - 1].start);
        let predicate = Predicate::parse(query, &Options::default()).unwrap();
        let within =
            times.filter(|(time, event)| *time >= first && *time < second && predicate.matches(event));
        assert_eq!(buckets[buckets.len() - 2].count, within.count() as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_for_a_process_finds_it_and_its_descendants() {
    let mut world = World::new(3).await;
    for host in 0..3 {
        world.store(host, 1_500, Duration::from_secs(60)).await;
    }
    let day_ago = wall_clock().saturating_add_ns(-86_400_000_000_000);
    let parent =
        world.events.iter().map(|(_, event)| text(event, Field::ProcessParentEntityId)).next_back().unwrap();
    for field in ["process.entity_id", "process.parent.entity_id", "process.ancestor.entity_id"] {
        let query = format!("{field}:{parent}");
        let expected = world.expected(&query, day_ago, wall_clock());
        assert_eq!(world.all_pages(&query, 1_000).await, expected.into_iter().cloned().collect::<Vec<_>>());
    }
    let (none, _) = world.page("process.entity_id:00000000000000aa", 10, None).await;
    assert!(none.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_and_hosts_narrow_a_search() {
    let mut world = World::new(2).await;
    for minutes in [50, 30, 10] {
        world.store(0, 100, Duration::from_secs(60 * minutes)).await;
        world.store(1, 100, Duration::from_secs(60 * minutes)).await;
    }
    let (since, until) = ("35m", "20m");
    let request = Request {
        since: Some(since.into()),
        until: Some(until.into()),
        host: Some("web-2".into()),
        limit: Some(10_000),
        ..Request::default()
    };
    let (Answer::Events(events), None) = world.run(&request).await else { panic!("events") };
    assert!(!events.is_empty() && events.len() <= 100);
    assert!(events.iter().all(|event| text(event, Field::HostId) == host_id(2).to_string()));
    let now = wall_clock();
    for event in &events {
        let Some(Value::Time(time)) = event.row.get(Field::Timestamp) else { panic!("a time") };
        assert!(now.ns_since(*time) < 36 * 60_000_000_000 && now.ns_since(*time) > 19 * 60_000_000_000);
    }
    let fleet = world.engine.fleet().await.unwrap();
    let unknown = Request { host: Some("web-9".into()), ..Request::default() };
    assert!(Search::new(&unknown, &fleet, now).is_err());
}

/// Statements of readers that the server works on.
async fn n_running(pool: &Pool) -> i64 {
    support::count(
        pool,
        "select count(*) from pg_stat_activity
          where datname = current_database() and state = 'active' and query like '%pg_sleep(%' and pid <> pg_backend_pid()",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_stops_the_statement() {
    let db = scratch::database().await;
    let mut reader = Reader::open(&db.pool, Duration::from_secs(60)).await.unwrap();
    let pool = db.pool.clone();
    let waiting = tokio::spawn(async move {
        sqlx::query("select pg_sleep(50)").execute(reader.conn().unwrap()).await.unwrap();
    });
    let patience = Duration::from_secs(20);
    let begun = async { while n_running(&pool).await == 0 {} };
    tokio::time::timeout(patience, begun).await.expect("the statement runs");
    waiting.abort();
    let ended = async { while n_running(&pool).await > 0 {} };
    tokio::time::timeout(patience, ended).await.expect("the statement was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_its_time_and_a_reader_gives_back_a_clean_connection() {
    let db = scratch::database().await;
    let mut reader = Reader::open(&db.pool, Duration::from_millis(50)).await.unwrap();
    let slow = sqlx::query("select pg_sleep(50)").execute(reader.conn().unwrap()).await;
    assert!(slow.unwrap_err().to_string().contains("statement timeout"));
    reader.close().await.unwrap();
    let timeout: String = sqlx::query_scalar("show statement_timeout").fetch_one(&db.pool).await.unwrap();
    assert_eq!(timeout, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_dropped_half_way_leaves_nothing_behind() {
    let mut world = World::new(1).await;
    for _ in 0..4 {
        world.store(0, 3_000, Duration::ZERO).await;
    }
    let fleet = world.engine.fleet().await.unwrap();
    for n in 0..40 {
        let search = Arc::new(Search::new(&Request::default(), &fleet, wall_clock()).unwrap());
        let mut running = Box::pin(world.engine.run(search, Arc::clone(&fleet), Arc::<Progress>::default()));
        for _ in 0..n {
            if running.as_mut().now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // All permits and connections are there again.
    let (events, _) = world.page("", 10, None).await;
    assert_eq!(events.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_has_the_ancestors_that_the_events_tell() {
    let mut world = World::new(2).await;
    for _ in 0..3 {
        world.store(0, 1_500, Duration::ZERO).await;
        world.store(1, 50, Duration::ZERO).await;
    }
    world.merge(2 * MINUTE_US).await;
    let fleet = world.engine.fleet().await.unwrap();
    let exec = world.events.iter().rev().map(|(_, event)| event).find(|event| {
        let is_deep = matches!(event.row.get(Field::ProcessAncestorEntityId), Some(Value::List(items)) if items.len() >= 2);
        text(event, Field::EventAction) == "exec" && is_deep
    });
    let exec = exec.unwrap();
    let entity = text(exec, Field::ProcessEntityId).parse().unwrap();
    let tree = lineage::tree(&world.pool, &world.engine, &fleet, &Asked::Entity { entity, host: None })
        .await
        .unwrap();
    let Some(Value::List(ancestors)) = exec.row.get(Field::ProcessAncestorEntityId) else {
        panic!("ancestors")
    };
    let shown: Vec<String> = tree.nodes.iter().map(|node| node.row.entity.to_string()).collect();
    let told: Vec<String> =
        ancestors.iter().rev().map(|item| String::from_utf8_lossy(item).into_owned()).collect();
    assert_eq!(shown[..told.len()], told);
    let own = &tree.nodes[told.len()];
    assert_eq!((own.row.entity, own.depth), (entity, told.len()));
    assert_eq!(own.fields.get(Field::ProcessExecutable), exec.row.get(Field::ProcessExecutable));
    for node in &tree.nodes {
        assert!(node.fields.get(Field::ProcessCommandLine).is_some(), "{node:?}");
        let exited = world.events.iter().any(|(_, event)| {
            text(event, Field::EventAction) == "exit"
                && text(event, Field::ProcessEntityId) == node.row.entity.to_string()
        });
        assert_eq!(matches!(node.state, State::Exited { code: Some(_) }), exited, "{node:?}");
    }

    // By its process id, too; the sample never uses one again.
    let Some(Value::Uint(pid)) = exec.row.get(Field::ProcessPid) else { panic!("a pid") };
    let asked = Asked::Pid { host: tree.host, pid: u32::try_from(*pid).unwrap(), at: wall_clock() };
    let by_pid = lineage::tree(&world.pool, &world.engine, &fleet, &asked).await.unwrap();
    assert_eq!(by_pid.entity, entity);
    let asked = Asked::Pid { host: tree.host, pid: 4_000_000, at: wall_clock() };
    let unknown = lineage::tree(&world.pool, &world.engine, &fleet, &asked).await.unwrap_err();
    assert!(matches!(unknown, LineageError::UnknownPid { .. }), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_shows_what_is_stored_and_says_what_it_missed() {
    let mut world = World::new(2).await;
    let predicate = |text: &str| Predicate::parse(text, &Options::default()).unwrap();
    let tail = |query: &str, host| {
        Tail::new(predicate(query), host, Arc::clone(&world.engine), world.ingest.committed.subscribe())
    };
    let mut exits = tail("event.action:exit and host.tags:\"env=test\"", Some(host_id(2)));
    let mut slow = tail("", None);
    world.store(0, 100, Duration::ZERO).await;
    world.store(1, 100, Duration::ZERO).await;
    let Some(Message::Events(events)) = exits.next().await else { panic!("events") };
    let expected: Vec<FlatEvent> = world
        .events
        .iter()
        .map(|(_, event)| event.clone())
        .filter(|event| {
            text(event, Field::EventAction) == "exit" && text(event, Field::HostId) == host_id(2).to_string()
        })
        .collect();
    assert_eq!(events.len(), expected.len());
    assert_eq!(ids(&events), ids(&expected));

    for _ in 0..vedette_collector::ingest::COMMITTED_CAPACITY {
        world.store(0, 1, Duration::ZERO).await;
    }
    assert!(matches!(slow.next().await, Some(Message::Lagged { n_batches: 2 })));
    assert!(matches!(slow.next().await, Some(Message::Events(_))));
}
