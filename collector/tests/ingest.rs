//! Ingest on a real PostgreSQL: once, in order, nobody harmed by another's bad batch, nothing acknowledged lost.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use bytes::Bytes;
use support::{Ingest, Source, count, everything, header, read, stream, wall_clock};
use vedette_collector::listener::Outcome;
use vedette_collector::postgres::scratch;
use vedette_collector::store::streams;
use wire::batch::{Batch, Boundary, Builder, Digest, Header, Sealed};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::RejectReason;

fn stored(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Stored { next_seq, .. } => next_seq,
        other => panic!("not stored: {other:?}"),
    }
}

/// The same batch with its payload damaged.
fn damaged(sealed: &Sealed) -> Sealed {
    let mut payload = sealed.payload.to_vec();
    let middle = payload.len() / 2;
    payload[middle] ^= 0x55;
    Sealed { header: sealed.header.clone(), payload: payload.into() }
}

#[tokio::test]
async fn batches_come_back_as_they_were_sent_with_their_rows_beside_them() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut live = ingest.committed.subscribe();
    let (mut a, mut b) = (Source::new(1), Source::new(2));
    let sent = [(a.id, a.batch(20)), (b.id, b.batch(30)), (a.id, a.batch(2_000)), (b.id, b.batch(1))];
    let mut answers = Vec::new();
    for (host, sealed) in &sent {
        answers.push(ingest.batch(*host, sealed).await);
    }
    let mut ends = Vec::new();
    for answer in answers {
        ends.push(stored(answer.await.unwrap()));
    }
    assert_eq!(ends, [20, 30, 2_020, 31]);

    let mut conn = db.pool.acquire().await.unwrap();
    let met = read(&mut conn, &everything(), 100).await;
    assert_eq!(met.len(), sent.len());
    let (mut new, mut connections) = (0, 0);
    for (host, sealed) in &sent {
        let at = (stream(*host, sealed), header(sealed).first_seq);
        assert_eq!(met[&at], std::slice::from_ref(sealed));
        assert_eq!(live.recv().await.unwrap().sealed, *sealed);
        let batch = Batch::open(sealed).unwrap();
        let subjects = batch.subjects().unwrap();
        new += (0..subjects.len()).filter(|n| subjects.is_new(wire::subject::SubjectNumber(*n))).count();
        connections += batch
            .groups()
            .filter(|g| [wire::event::Kind::CONNECT, wire::event::Kind::ACCEPT].contains(&g.kind()))
            .map(|g| g.n_rows())
            .sum::<usize>();
    }
    assert!(new > 100 && connections > 100, "{new} {connections}");
    assert_eq!(count(&db.pool, "select count(*) from process").await, new as i64);
    assert_eq!(count(&db.pool, "select count(*) from connection").await, connections as i64);
    let unnamed = "select count(*) from process p left join executable e on e.hash = p.executable
                    where e.path is null";
    assert_eq!(count(&db.pool, unnamed).await, 0);
    assert_eq!(count(&db.pool, "select count(*) from segment where not merged").await, 1);
    let record = streams::of_host(&mut conn, a.id, 10).await.unwrap();
    assert_eq!((record[0].n_stored, record[0].position.next_seq), (2_020, 2_020));
    assert_eq!(record[0].ledger.generated, 2_020);
    ingest.finish().await;
}

#[tokio::test]
async fn a_resend_is_a_no_op_and_other_bytes_under_an_old_number_are_a_finding() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    let (first, second) = (a.batch(10), a.batch(10));
    for sealed in [&first, &second] {
        stored(ingest.batch(a.id, sealed).await.await.unwrap());
    }
    let again = ingest.batch(a.id, &first).await.await.unwrap();
    assert!(matches!(again, Outcome::Duplicate { next_seq: 20, .. }), "{again:?}");
    assert_eq!(count(&db.pool, "select count(*) from finding").await, 0);
    let other = {
        let mut b = Source::new(1);
        b.batch(9);
        let mut forged = b.batch(10);
        forged.header = first.header.clone();
        forged
    };
    let forged = ingest.batch(a.id, &other).await.await.unwrap();
    assert!(matches!(forged, Outcome::Duplicate { next_seq: 20, .. }), "{forged:?}");
    assert_eq!(count(&db.pool, "select count(*) from finding where kind = 'conflict'").await, 1);
    let gap = {
        a.batch(5);
        ingest.batch(a.id, &a.batch(5)).await.await.unwrap()
    };
    assert_eq!(gap, Outcome::Gap);
    let met = read(&mut db.pool.acquire().await.unwrap(), &everything(), 100).await;
    assert_eq!(met.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    ingest.finish().await;
}

