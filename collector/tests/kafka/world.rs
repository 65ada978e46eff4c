//! A store that is fed, an export of it, and what came of both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vedette_collector::access::Role;
use vedette_collector::export::{self, Feed};
use vedette_collector::kafka::{Create, Settings, Topic};
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch;
use vedette_collector::presence::Tails;
use vedette_collector::record::{Format, Group};
use vedette_collector::store::hosts::{self, NewHost};
use vedette_collector::store::{Group as Buckets, exports};
use wire::enrolment::HostFacts;
use wire::id::EventId;
use wire::time::WallTime;

use crate::api::Api;
use crate::broker::{Broker, Read, assert_order};
use crate::support::{Ingest, Source, wall_clock};

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) ingest: Ingest,
    pub(crate) feed: Feed,
    pub(crate) sources: Vec<Source>,
    api: Api,
    token: String,
    /// Of the names of its topics.
    pub(crate) prefix: String,
}

/// An export that runs.
pub(crate) struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new(n_hosts: u64) -> Self {
        let db = scratch::database().await;
        let feed = Feed::new();
        let ingest = Ingest::feeding(&db.pool, wall_clock, feed.clone());
        let api = Api::over(db.pool.clone(), broadcast::Sender::new(16)).await;
        let token = api.token(Role::Admin).await;
        let sources: Vec<Source> = (1..=n_hosts).map(Source::new).collect();
        let now = api.now();
        for (n, source) in sources.iter().enumerate() {
            let facts = HostFacts {
                name: format!("web-{n}"),
                kernel: "6.1.0".into(),
                arch: "x86_64".into(),
                sensor_version: "0.1.0".into(),
                boot: None,
            };
            let host = NewHost {
                id: source.id,
                facts: &facts,
                tags: &[],
                serial: [0; 16],
                certified_until: now,
                now,
            };
            hosts::enroll(&db.pool, host).await.unwrap();
        }
        let prefix = format!("t{}", Uuid::new_v4().simple());
        Self { pool: db.pool, ingest, feed, sources, api, token, prefix }
    }

    /// Stores a batch of each host, of so many events.
    pub(crate) async fn store(&mut self, n_events: u32) {
        let mut answers = Vec::new();
        for source in &mut self.sources {
            answers.push(self.ingest.batch(source.id, &source.batch(n_events)).await);
        }
        for answer in answers {
            let outcome = answer.await.unwrap();
            assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
        }
    }

    /// Everything into one topic, which is made.
    /// A batch of so many events comes of the first host, and something is wrong with the store: what becomes of it.
    pub(crate) async fn quarantined(&mut self, n_events: u32) -> Outcome {
        let source = &mut self.sources[0];
        let sql = format!("alter table process add constraint odd check (host <> '{}') not valid", source.id);
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
        let refused = source.batch(n_events);
        let outcome = self.ingest.batch(source.id, &refused).await.await.unwrap();
        sqlx::query("alter table process drop constraint odd").execute(&self.pool).await.unwrap();
        outcome
    }

    pub(crate) fn settings(&self, broker: &Broker) -> Settings {
        settings(&self.prefix, &broker.address())
    }

    pub(crate) fn export(&self, settings: Settings) -> Exporting {
        self.export_as(Uuid::now_v7(), settings)
    }

    /// The same as another collector's.
    pub(crate) fn export_as(&self, run: Uuid, settings: Settings) -> Exporting {
        let config = export::Config {
            pool: self.pool.clone(),
            group: Buckets::WHOLE,
            run,
            settings,
            feed: self.feed.clone(),
            tails: Tails::default(),
            clock: wall_clock,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(export::run(config, stop.clone()));
        Exporting { stop, task }
    }

    /// Waits until everything that is stored counts as exported.
    pub(crate) async fn exported(&self) {
        self.exported_within(Duration::from_secs(40)).await;
    }

    pub(crate) async fn exported_within(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        loop {
            let totals = exports::totals(&mut self.pool.acquire().await.unwrap()).await.unwrap();
            if totals.n_events == 0 {
                return;
            }
            let said = self.status().await;
            assert!(Instant::now() < until, "{totals:?} after {at_most:?}: {said}");
            tokio::time::sleep(Duration::from_millis(100)).await; // poll interval
        }
    }

    pub(crate) async fn status(&self) -> Value {
        let (status, body) = self.api.call(Method::GET, "/api/v1/status", Some(&self.token), None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::json!({ "kafka": body["kafka"], "wrong": body["wrong"] })
    }

    /// Waits until `status` says this of Kafka.
    pub(crate) async fn said(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let said = self.status().await.to_string();
            if said.contains(what) {
                return;
            }
            assert!(Instant::now() < until, "{what:?} is not said: {said}");
            tokio::time::sleep(Duration::from_millis(200)).await; // poll interval
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.api.call(Method::GET, path, Some(&self.token), None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str) -> Value {
        let (status, body) = self.api.call(Method::POST, path, Some(&self.token), None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// What a search over everything returns, by id.
    pub(crate) async fn searched(&self, query: &str) -> BTreeMap<String, Value> {
        let query: String = query.replace(' ', "%20").replace(':', "%3A");
        let base = format!(
            "/api/v1/search?query={query}&since=2000-01-01T00:00:00Z&until=2100-01-01T00:00:00Z&limit=10000"
        );
        let mut found = BTreeMap::new();
        let mut cursor = None::<String>;
        loop {
            let path = cursor.map_or_else(|| base.clone(), |cursor| format!("{base}&cursor={cursor}"));
            // More than the API's tests read of an answer.
            let response = self.api.response(Method::GET, &path, Some(&self.token), None).await;
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
            let page: Value = serde_json::from_slice(&bytes).unwrap();
            let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}"));
            for event in events {
                found.insert(event["event"]["id"].as_str().unwrap().to_owned(), event.clone());
            }
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return found,
            }
        }
    }

    /// The same world with a clock that is so far ahead: what is stored from now on is behind what was merged.
    pub(crate) async fn later(self) -> Self {
        let Self { pool, ingest, feed, sources, api, token, prefix } = self;
        ingest.finish().await;
        let ingest = Ingest::feeding(&pool, ahead, feed.clone());
        Self { pool, ingest, feed, sources, api, token, prefix }
    }

    /// Reads all events back.
    pub(crate) fn read(&self, broker: &Broker) -> Vec<Read> {
        let (_, events) = self.findings_and_events(broker);
        events
    }

    pub(crate) fn findings_and_events(&self, broker: &Broker) -> (Vec<Read>, Vec<Read>) {
        let topics = format!("{}.*", self.prefix);
        let read = tokio::task::block_in_place(|| broker.read(&topics));
        read.into_iter().partition(|record| record.header("ce_type").starts_with("vedette.finding."))
    }
}

/// Everything into one topic, which is made.
pub(crate) fn settings(topic: &str, bootstrap: &str) -> Settings {
    let topic = Topic { name: topic.to_owned(), format: Format::Native };
    Settings {
        bootstrap: bootstrap.to_owned(),
        topics: Group::ALL.iter().copied().map(|group| (group, topic.clone())).collect(),
        filter: String::new(),
        create: Some(Create { partitions: 3, replication: None }),
        from_now: false,
        findings: true,
        source: "/vedette".into(),
        properties: BTreeMap::new(),
    }
}

/// Three minutes ahead.
fn ahead() -> WallTime {
    wall_clock().saturating_add_ns(180_000_000_000)
}

impl Exporting {
    /// Stops it as a collector does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it wherever it is.
    pub(crate) async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
    }
}

/// The ids of records, each once.
pub(crate) fn ids(read: &[Read]) -> BTreeSet<String> {
    read.iter().map(|record| record.id().to_owned()).collect()
}

/// Compares what Kafka has with what a search returns: the same ids and the same events. Returns how many came twice.
pub(crate) fn same(read: &[Read], searched: &BTreeMap<String, Value>) -> usize {
    let ids = ids(read);
    let missing: Vec<_> = searched.keys().filter(|id| !ids.contains(*id)).take(5).collect();
    let strange: Vec<_> = ids.iter().filter(|id| !searched.contains_key(*id)).take(5).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing {missing:?}, strange {strange:?}");
    for record in read {
        assert_eq!(record.value, searched[record.id()], "{}", record.id());
    }
    read.len() - ids.len()
}

/// Within a partition, the events of each stream come in their order, but for what comes again.
pub(crate) fn in_order(read: &[Read]) {
    let ids = read.iter().map(|record| (record, record.id().parse::<EventId>().unwrap()));
    assert_order(ids.clone().map(|(record, id)| (record.partition, id)));
    for (record, id) in ids {
        assert_eq!(record.key, id.stream.host.to_string());
    }
}
