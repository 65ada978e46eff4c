//! Batches that could not be stored: kept, shown, and stored in their place when they can be.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "support/api.rs"]
mod api;
mod support;

use api::Api;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use support::{Ingest, Source, count, everything, header, read, stream, wall_clock};
use vedette_collector::access::Role;
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch;
use vedette_collector::store::accounts;
use vedette_collector::store::hosts::{self, NewHost};
use wire::batch::Sealed;
use wire::enrolment::HostFacts;
use wire::frame::RejectReason;
use wire::id::HostId;

struct World {
    api: Api,
    ingest: Ingest,
    viewer: String,
    admin: String,
}

impl World {
    async fn new() -> Self {
        let db = scratch::database().await;
        let ingest = Ingest::start(&db.pool, wall_clock);
        let api = Api::over(db.pool, ingest.committed.clone()).await;
        let (viewer, admin) = (api.token(Role::Viewer).await, api.token(Role::Admin).await);
        Self { api, ingest, viewer, admin }
    }

    async fn enroll(&self, id: HostId, name: &str) {
        let facts = HostFacts {
            name: name.into(),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            sensor_version: "0.1.0".into(),
            boot: None,
        };
        let now = self.api.now();
        let host = NewHost { id, facts: &facts, tags: &[], serial: [0; 16], certified_until: now, now };
        hosts::enroll(&self.api.pool, host).await.unwrap();
    }