#[tokio::test]
async fn what_a_sensor_tells_of_tampering_is_a_finding() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    let first = a.batch(10);
    let told = {
        let Header { epoch, lane, boot, sealed, clock, ledger, .. } = header(&first);
        let mut builder = Builder::new();
        let row = Row::default().with(Field::SensorReason, "its pin was removed");
        builder.push(&Event { time: sealed, kind: Kind::SENSOR_TAMPER, row }, None);
        builder.seal(Boundary {
            epoch,
            lane,
            first_seq: 10,
            boot,
            sealed,
            clock,
            ledger,
            collection: [0; 16],
        })
    };
    stored(ingest.batch(a.id, &first).await.await.unwrap());
    let findings = "select count(*) from finding where kind = 'tamper' and severity = 3";
    assert_eq!(count(&db.pool, findings).await, 0);
    stored(ingest.batch(a.id, &told).await.await.unwrap());
    assert_eq!(count(&db.pool, findings).await, 1);
    ingest.finish().await;
}

#[tokio::test]
async fn a_tombstone_moves_the_stream_on_and_a_broken_chain_is_flagged() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    let first = a.batch(10);
    let (shed, kept) = (a.batch(10), a.batch(10));
    stored(ingest.batch(a.id, &first).await.await.unwrap());
    let s = stream(a.id, &first);
    let digest = Digest::START.after(&first).after_tombstone(10, 10);
    let answer = ingest.tombstone(s, 10, 10, digest).await.await.unwrap();
    assert_eq!(answer, Outcome::Stored { next_seq: 20, digest });
    assert_eq!(stored(ingest.batch(a.id, &kept).await.await.unwrap()), 30);
    assert_eq!(count(&db.pool, "select count(*) from gap where cause = 'shed' and n_events = 10").await, 1);
    assert_eq!(count(&db.pool, "select count(*) from finding").await, 0);
    let answer = ingest.tombstone(s, 30, 5, Digest([7; 32])).await.await.unwrap();
    assert_eq!(stored(answer), 35);
    assert_eq!(count(&db.pool, "select count(*) from finding where kind = 'chain'").await, 1);
    let late = ingest.batch(a.id, &shed).await.await.unwrap();
    assert!(matches!(late, Outcome::Duplicate { .. }), "{late:?}");
    ingest.finish().await;
}

#[tokio::test]
async fn one_bad_batch_is_quarantined_and_its_neighbours_are_stored() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let (mut a, mut b) = (Source::new(1), Source::new(2));
    let (good, bad, after, neighbour) = (a.batch(10), damaged(&a.batch(10)), a.batch(10), b.batch(10));
    let answers = [
        ingest.batch(a.id, &good).await,
        ingest.batch(a.id, &bad).await,
        ingest.batch(a.id, &after).await,
        ingest.batch(b.id, &neighbour).await,
    ];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    assert_eq!(stored(outcomes[0]), 10);
    assert!(matches!(outcomes[1], Outcome::Rejected { next_seq: 20, .. }), "{:?}", outcomes[1]);
    assert_eq!(stored(outcomes[2]), 30);
    assert_eq!(stored(outcomes[3]), 10);
    let kept: Vec<u8> =
        sqlx::query_scalar("select payload from quarantine").fetch_one(&db.pool).await.unwrap();
    assert_eq!(kept, bad.payload);
    assert_eq!(count(&db.pool, "select count(*) from gap where cause = 'rejected'").await, 1);
    assert_eq!(count(&db.pool, "select n_rejected from stream where n_rejected > 0").await, 10);
    // The same bytes do not come for ever.
    let again = ingest.batch(a.id, &bad).await.await.unwrap();
    assert!(matches!(again, Outcome::Duplicate { next_seq: 30, .. }), "{again:?}");
    ingest.finish().await;
}

#[tokio::test]
async fn a_header_that_contradicts_its_frame_is_refused() {
    let db = scratch::database().await;
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut a = Source::new(1);
    let sealed = a.batch(10);
    let item =
        vedette_collector::listener::Item::Batch { first_seq: 0, n_events: 11, sealed: sealed.clone() };
    let answer = ingest.send(stream(a.id, &sealed), item).await.await.unwrap();
    assert!(
        matches!(answer, Outcome::Rejected { reason: RejectReason::Header, next_seq: 11, .. }),
        "{answer:?}"
    );
    let junk = Sealed { header: Bytes::from_static(b"junk"), payload: Bytes::from_static(b"more junk") };
    let item = vedette_collector::listener::Item::Batch { first_seq: 11, n_events: 1, sealed: junk };
    let answer = ingest.send(stream(a.id, &sealed), item).await.await.unwrap();
    assert!(matches!(answer, Outcome::Rejected { next_seq: 12, .. }), "{answer:?}");
    ingest.finish().await;
}

