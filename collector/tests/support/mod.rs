//! A store under test: a database of its own, ingest fed directly, and a reader of everything.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;
use vedette_collector::ca::CertifiedHost;
use vedette_collector::export::Feed;
use vedette_collector::ingest::{self, Committed};
use vedette_collector::listener::{Delivery, Intake, Item, Outcome, intake};
use vedette_collector::presence::Tails;
use vedette_collector::store::candidates::{self, PageEnd, Place, Wanted};
use vedette_collector::store::{Group, Stamp, slices};
use wire::batch::{Builder, Digest, Header, Sealed};
use wire::id::{HostId, StreamId};
use wire::sample::{Host, Mix};
use wire::time::WallTime;

pub fn wall_clock() -> WallTime {
    let now = jiff::Timestamp::now();
    WallTime::from_unix_ns(i64::try_from(now.as_nanosecond()).unwrap())
}

pub fn host_id(n: u64) -> HostId {
    HostId::new(Uuid::from_u128(0xa000_0000_0000_0000_0000_0000_0000_0000 | u128::from(n)))
}

/// A host that makes batches.
pub struct Source {
    pub id: HostId,
    host: Host,
    builder: Builder,
}

impl Source {
    pub fn new(n: u64) -> Self {
        Self { id: host_id(n), host: Host::new(n, Mix::BENCHMARK), builder: Builder::new() }
    }

    pub fn batch(&mut self, n_events: u32) -> Sealed {
        self.host.batch(&mut self.builder, n_events)
    }
}

pub fn header(sealed: &Sealed) -> Header {
    Header::decode(&sealed.header).unwrap()
}

pub fn stream(host: HostId, sealed: &Sealed) -> StreamId {
    let header = header(sealed);
    StreamId { host, epoch: header.epoch, lane: header.lane }
}

/// Ingest, fed directly.
pub struct Ingest {
    pub pool: PgPool,
    pub committed: broadcast::Sender<Arc<Committed>>,
    deliveries: Intake,
    running: JoinHandle<()>,
    clock: fn() -> WallTime,
}

impl Ingest {
    pub fn start(pool: &PgPool, clock: fn() -> WallTime) -> Self {
        Self::feeding(pool, clock, Feed::default())
    }

    /// The same, that tells an export what it has stored.
    pub fn feeding(pool: &PgPool, clock: fn() -> WallTime, feed: Feed) -> Self {
        let (deliveries, from) = intake(4096);
        let (committed, _) = broadcast::channel(ingest::COMMITTED_CAPACITY);
        let config = ingest::Config {
            pool: pool.clone(),
            group: Group::WHOLE,
            clock,
            committed: committed.clone(),
            run: Uuid::nil(),
            tails: Tails::default(),
            feed,
        };
        let running = tokio::spawn(ingest::run(config, from));
        Self { pool: pool.clone(), committed, deliveries, running, clock }
    }

    /// Sends something; the answer comes later.
    pub async fn send(&self, stream: StreamId, item: Item) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        let delivery = Delivery {
            host: CertifiedHost { host: stream.host, serial: [0; 16], not_after: i64::MAX },
            host_name: "a-host".into(),
            received_at: (self.clock)(),
            is_behind: false,
            epoch: stream.epoch,
            lane: stream.lane,
            item,
            reply,
        };
        self.deliveries.send(delivery).await.unwrap();
        answer
    }

    pub async fn batch(&self, host: HostId, sealed: &Sealed) -> oneshot::Receiver<Outcome> {
        let Header { first_seq, n_events, .. } = header(sealed);
        let item = Item::Batch { first_seq, n_events, sealed: sealed.clone() };
        self.send(stream(host, sealed), item).await
    }

    pub async fn tombstone(
        &self,
        stream: StreamId,
        first_seq: u64,
        n_events: u64,
        digest: Digest,
    ) -> oneshot::Receiver<Outcome> {
        self.send(stream, Item::Tombstone { first_seq, n_events, digest }).await
    }

    /// Ends it when everything sent is answered.
    pub async fn finish(self) {
        drop(self.deliveries);
        self.running.await.unwrap();
    }
}

pub fn everything() -> Wanted {
    Wanted {
        buckets: (0..64).collect(),
        hosts: None,
        since: Stamp::from_unix_us(0),
        until: Stamp::from_unix_us(4_000_000_000_000_000),
        terms: vec![],
    }
}

/// What a search over everything meets: each batch as often as it was met, with its bytes.
pub async fn read(
    conn: &mut PgConnection,
    wanted: &Wanted,
    page: u32,
) -> BTreeMap<(StreamId, u64), Vec<Sealed>> {
    let (horizon, mut keys) = candidates::fresh(conn, Group::WHOLE, wanted).await.unwrap();
    let mut after: Option<PageEnd> = None;
    loop {
        let found = candidates::merged(conn, wanted, horizon, after, page).await.unwrap();
        let Some(last) = found.last() else { break };
        after = Some(last.into());
        keys.extend(found);
    }
    let mut met: BTreeMap<(StreamId, u64), Vec<Sealed>> = BTreeMap::new();
    for candidate in keys {
        match batches(conn, wanted, candidate.key).await {
            Some(batches) => batches.into_iter().for_each(|(at, b)| met.entry(at).or_default().push(b)),
            None => {
                // Merged and dropped since: only what was in it counts, and that is not known any more.
                assert_eq!(candidate.key.place, Place::Fresh);
                panic!("a fresh segment was dropped within the time that searches are promised");
            }
        }
    }
    met
}

pub async fn batches(
    conn: &mut PgConnection,
    wanted: &Wanted,
    key: candidates::SegmentKey,
) -> Option<Vec<((StreamId, u64), Sealed)>> {
    let contents = slices::contents(conn, &[key]).await.unwrap().remove(0)?;
    let entries: Vec<_> = contents.entries.iter().filter(|e| contents.has(e, &wanted.terms)).collect();
    let ranges: Vec<_> = entries.iter().map(|e| (key, e.range())).collect();
    let bytes = slices::slices(conn, &ranges).await.unwrap();
    let mut bytes = bytes.into_iter().map(|b| b.expect("the segment was there a moment ago"));
    let mut all = Vec::new();
    for entry in entries {
        let (header, payload) = (entry.head.bytes(), bytes.next().unwrap());
        // With its sum again, where it was packed.
        let payload = wire::batch::restored(&header, &payload).unwrap_or(payload);
        all.push(((entry.stream, entry.first_seq), Sealed { header, payload }));
    }
    Some(all)
}

/// What each batch proves, alone.
pub fn proofs(met: &BTreeMap<(StreamId, u64), Vec<Sealed>>) -> BTreeMap<(StreamId, u64), Vec<Digest>> {
    let proofs = |copies: &Vec<Sealed>| copies.iter().map(|sealed| Digest::START.after(sealed)).collect();
    met.iter().map(|(at, copies)| (*at, proofs(copies))).collect()
}

pub async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}