    async fn send(&self, host: HostId, sealed: &Sealed) -> Outcome {
        self.ingest.batch(host, sealed).await.await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.api.call(Method::GET, path, Some(&self.admin), None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn listed(&self) -> Vec<Value> {
        self.get("/api/v1/quarantine").await["batches"].as_array().unwrap().clone()
    }

    async fn replay(&self, id: &Value) -> (StatusCode, Value) {
        let path = format!("/api/v1/quarantine/{}/replay", id.as_str().unwrap());
        self.api.call(Method::POST, &path, Some(&self.admin), None).await
    }

    /// The host's ledger, over all its streams, and each of them.
    async fn ledgers(&self, host: &str) -> (Value, Vec<Value>) {
        let shown = self.get(&format!("/api/v1/hosts/{host}")).await;
        (shown["ledger"].clone(), shown["streams"].as_array().unwrap().clone())
    }

    async fn is_balanced(&self) {
        let mut conn = self.api.pool.acquire().await.unwrap();
        for totals in accounts::of_hosts(&mut conn).await.unwrap() {
            assert_eq!((totals.n_residues, totals.account.residue()), (0, 0), "{totals:?}");
        }
    }
}

/// Stands for what only the server can object to, and what an upgrade's migration takes away.
async fn objects_to(world: &World, host: HostId) {
    let sql = format!("alter table process add constraint odd check (host <> '{host}') not valid");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&world.api.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refused_is_stored_once_by_a_replay_and_the_ledger_closes() {
    let world = World::new().await;
    let (mut bad, mut good) = (Source::new(1), Source::new(2));
    world.enroll(bad.id, "bad").await;
    world.enroll(good.id, "good").await;
    assert!(matches!(world.send(bad.id, &bad.batch(20)).await, Outcome::Stored { .. }));
    objects_to(&world, bad.id).await;
    // In the middle of its stream, and at its end; a neighbour's comes in the same commit.
    let (middle, last) = (bad.batch(30), bad.batch(40));
    let (refused, neighbour) = {
        let answers =
            (world.ingest.batch(bad.id, &middle).await, world.ingest.batch(good.id, &good.batch(10)).await);
        (answers.0.await.unwrap(), answers.1.await.unwrap())
    };
    assert!(
        matches!(refused, Outcome::Rejected { reason: RejectReason::Store, next_seq: 50, .. }),
        "{refused:?}"
    );
    assert!(matches!(neighbour, Outcome::Stored { next_seq: 10, .. }), "{neighbour:?}");
    assert!(matches!(world.send(bad.id, &last).await, Outcome::Rejected { next_seq: 90, .. }));

    // Until a good batch comes, the ledger is as of the first one's end, and holds there.
    let (ledger, streams) = world.ledgers("bad").await;
    assert_eq!(
        (&ledger["generated"], &ledger["stored"], &ledger["residue"]),
        (&20.into(), &20.into(), &0.into()),
        "{ledger}"
    );
    assert_eq!((&streams[0]["boundary_sequence"], &streams[0]["next_sequence"]), (&20.into(), &90.into()));
    world.is_balanced().await;

    let listed = world.listed().await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!((&listed[0]["first_sequence"], &listed[1]["first_sequence"]), (&50.into(), &20.into()));
    assert!(listed[0]["reason"].as_str().unwrap().contains("odd"), "{listed:?}");
    let shown = world.get(&format!("/api/v1/quarantine/{}", listed[1]["id"].as_str().unwrap())).await;
    assert_eq!(shown["header"]["generated"], 50, "{shown}");
    // Only an admin replays, and as long as the server objects it stays.
    let path = format!("/api/v1/quarantine/{}/replay", listed[0]["id"].as_str().unwrap());
    let (status, _) = world.api.call(Method::POST, &path, Some(&world.viewer), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, again) = world.replay(&listed[0]["id"]).await;
    assert_eq!((status, &again["outcome"]), (StatusCode::OK, &"refused".into()), "{again}");
    assert_eq!(world.listed().await[0]["tries"], 1);

    sqlx::query("alter table process drop constraint odd").execute(&world.api.pool).await.unwrap();
    for (batch, n_stored, boundary) in [(&listed[0], 60, 90), (&listed[1], 90, 90)] {
        let (status, stored) = world.replay(&batch["id"]).await;
        assert_eq!((status, &stored["outcome"]), (StatusCode::OK, &"stored".into()), "{stored}");
        let (ledger, streams) = world.ledgers("bad").await;
        assert_eq!((&ledger["stored"], &ledger["residue"]), (&n_stored.into(), &0.into()), "{ledger}");
        assert_eq!(streams[0]["boundary_sequence"], boundary);
        world.is_balanced().await;
    }
    let (status, _) = world.replay(&listed[0]["id"]).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is there no more");
    let (ledger, _) = world.ledgers("bad").await;
    assert_eq!((&ledger["generated"], &ledger["rejected"]), (&90.into(), &0.into()), "{ledger}");

    // Each once, as it was sent, and found by a search; the stream goes on behind it.
    let met = read(&mut world.api.pool.acquire().await.unwrap(), &everything(), 100).await;
    for sealed in [&middle, &last] {
        let at = (stream(bad.id, sealed), header(sealed).first_seq);
        assert_eq!(met[&at], std::slice::from_ref(sealed));
    }
    let search = "/api/v1/search?since=2000-01-01T00:00:00Z&until=2100-01-01T00:00:00Z&host=bad&limit=1000";
    assert_eq!(world.get(search).await["events"].as_array().unwrap().len(), 90);
    assert!(matches!(world.send(bad.id, &bad.batch(5)).await, Outcome::Stored { next_seq: 95, .. }));
    assert_eq!(count(&world.api.pool, "select count(*) from gap").await, 0);
    assert_eq!(world.api.audited("quarantine.replay").await, 3);
    world.is_balanced().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_replay_one_batch_store_it_once() {
    let world = World::new().await;
    let mut bad = Source::new(1);
    world.enroll(bad.id, "bad").await;
    objects_to(&world, bad.id).await;
    assert!(matches!(world.send(bad.id, &bad.batch(30)).await, Outcome::Rejected { .. }));
    sqlx::query("alter table process drop constraint odd").execute(&world.api.pool).await.unwrap();
    let id = world.listed().await[0]["id"].clone();
    let both = tokio::join!(world.replay(&id), world.replay(&id));
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::NOT_FOUND]);
    let met = read(&mut world.api.pool.acquire().await.unwrap(), &everything(), 100).await;
    assert_eq!(met.values().map(Vec::len).collect::<Vec<_>>(), [1]);
    world.is_balanced().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_stays_with_its_reason_and_bytes_beyond_the_bound_are_not_kept() {
    let world = World::new().await;
    let mut bad = Source::new(1);
    world.enroll(bad.id, "bad").await;
    let n_kept = vedette_collector::store::quarantine::MAX_KEPT_PER_HOST as usize;
    for _ in 0..=n_kept {
        let mut sealed = bad.batch(10);
        let mut payload = sealed.payload.to_vec();
        let middle = payload.len() / 2;
        payload[middle] ^= 0x55;
        sealed.payload = payload.into();
        assert!(matches!(world.send(bad.id, &sealed).await, Outcome::Rejected { .. }));
    }
    let listed = world.listed().await;
    assert_eq!(listed.len(), n_kept + 1);
    assert_eq!(listed.iter().filter(|batch| batch.get("bytes").is_some()).count(), n_kept);
    for batch in &listed {
        let (status, came) = world.replay(&batch["id"]).await;
        assert_eq!((status, &came["outcome"]), (StatusCode::OK, &"refused".into()), "{came}");
        let kept = batch.get("bytes").is_some();
        assert_eq!(came["reason"].as_str().unwrap().contains("not kept"), !kept, "{came}");
    }
    assert_eq!(world.listed().await.len(), n_kept + 1);
    // A good one after them: what was refused is in the equation.
    assert!(matches!(world.send(bad.id, &bad.batch(5)).await, Outcome::Stored { .. }));
    let (ledger, _) = world.ledgers("bad").await;
    let n_refused = (n_kept as u64 + 1) * 10;
    assert_eq!(
        (&ledger["rejected"], &ledger["generated"]),
        (&n_refused.into(), &(n_refused + 5).into()),
        "{ledger}"
    );
    assert_eq!(ledger["residue"], 0);
    let wrong = world.get("/api/v1/status").await["wrong"].to_string();
    assert!(wrong.contains("vedette quarantine"), "{wrong}");
}
