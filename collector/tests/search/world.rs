//! A fleet under test: what is stored, and the same flattened, to compare with.

use std::sync::Arc;
use std::time::Duration;

use vedette_collector::ingest::Committed;
use vedette_collector::listener::Outcome;
use vedette_collector::merge;
use vedette_collector::postgres::scratch;
use vedette_collector::search::{Answer, Engine, Position, Progress, Request, Search};
use vedette_collector::store::{Group, Pool, Stamp, hosts};
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

use crate::support::{Ingest, host_id, wall_clock};

/// A fleet under test: what is stored, and the same flattened, to compare with.
pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) ingest: Ingest,
    pub(crate) engine: Arc<Engine>,
    hosts: Vec<(HostId, Host)>,
    builder: Builder,
    pub(crate) events: Vec<(Position, FlatEvent)>,
    committed: tokio::sync::broadcast::Receiver<Arc<Committed>>,
}

impl World {
    pub(crate) async fn new(n_hosts: u64) -> Self {
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
    pub(crate) async fn store(&mut self, host: usize, n_events: u32, ago: Duration) {
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
    pub(crate) fn expected(&self, query: &str, since: WallTime, until: WallTime) -> Vec<&FlatEvent> {
        let predicate = Predicate::parse(query, &Options { now: until, store_fields: false }).unwrap();
        let mut found: Vec<&(Position, FlatEvent)> = self
            .events
            .iter()
            .filter(|(position, event)| (since..=until).contains(&position.time) && predicate.matches(event))
            .collect();
        found.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
        found.into_iter().map(|(_, event)| event).collect()
    }

    pub(crate) async fn run(&self, request: &Request) -> (Answer, Option<String>) {
        let fleet = self.engine.fleet().await.unwrap();
        let search = Search::new(request, &fleet, wall_clock()).unwrap();
        let search = self.engine.narrowed(search).await.unwrap();
        let outcome = self.engine.run(Arc::new(search), fleet, Arc::<Progress>::default()).await.unwrap();
        assert_eq!(outcome.stats.n_unreadable, 0);
        (outcome.answer, outcome.cursor)
    }

    pub(crate) async fn page(
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

    pub(crate) async fn all_pages(&self, query: &str, limit: u32) -> Vec<FlatEvent> {
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
    pub(crate) async fn merge(&self, later: i64) {
        let config = merge::Config { pool: self.pool.clone(), group: Group::WHOLE };
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

pub(crate) fn ids(events: &[FlatEvent]) -> Vec<String> {
    events.iter().map(|event| text(event, Field::EventId)).collect()
}

pub(crate) fn text(event: &FlatEvent, field: Field) -> String {
    match event.row.get(field) {
        Some(Value::Keyword(text)) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}
