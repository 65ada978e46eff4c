//! Numbers of streams that repeat, jump, go back or end, and chains that break.

use wire::frame::collector::FromCollector;
use wire::frame::data::{Batch, Data, Open};
use wire::frame::sensor::Hello;
use wire::frame::{Code, encode};
use wire::id::{Epoch, Lane};

use crate::client::{Client, hello};
use crate::scene::{Expected, Scene, play};
use crate::source::{Source, frame};

/// Sends batches on a data stream of their own, which begins there.
async fn send(client: &Client, source: &Source, from: u64, batches: impl IntoIterator<Item = Batch>) {
    let mut stream = client.open(source.epoch, source.lane, from).await;
    for batch in batches {
        drop(stream.write_all(&frame(batch)).await);
    }
    drop(stream.finish());
}

async fn resend(client: &mut Client) -> u64 {
    loop {
        match client.next().await {
            FromCollector::Resend(resend) => return resend.watermark.next_seq,
            FromCollector::Ack(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn findings(scene: &Scene, kind: &str, about: &str) -> u64 {
    scene.number(&format!(
        "select count(*) from finding where host = '{}' and kind = '{kind}' and about like '{about}%'",
        scene.villain
    ))
}

/// Row 18: again, with other bytes, with a gap, and a gap that is owned up to.
#[test]
fn an_old_number_is_a_no_op_or_a_finding_and_a_gap_is_asked_for() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        let (first, second) = (source.batch("first", 10), source.batch("second", 10));
        let mut twin = Source { epoch: source.epoch, ..Source::new() };
        let other = twin.batch("other", 10);
        scene.run(async {
            let mut client = scene.session().await;
            send(&client, &source, 0, [first.clone(), second]).await;
            client.acknowledged(source.epoch, source.lane, 20).await;
            // Again: nothing happens. With other bytes: nothing is stored, and somebody is told.
            send(&client, &source, 0, [first]).await;
            client.acknowledged(source.epoch, source.lane, 20).await;
            send(&client, &source, 0, [other]).await;
            client.acknowledged(source.epoch, source.lane, 20).await;
            // What leaves something out is not taken: the sensor hears where to go on.
            let mut ahead = Source { epoch: source.epoch, next_seq: 30, ..Source::new() };
            send(&client, &source, 30, [ahead.batch("ahead", 10)]).await;
            assert_eq!(resend(&mut client).await, 20);
            // What the sensor says is gone is written down as gone, and the stream goes on.
            let tombstone = source.tombstone(7, false);
            let mut stream = client.open(source.epoch, source.lane, 20).await;
            stream.write_all(&encode(&Data::Tombstone(tombstone))).await.unwrap();
            stream.write_all(&frame(source.batch("after", 3))).await.unwrap();
            client.acknowledged(source.epoch, source.lane, 30).await;
            client.leave().await;
        });
        let epoch = source.epoch.to_string();
        assert_eq!(findings(scene, "conflict", &epoch), 1);
        let gap = scene.sql(&format!("select first_seq, n_events, cause from gap where epoch = '{epoch}'"));
        assert_eq!(gap, "20|7|shed");
        assert!(scene.counted(&before).of("collector_batch_gap_total") > 0);
        let counter = "collector_batch_duplicate_total";
        scene.judge("old numbers", &before, Expected { counter, log: "connected", stored: 23 });
    });
}

/// Row 18: backwards within a session, and at the end of all numbers.
#[test]
fn numbers_that_go_back_or_end_are_refused() {
    play(|scene| {
        let before = scene.look();
        let sealed = Source::new().batch("any", 1).sealed;
        let epoch = Epoch::new(uuid::Uuid::now_v7());
        let batch =
            |first_seq| encode(&Data::Batch(Batch { first_seq, n_events: 1, sealed: sealed.clone() }));
        let open = |from| encode(&Data::Open(Open { epoch, lane: Lane::Bulk, from }));
        scene.run(async {
            for (what, bytes, code) in [
                ("back", [open(5), batch(5), batch(4)].concat(), Code::OUT_OF_ORDER),
                ("the same", [open(5), batch(5), batch(5)].concat(), Code::OUT_OF_ORDER),
                ("before what was opened", [open(5), batch(4)].concat(), Code::OUT_OF_ORDER),
                ("past the last", [open(u64::MAX), batch(u64::MAX)].concat(), Code::BAD_FRAME),
            ] {
                let client = scene.session().await;
                let mut stream = client.connection.open_uni().await.unwrap();
                drop(stream.write_all(&bytes).await);
                assert_eq!(client.code().await, code, "{what}");
            }
            // Numbers that the store cannot hold are as far ahead as any: it asks for the beginning.
            let mut client = scene.session().await;
            let first_seq = u64::MAX - 1;
            let far = Source { epoch, ..Source::new() };
            let batch = Batch { first_seq, n_events: 1, sealed: sealed.clone() };
            send(&client, &far, first_seq, [batch]).await;
            assert_eq!(resend(&mut client).await, 0);
            client.leave().await;
        });
        let counter = "collector_session_ended_total{code=\"out_of_order\"}";
        scene.judge("numbers", &before, Expected { counter, log: "a session ended", stored: 0 });
    });
}

/// Row 19: what a host has left of its last boot comes after the new one has begun, once and in its own epoch.
#[test]
fn an_epoch_of_a_boot_before_is_stored_in_its_place() {
    play(|scene| {
        let before = scene.look();
        let (mut old, mut new) = (Source::new(), Source::new());
        old.boot = uuid::Uuid::from_u128(1);
        new.boot = uuid::Uuid::from_u128(2);
        let (left, live) = (old.batch("left", 4), new.batch("live", 5));
        scene.run(async {
            let mut client = scene.session().await;
            send(&client, &new, 0, [live]).await;
            client.acknowledged(new.epoch, new.lane, 5).await;
            for _ in 0..2 {
                send(&client, &old, 0, [left.clone()]).await;
                client.acknowledged(old.epoch, old.lane, 4).await;
            }
            client.leave().await;
        });
        for (source, n) in [(&old, 4), (&new, 5)] {
            let row =
                scene.sql(&format!("select n_stored, boot from stream where epoch = '{}'", source.epoch));
            assert_eq!(row, format!("{n}|{}", source.boot));
        }
        let counter = "collector_batch_duplicate_total";
        scene.judge("boots", &before, Expected { counter, log: "connected", stored: 9 });
    });
}

/// Row 20: what is right is stored though the chain is not, and somebody is told.
#[test]
fn a_broken_chain_is_told_of() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        let good = source.batch("good", 6);
        scene.run(async {
            let mut client = scene.session().await;
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            stream.write_all(&frame(good)).await.unwrap();
            let broken = source.tombstone(2, true);
            stream.write_all(&encode(&Data::Tombstone(broken))).await.unwrap();
            stream.write_all(&frame(source.batch("after", 6))).await.unwrap();
            client.acknowledged(source.epoch, source.lane, 14).await;
            client.leave().await;
        });
        assert_eq!(findings(scene, "chain", &source.epoch.to_string()), 1);
        let counter = "collector_finding_total{finding=\"broken_chain\"}";
        scene.judge("chain", &before, Expected { counter, log: "what should not be", stored: 12 });
    });
}