#[tokio::test]
async fn a_batch_that_the_database_refuses_is_found_and_passed() {
    let db = scratch::database().await;
    // Stands for anything that only the server can object to.
    sqlx::query("alter table stream add constraint odd check (n_stored <> 13)")
        .execute(&db.pool)
        .await
        .unwrap();
    let ingest = Ingest::start(&db.pool, wall_clock);
    let (mut a, mut b) = (Source::new(1), Source::new(2));
    let (bad, good, after) = (a.batch(13), b.batch(10), a.batch(5));
    let answers =
        [ingest.batch(a.id, &bad).await, ingest.batch(b.id, &good).await, ingest.batch(a.id, &after).await];
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(answer.await.unwrap());
    }
    // Together with the next one it may pass; alone it does not.
    match outcomes[0] {
        Outcome::Rejected { reason, next_seq, .. } => {
            assert_eq!((reason, next_seq), (RejectReason::Store, 13))
        }
        other => assert_eq!(stored(other), 13),
    }
    assert_eq!(stored(outcomes[1]), 10);
    assert_eq!(stored(outcomes[2]), 18);
    ingest.finish().await;
}

#[tokio::test]
async fn two_collectors_store_one_stream_once() {
    let db = scratch::database().await;
    let (one, two) = (Ingest::start(&db.pool, wall_clock), Ingest::start(&db.pool, wall_clock));
    let mut a = Source::new(1);
    let sent: Vec<Sealed> = (0..60).map(|n| a.batch(if n % 7 == 0 { 1_200 } else { 20 })).collect();
    // Each collector gets every batch, the second one in another rhythm: as after a change of collectors.
    let feed = |ingest: Ingest, pause: usize| {
        let (sent, id) = (sent.clone(), a.id);
        async move {
            let mut next = 0;
            while next < sent.len() {
                let mut answers = Vec::new();
                for sealed in &sent[next..(next + pause).min(sent.len())] {
                    answers.push(ingest.batch(id, sealed).await);
                }
                for answer in answers {
                    let end = match answer.await.unwrap() {
                        Outcome::Stored { next_seq, .. } | Outcome::Duplicate { next_seq, .. } => next_seq,
                        Outcome::Gap | Outcome::Retry { .. } => continue,
                        other => panic!("{other:?}"),
                    };
                    next =
                        next.max(sent.iter().position(|s| header(s).first_seq >= end).unwrap_or(sent.len()));
                }
            }
            ingest.finish().await;
        }
    };
    tokio::join!(feed(one, 3), feed(two, 5));
    let met = read(&mut db.pool.acquire().await.unwrap(), &everything(), 100).await;
    assert_eq!(met.len(), sent.len());
    assert!(met.values().all(|copies| copies.len() == 1));
    let last = sent.last().map(header).unwrap();
    let end = (last.first_seq + u64::from(last.n_events)) as i64;
    assert_eq!(count(&db.pool, "select n_stored from stream").await, end);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_killed_database_and_nothing_is_stored_twice() {
    let server = scratch::Server::start().await.unwrap();
    let db = server.database().await.unwrap();
    let ingest = Ingest::start(&db.pool, wall_clock);
    let mut sources: Vec<Source> = (1..=8).map(Source::new).collect();
    let sent: Vec<_> = (0..400)
        .map(|n| {
            let source = &mut sources[n % 8];
            (source.id, source.batch(if n % 11 == 0 { 1_000 } else { 15 }))
        })
        .collect();
    let mut acked = vec![false; sent.len()];
    let mut n_retries = 0;
    let (mut crashed, mut is_down) = (0, false);
    // As a session does: all that is not acknowledged is sent again, in order, until all is.
    while acked.contains(&false) {
        let mut answers = Vec::new();
        for (n, (host, sealed)) in sent.iter().enumerate().filter(|(n, _)| !acked[*n]).take(50) {
            answers.push((n, ingest.batch(*host, sealed).await));
        }
        let half = acked.iter().filter(|a| **a).count();
        if crashed < 2 && half >= (crashed + 1) * 120 {
            crashed += 1;
            is_down = true;
            server.crash();
        }
        for (n, answer) in answers {
            match answer.await.unwrap() {
                Outcome::Stored { .. } | Outcome::Duplicate { .. } => acked[n] = true,
                Outcome::Gap => {}
                Outcome::Retry { .. } => {
                    n_retries += 1;
                    if std::mem::take(&mut is_down) {
                        server.restart().await.unwrap();
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(crashed, 2);
    assert!(n_retries > 0, "the database was never away");
    ingest.finish().await;
    let met = read(&mut db.pool.acquire().await.unwrap(), &everything(), 100).await;
    assert_eq!(met.len(), sent.len());
    for (host, sealed) in &sent {
        let at = (stream(*host, sealed), header(sealed).first_seq);
        assert_eq!(met[&at], std::slice::from_ref(sealed));
    }
    assert_eq!(
        count(&db.pool, "select sum(n_stored)::bigint from stream").await,
        sent.iter().map(|(_, s)| i64::from(header(s).n_events)).sum::<i64>()
    );
}
