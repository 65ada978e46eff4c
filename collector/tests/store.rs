//! The tables on a real PostgreSQL: the rules they follow, merging under readers, retention.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgPool;
use support::{Ingest, Source, batches, count, everything, header, proofs, read, stream, wall_clock};
use uuid::Uuid;
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch;
use vedette_collector::store::candidates::{self, Place};
use vedette_collector::store::findings::{Found, Kind};
use vedette_collector::store::partitions::{self, DAY_US, MINUTE_US, Parent, Partition};
use vedette_collector::store::{Group, Stamp, findings, reach, slices};
use vedette_collector::{merge, retention};
use wire::batch::Digest;
use wire::id::{HostId, StreamId};
use wire::term;
use wire::time::WallTime;

fn merger(pool: &PgPool) -> merge::Config {
    merge::Config { pool: pool.clone(), group: Group::WHOLE }
}

async fn store(ingest: &Ingest, source: &mut Source, n_events: u32) -> (StreamId, u64) {
    let sealed = source.batch(n_events);
    let outcome = ingest.batch(source.id, &sealed).await.await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?}");
    (stream(source.id, &sealed), header(&sealed).first_seq)
}

#[tokio::test]
async fn every_key_has_the_bucket_and_nothing_is_global() {
    let db = scratch::database().await;
    const TABLES: &str =
        "('stream','gap','quarantine','finding','fresh','segment','merge','process','connection',
          'export','export_late','export_refused')";
    let without = format!(
        "select c.relname::text || ': ' || i.relname::text
           from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
          where (x.indisunique or x.indisprimary) and c.relkind in ('r', 'p') and c.relname in {TABLES}
            and not exists (select from pg_attribute a
                             where a.attrelid = c.oid and a.attnum = any(x.indkey) and a.attname = 'bucket')"
    );
    let nullable = format!(
        "select t.relname::text from pg_class t
          where t.relname in {TABLES}
            and not exists (select from pg_attribute a where a.attrelid = t.oid and a.attname = 'bucket'
                             and a.attnotnull and a.atttypid = 'smallint'::regtype)"
    );
    let global = "select relname::text from pg_class where relkind = 'S'
                  union all select tgname::text from pg_trigger where not tgisinternal
                  union all select conname::text from pg_constraint where contype = 'f'
                  union all select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
                             join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                            where c.relnamespace = 'public'::regnamespace and c.relname <> '_sqlx_migrations' and pg_get_expr(d.adbin, d.adrelid) like '%(%'";
    for sql in [without, nullable, global.to_owned()] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).fetch_all(&db.pool).await.unwrap();
        let named: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(named.is_empty(), "{named:?} breaks a rule: {sql}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_connection_is_named_with_what_it_said() {
    let told = async |url: &str| {
        let pool = vedette_collector::store::pool(url, 1).unwrap();
        let error = reach::reach(&pool, Duration::ZERO).await.unwrap_err();
        wire::cause::chain(&error)
    };
    let error = told("postgres://me:secret@127.0.0.1:1/db").await;
    assert!(error.contains("127.0.0.1:1 as me") && error.contains("--database"), "{error}");
    assert!(error.contains("refused") && !error.contains("secret"), "{error}");
    let db = scratch::database().await;
    let (url, _) = db.url.split_once('?').unwrap_or((&db.url, ""));
    let missing = db.url.replace(url.rsplit('/').next().unwrap(), "no_such_database");
    let error = told(&missing).await;
    assert!(error.contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn partitions_keep_the_storage_of_their_parent() {
    let db = scratch::database().await;
    let external = "select count(*) from pg_attribute a join pg_inherits i on i.inhrelid = a.attrelid
                     join pg_class c on c.oid = i.inhrelid and c.relkind = 'r'
                     where a.attname in ('payload', 'directory', 'terms') and a.attstorage <> 'e'";
    assert_eq!(count(&db.pool, external).await, 0);
    assert!(count(&db.pool, "select count(*) from pg_inherits").await > 40);
    let fillfactor =
        "select count(*) from pg_class where relname = 'stream' and 'fillfactor=50' = any(reloptions)";
    assert_eq!(count(&db.pool, fillfactor).await, 1);
}

#[tokio::test]
async fn merging_keeps_every_batch_once_with_its_proof_and_terms() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    fn clock() -> WallTime {
        WallTime::from_unix_ns(NOW.load(Ordering::SeqCst))
    }
    let db = scratch::database().await;
    NOW.store(
        Stamp::floor(wall_clock()).start_of(MINUTE_US).wall().unix_ns() + 60_000_000_000,
        Ordering::SeqCst,
    );
    let ingest = Ingest::start(&db.pool, clock);
    let mut sources: Vec<Source> = (1..=5).map(Source::new).collect();
    for round in 0..12 {
        for source in &mut sources {
            store(&ingest, source, 300 + round).await;
        }
    }
    let mut conn = db.pool.acquire().await.unwrap();
    let before = read(&mut conn, &everything(), 100).await;
    assert_eq!(before.len(), 60);
    let fresh = candidates::fresh(&mut conn, Group::WHOLE, &everything()).await.unwrap().1;
    assert!(!fresh.is_empty());

    let later = Stamp::floor(clock()).plus_us(2 * MINUTE_US);
    assert!(merge::catch_up(&merger(&db.pool), later).await.unwrap() >= 1);
    let after = read(&mut conn, &everything(), 2).await;
    assert_eq!(proofs(&before), proofs(&after));
    assert!(candidates::fresh(&mut conn, Group::WHOLE, &everything()).await.unwrap().1.is_empty());
    // 12 batches of 300 events and a host: one row, as they are fewer than 8,000.
    assert_eq!(count(&db.pool, "select count(*) from segment where merged").await, 5);
    // They are packed, and the chain of each stream can still be followed to its end.
    assert_eq!(count(&db.pool, "select count(*) from segment where packed is not null").await, 5);
    for row in sqlx::query("select host, digest from stream").fetch_all(&db.pool).await.unwrap() {
        let host = wire::id::HostId::new(row.get("host"));
        let of_host = after.iter().filter(|((stream, _), _)| stream.host == host);
        let chain = of_host.fold(Digest::START, |digest, (_, copies)| digest.after(&copies[0]));
        assert_eq!(row.get::<&[u8], _>("digest"), chain.0);
    }

    // Found by host and by term, and only where the term is.
    let target = sources[2].id;
    let of_host =
        candidates::Wanted { buckets: vec![target.bucket()], hosts: Some(vec![target]), ..everything() };
    let found = read(&mut conn, &of_host, 10).await;
    assert_eq!(found.len(), 12);
    assert!(found.keys().all(|(stream, _)| stream.host == target));
    for (key, sealed) in before.iter().take(5) {
        let terms = term::of_batch(&wire::batch::Batch::open(&sealed[0]).unwrap()).unwrap();
        let rare = candidates::Wanted { terms: vec![vec![terms[0]], vec![1, terms[1]]], ..everything() };
        let found = read(&mut conn, &rare, 10).await;
        assert!(found.keys().any(|at| at == key));
        for copies in found.values() {
            let terms_there = term::of_batch(&wire::batch::Batch::open(&copies[0]).unwrap()).unwrap();
            assert!(terms_there.contains(&terms[0]) && terms_there.contains(&terms[1]));
        }
    }
    // The minute is dropped some minutes later; whoever holds a key from before finds the batches again.
    let gone = fresh[0].key;
    assert!(slices::contents(&mut conn, &[gone]).await.unwrap()[0].is_some());
    merge::catch_up(&merger(&db.pool), later.plus_us(10 * MINUTE_US)).await.unwrap();
    assert!(slices::contents(&mut conn, &[gone]).await.unwrap()[0].is_none());
    let moved = candidates::moved(&mut conn, &everything(), gone).await.unwrap();
    assert_eq!(moved.len(), 5);
    // And so does whoever comes from a process row.
    let row = sqlx::query("select host, received from process limit 1").fetch_one(&db.pool).await.unwrap();
    let host = wire::id::HostId::new(row.get("host"));
    let holding = candidates::holding(&mut conn, Group::WHOLE, host, row.get("received")).await.unwrap();
    assert_eq!(holding.iter().map(|c| c.key.place).collect::<Vec<_>>(), [Place::Merged(host)]);
    ingest.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_every_batch_exactly_once_while_minutes_are_merged() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    fn clock() -> WallTime {
        WallTime::from_unix_ns(NOW.load(Ordering::SeqCst))
    }
    let db = scratch::database().await;
    NOW.store(Stamp::floor(wall_clock()).start_of(MINUTE_US).wall().unix_ns(), Ordering::SeqCst);
    let ingest = Ingest::start(&db.pool, clock);
    let stored = std::sync::Mutex::new(BTreeSet::new());
    let is_done = AtomicBool::new(false);
    let (n_reads, n_merged) = (AtomicI64::new(0), AtomicI64::new(0));

    let write = async {
        let mut sources: Vec<Source> = (1..=4).map(Source::new).collect();
        // Each round is ten seconds of the clock: eight minutes in all.
        for round in 0..48 {
            for source in &mut sources {
                let n_events = if round % 9 == 0 { 1_000 } else { 12 };
                let at = store(&ingest, source, n_events).await;
                stored.lock().unwrap().insert(at);
            }
            NOW.fetch_add(10_000_000_000, Ordering::SeqCst);
        }
        // Not before the readers have seen several states of merging.
        while n_reads.load(Ordering::SeqCst) < 10 || n_merged.load(Ordering::SeqCst) < 5 {
            NOW.fetch_add(10_000_000_000, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
        is_done.store(true, Ordering::SeqCst);
    };
    // Two mergers at once, as when one was paused for longer than its lease.
    let merge = async || {
        while !is_done.load(Ordering::SeqCst) {
            let now = Stamp::floor(clock());
            let merged = merge::catch_up(&merger(&db.pool), now).await.unwrap();
            n_merged.fetch_add(i64::from(merged), Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    };
    let merging = async { tokio::join!(merge(), merge()) };
    let reading = async {
        while !is_done.load(Ordering::SeqCst) {
            let expected = stored.lock().unwrap().clone();
            let mut conn = db.pool.acquire().await.unwrap();
            // Keys only, as a minute may be dropped here within a moment of the real clock.
            let (horizon, mut keys) =
                candidates::fresh(&mut conn, Group::WHOLE, &everything()).await.unwrap();
            let mut after = None;
            loop {
                let page = candidates::merged(&mut conn, &everything(), horizon, after, 3).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.into());
                keys.extend(page);
            }
            let mut met = Vec::new();
            for candidate in &keys {
                match batches(&mut conn, &everything(), candidate.key).await {
                    Some(found) => met.extend(found.into_iter().map(|(at, _)| at)),
                    None => {
                        // Found again where it was moved to; those batches are no others than it had.
                        let minute = candidate.key.received.start_of(MINUTE_US);
                        let moved = candidates::moved(&mut conn, &everything(), candidate.key).await.unwrap();
                        assert!(!moved.is_empty(), "a dropped minute {minute} left nothing");
                        met.clear();
                        break;
                    }
                }
            }
            if met.is_empty() {
                continue;
            }
            let distinct: BTreeSet<_> = met.iter().copied().collect();
            assert_eq!(distinct.len(), met.len(), "a batch was met twice");
            let missed: Vec<_> = expected.difference(&distinct).collect();
            assert!(missed.is_empty(), "stored before the search began, and not met: {missed:?}");
            n_reads.fetch_add(1, Ordering::SeqCst);
        }
    };
    tokio::join!(write, merging, reading);
    ingest.finish().await;
}

#[tokio::test]
async fn a_commit_into_a_merged_minute_goes_to_a_later_one() {
    let db = scratch::database().await;
    let now = Stamp::floor(wall_clock());
    // A collector whose clock is two minutes ahead has merged what is still this one's present.
    merge::catch_up(&merger(&db.pool), now.plus_us(2 * MINUTE_US)).await.unwrap();
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    store(&ingest, &mut a, 10).await;
    let met = read(&mut db.pool.acquire().await.unwrap(), &everything(), 10).await;
    assert_eq!(met.len(), 1);
    let late = "select count(*) from fresh, merge where received < merged_upto";
    assert_eq!(count(&db.pool, late).await, 0);
    ingest.finish().await;
}

#[tokio::test]
async fn ingest_makes_the_partitions_it_misses() {
    let db = scratch::database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    for (partition, _) in partitions::list(&mut conn, Parent::Fresh).await.unwrap() {
        assert!(partitions::drop(&mut conn, partition).await.unwrap());
    }
    let ingest = Ingest::start(&db.pool, wall_clock);
    store(&ingest, &mut Source::new(1), 10).await;
    ingest.finish().await;
}

#[tokio::test]
async fn retention_drops_days_and_waits_for_whoever_reads_them() {
    let db = scratch::database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let now = Stamp::floor(wall_clock());
    let old = Partition::of(Parent::Segment, now.plus_us(-10 * DAY_US));
    partitions::ensure(&mut conn, old).await.unwrap();
    partitions::ensure(&mut conn, old).await.unwrap();
    let config = retention::Config {
        pool: db.pool.clone(),
        limits: retention::Limits { age: Duration::from_secs(7 * 86_400), max_bytes: None },
    };
    let is_there = async |conn: &mut sqlx::PgConnection| {
        partitions::list(conn, Parent::Segment).await.unwrap().iter().any(|(p, _)| *p == old)
    };
    let mut reader = db.pool.begin().await.unwrap();
    sqlx::query("select count(*) from segment").execute(&mut *reader).await.unwrap();
    retention::tidy(&config, now).await.unwrap();
    assert!(is_there(&mut conn).await, "dropped under a reader");
    reader.rollback().await.unwrap();
    retention::tidy(&config, now).await.unwrap();
    assert!(!is_there(&mut conn).await);
    let today = Partition::of(Parent::Segment, now);
    assert!(partitions::list(&mut conn, Parent::Segment).await.unwrap().iter().any(|(p, _)| *p == today));
}

#[tokio::test]
async fn retention_by_size_drops_the_oldest_days_with_what_they_hold() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    store(&ingest, &mut Source::new(1), 2_000).await;
    ingest.finish().await;
    let mut conn = db.pool.acquire().await.unwrap();
    // Two days on, the day of these events is over, and not old.
    let later = Stamp::floor(wall_clock()).plus_us(2 * DAY_US);
    let tidy = async |max_bytes: Option<u64>| {
        let limits = retention::Limits { age: Duration::from_secs(7 * 86_400), max_bytes };
        let config = retention::Config { pool: db.pool.clone(), limits };
        retention::tidy(&config, later).await.unwrap();
        let n: i64 = sqlx::query_scalar("select count(*) from process").fetch_one(&db.pool).await.unwrap();
        n
    };
    let n_processes = tidy(None).await;
    assert!(n_processes > 0);
    let mut n_bytes = 0;
    for parent in Parent::DAILY {
        n_bytes += partitions::list(&mut conn, parent).await.unwrap().iter().map(|(_, n)| n).sum::<u64>();
    }
    assert_eq!(tidy(Some(n_bytes * 2)).await, n_processes, "it fits");
    assert_eq!(tidy(Some(n_bytes / 2)).await, 0, "it does not");
    let current = Partition::of(Parent::Process, later);
    assert!(partitions::list(&mut conn, Parent::Process).await.unwrap().iter().any(|(p, _)| *p == current));
}

#[tokio::test]
async fn findings_go_when_they_were_not_found_again() {
    let db = scratch::database().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let now = Stamp::floor(wall_clock());
    let mut add = async |about: &str, days_ago: i64| {
        let found = Found {
            host: HostId::new(Uuid::from_u128(7)),
            kind: Kind::Clone,
            about: about.to_owned(),
            at: now.plus_us(-days_ago * DAY_US),
            evidence: serde_json::json!({}),
        };
        findings::add(&mut conn, &found).await.unwrap();
    };
    add("long ago", 9).await;
    add("again", 9).await;
    add("again", 1).await;
    let limits = retention::Limits { age: Duration::from_secs(7 * 86_400), max_bytes: None };
    let config = retention::Config { pool: db.pool.clone(), limits };
    retention::tidy(&config, now).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("select about from finding").fetch_all(&db.pool).await.unwrap();
    assert_eq!(left, ["again"]);
}

#[tokio::test]
async fn statistics_of_partitions_that_grew_are_made_anew() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    for _ in 0..3 {
        store(&ingest, &mut a, 2_000).await;
    }
    ingest.finish().await;
    let mut conn = db.pool.acquire().await.unwrap();
    // The server adds up what was changed when the connection that changed it is idle or gone.
    let outdated = loop {
        let outdated = partitions::outdated_statistics(&mut conn).await.unwrap();
        if !outdated.is_empty() {
            break outdated;
        }
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    };
    assert!(outdated.iter().any(|p| p.parent == Parent::Process), "{outdated:?}");
    let today = outdated[0];
    partitions::analyze(&mut conn, today).await.unwrap();
}