/// Row 13: no message names its host, so that nobody can speak for another. Whoever sends under another host's epoch
/// adds to a stream of its own, and somebody is told.
#[test]
fn nobody_speaks_for_another_host() {
    play(|scene| {
        let before = scene.look();
        let victim = &scene.site.hosts[0];
        let epoch = scene.sql(&format!("select epoch from stream where host = '{}' limit 1", victim.id));
        let epoch: Epoch = epoch.parse().unwrap();
        let mut source = Source { epoch, ..Source::new() };
        let forged = source.batch("forged", 8);
        let hello = Hello { host_name: victim.name.clone(), ..hello() };
        scene.run(async {
            let mut client = Client::greeted(scene.address(), scene.tls.clone(), hello).await;
            send(&client, &source, 0, [forged]).await;
            client.acknowledged(source.epoch, source.lane, 8).await;
            client.leave().await;
        });
        let owner = scene.sql(&format!(
            "select evidence->>'epoch_of' from finding where host = '{}' and kind = 'impersonation' and about = '{epoch}'",
            scene.villain
        ));
        assert_eq!(owner, victim.id);
        let forged = scene.json(&["search", "file.path:/hostile/forged/*", "--output", "json"]);
        let hosts: Vec<_> = forged.iter().map(|event| event["host"]["id"].as_str().unwrap()).collect();
        assert_eq!(hosts, vec![scene.villain.to_string(); 8]);
        let counter = "collector_finding_total{finding=\"impersonation\"}";
        scene.judge("impersonation", &before, Expected { counter, log: "another host's epoch", stored: 8 });
    });
}
