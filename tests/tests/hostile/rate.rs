//! One host that makes far too much: events, and names.

use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::Signal;
use serde_json::json;
use tests::site::host::{Host, NewHost, SAYS_WITHIN};
use tests::wait::{poll, until};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::id::ProcessKey;
use wire::subject::Subject;
use wire::time::BootTime;

use crate::identities::token;
use crate::scene::{Expected, play};
use crate::source::{NOW, Source, frame};

/// What the hosts of the site make in each lane, events a second.
const NORMAL: f64 = 40.0;
const TIMES: f64 = 1_000.0;
const LASTS: Duration = Duration::from_secs(2);
/// More than fits into what is on its way to a collector that stands still, events.
const CERTAINLY_SHED: u64 = 400_000;
/// The new paths that a collector keeps of one host in a day.
const MOST_PATHS: u64 = 20_000;

/// Row 39: it sheds by itself what its credit does not carry, all of it counted, and the others lose nothing.
#[test]
fn a_host_at_a_thousand_times_its_rate_is_shed_and_counted() {
    play(|scene| {
        let before = scene.look();
        let (token, ca_sha256) = token(&scene.site).unwrap();
        let beside = |path: &std::path::Path| path.parent().unwrap().join("greedy");
        let mut greedy = Host::enrol(NewHost {
            name: "greedy".to_owned(),
            folder: beside(&scene.site.hosts[0].folder),
            spool: beside(&scene.site.hosts[0].spool),
            collectors: &scene.address().to_string(),
            token: &token,
            ca_sha256: &ca_sha256,
            per_second: NORMAL * TIMES,
        })
        .unwrap();
        // Room for about as much as it makes between two acknowledgements.
        greedy.set("spool_bytes", json!(96 << 10)).unwrap();
        greedy.set("disk_bytes", json!(64 << 10)).unwrap();
        greedy.order("1").unwrap();
        greedy.program.start().unwrap();
        let began = std::time::Instant::now();
        let made = until("it makes events", LASTS * 5, || {
            let made: u64 = greedy.state()?.made.iter().sum();
            (began.elapsed() >= LASTS && made > 0).then_some(made)
        });
        // And at once when its credit does not come back: the collector stands still for a moment.
        scene.site.collectors[0].program.signal(Signal::SIGSTOP);
        let shed = poll(SAYS_WITHIN, || greedy.state().filter(|state| state.shed > CERTAINLY_SHED));
        scene.site.collectors[0].program.signal(Signal::SIGCONT);
        assert!(shed.is_some(), "nothing was shed: {:?}", greedy.state());
        greedy.order("paused 1").unwrap();
        let drained = poll(SAYS_WITHIN, || greedy.is_drained(1).then(|| greedy.state()).flatten());
        let state = drained.unwrap_or_else(|| panic!("{:?}\n{}", greedy.state(), greedy.program.log()));
        let made_in_all: u64 = state.made.iter().sum();
        let ledger = scene.sql(&format!(
            "select sum(n_stored)::bigint, sum(n_shed)::bigint, sum(n_rejected)::bigint from stream where host = '{}'",
            greedy.id
        ));
        let ledger: Vec<u64> = ledger.split('|').map(|n| n.parse().unwrap()).collect();
        let per_second = made as f64 / LASTS.as_secs_f64();
        println!(
            "a host that makes {per_second:.0} events/s: {made_in_all} made, {} stored, {} shed, {} refused",
            ledger[0], ledger[1], ledger[2]
        );
        assert_eq!(ledger.iter().sum::<u64>(), made_in_all, "stored, shed and refused are all that was made");
        assert!(ledger[1] > 0, "nothing was shed");
        // What it gave up when it was on its way already may have been stored all the same.
        assert!(ledger[1] <= state.shed, "{} were shed, it says", state.shed);
        let counter = "collector_event_shed_total";
        scene.judge("a thousand times", &before, Expected { counter, log: "connected", stored: 0 });
        greedy.program.stop().unwrap();
    });
}

/// Row 24: names are bounded by host, and none of them is the name of a counter.
#[test]
fn one_host_cannot_fill_tables_with_names() {
    play(|scene| {
        let before = scene.look();
        let mut source = Source::new();
        let count = "select count(*) from executable where encode(path, 'escape') like '/names/%'";
        let mut batches = Vec::new();
        for batch in 0..4_u32 {
            for n in 0..8_192_u32 {
                let number = batch * 8_192 + n;
                let path = Bytes::from(format!("/names/{number}"));
                let subject = source.builder.subject(&Subject {
                    key: ProcessKey { start: BootTime::from_ns(u64::from(number)), pid: number },
                    image: 1,
                    parent: None,
                    is_new: true,
                    row: Row::default().with(Field::ProcessExecutable, path),
                });
                source.push(&Event { time: NOW, kind: Kind::EXEC, row: Row::default() }, Some(subject));
            }
            batches.push(source.seal());
        }
        let n_events = source.next_seq;
        scene.run(async {
            let mut client = scene.session().await;
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            for batch in batches {
                stream.write_all(&frame(batch)).await.unwrap();
            }
            client.acknowledged(source.epoch, source.lane, n_events).await;
            client.leave().await;
        });
        let kept = scene.number(count);
        assert!((1..=MOST_PATHS).contains(&kept), "{kept} of {n_events} names are kept");
        let metrics = scene.metrics_text();
        assert!(!metrics.contains("names") && !metrics.contains(&scene.villain.to_string()));
        let n_lines = metrics.lines().count();
        assert!(n_lines < 2_000, "{n_lines} lines of metrics");
        let counter = "collector_event_stored_total";
        scene.judge("names", &before, Expected { counter, log: "connected", stored: n_events });
    });
}
