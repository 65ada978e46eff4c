//! Processes that cannot be: among their own ancestors, deeper than any, without a beginning.

use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::{BootId, ProcessKey};
use wire::subject::{Subject, SubjectNumber};
use wire::time::BootTime;

use crate::scene::{Expected, Scene, play};
use crate::source::{NOW, Source, frame};

fn subject(start: u64, pid: u32, parent: Option<SubjectNumber>) -> Subject {
    let row = Row::default().with(Field::ProcessExecutable, Bytes::from_static(b"/bin/hostile"));
    let key = ProcessKey { start: BootTime::from_ns(start), pid };
    Subject { key, image: 1, parent, is_new: true, row }
}

fn event(kind: Kind) -> Event {
    Event { time: NOW, kind, row: Row::default() }
}

/// Sends what was pushed, and waits for it.
fn send(scene: &Scene, source: &mut Source) -> u64 {
    let batch = source.seal();
    let (from, n_events) = (batch.first_seq, u64::from(batch.n_events));
    scene.run(async {
        let mut client = scene.session().await;
        let mut stream = client.open(source.epoch, source.lane, from).await;
        stream.write_all(&frame(batch)).await.unwrap();
        let others = client.acknowledged(source.epoch, source.lane, source.next_seq).await;
        assert!(others.is_empty(), "{others:?}");
        client.leave().await;
    });
    n_events
}

fn tree(scene: &Scene, source: &Source, start: u64, pid: u32) -> (usize, Vec<String>) {
    let key = ProcessKey { start: BootTime::from_ns(start), pid };
    let entity = key.entity(scene.villain, BootId::new(source.boot)).to_string();
    let began = Instant::now();
    let home = &scene.site.collectors[0].home;
    let output = tests::stack::vedette(home).args(["tree", &entity, "--output", "json"]).output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "a tree took {:?}", began.elapsed());
    let nodes = String::from_utf8_lossy(&output.stdout).lines().count();
    let notices = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    (nodes, notices)
}

/// A process, and the last of twenty thousand below it, each the child of the one before.
fn deep(source: &mut Source) {
    let mut parent = None;
    for n in 0..20_000_u32 {
        let number = source.builder.subject(&subject(100 + u64::from(n), 2_000 + n, parent));
        parent = Some(number);
    }
    source.push(&event(Kind::EXEC), parent);
}

/// Row 22.
#[test]
fn a_tree_ends_whatever_hosts_say_of_parents() {
    play(|scene| {
        let before = scene.look();
        let mut n_events = 0;
        let mut source = Source::new();
        source.boot = uuid::Uuid::now_v7();
        // A cycle takes two batches: within one, a parent is named before its child.
        let a = source.builder.subject(&subject(10, 1_000, None));
        let b = source.builder.subject(&subject(11, 1_001, Some(a)));
        source.push(&event(Kind::EXEC), Some(b));
        n_events += send(scene, &mut source);
        let b = source.builder.subject(&Subject { is_new: false, ..subject(11, 1_001, None) });
        let mut again = subject(10, 1_000, Some(b));
        again.image = 2;
        let a = source.builder.subject(&again);
        source.push(&event(Kind::EXEC), Some(a));
        n_events += send(scene, &mut source);
        let (n_nodes, notices) = tree(scene, &source, 10, 1_000);
        assert!(
            n_nodes >= 2 && notices.iter().any(|notice| notice.contains("cycle")),
            "{n_nodes} {notices:?}"
        );

        // Deeper than any: each the parent of the next.
        deep(&mut source);
        n_events += send(scene, &mut source);
        let (n_nodes, notices) = tree(scene, &source, 100 + 19_999, 2_000 + 19_999);
        assert!((2..5_000).contains(&n_nodes), "{n_nodes}");
        assert!(notices.iter().any(|notice| notice.contains("cut")), "{notices:?}");

        // A pid again within a second, and pid 0.
        for start in [1, 2, 3] {
            let number = source.builder.subject(&subject(start * 1_000, 77, None));
            source.push(&event(Kind::EXEC), Some(number));
        }
        let zero = source.builder.subject(&subject(5, 0, None));
        source.push(&event(Kind::EXEC), Some(zero));
        n_events += send(scene, &mut source);
        for start in [1_000, 2_000, 3_000] {
            assert_eq!(tree(scene, &source, start, 77).0, 1, "the one that started at {start}");
        }
        let counter = "collector_event_stored_total";
        scene.judge("parents", &before, Expected { counter, log: "connected", stored: n_events });
    });
}

/// Row 23.
#[test]
fn a_life_with_parts_missing_is_kept_as_it_is() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        source.boot = uuid::Uuid::now_v7();
        let mut told = |start: u64, kinds: &[Kind]| {
            let number = source.builder.subject(&subject(start, 5_000, None));
            kinds.iter().for_each(|kind| source.push(&event(*kind), Some(number)));
        };
        told(1, &[Kind::EXIT]);
        told(2, &[Kind::EXEC]);
        told(3, &[Kind::EXIT, Kind::EXEC, Kind::FORK]);
        told(4, &[Kind::FORK, Kind::FORK, Kind::EXEC, Kind::EXEC, Kind::EXIT, Kind::EXIT]);
        source.push(&event(Kind::EXIT), None);
        let n_events = send(scene, &mut source);
        // The same processes again, as after a resend under another epoch.
        let again = Source { boot: source.boot, ..Source::new() };
        let mut again = again;
        let number = again.builder.subject(&subject(4, 5_000, None));
        again.push(&event(Kind::EXIT), Some(number));
        let n_events = n_events + send(scene, &mut again);
        for start in 1..=4 {
            let (n_nodes, notices) = tree(scene, &source, start, 5_000);
            assert_eq!(n_nodes, 1, "{start}: {notices:?}");
        }
        let counter = "collector_event_stored_total";
        scene.judge("lives", &before, Expected { counter, log: "connected", stored: n_events });
    });
}
