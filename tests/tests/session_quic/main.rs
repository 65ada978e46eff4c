//! A sensor's uplink and a collector's listener over real QUIC on loopback, with a store in memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fleet;
mod hostile;
mod proxy;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet::{Fleet, Sensor, client_tls, quick};
use proxy::Proxy;
use time::OffsetDateTime;
use uuid::Uuid;
use vedette_collector::listener::{Finding, HostReport, ListenerLimits};
use vedette_sensor::uplink::State;
use wire::batch::Sealed;
use wire::frame::Code;
use wire::frame::data::Batch;
use wire::id::{Epoch, HostId, Lane, StreamId};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
const HOST: HostId = HostId::new(Uuid::from_u128(0x1057));
const EPOCH: Epoch = Epoch::new(Uuid::from_u128(1));

/// Seals batches of 10 events into both lanes, numbered from `first`.
fn append(sensor: &Sensor, first: u64, n_batches: u64) {
    for i in first..first + n_batches {
        for lane in Lane::ALL {
            let payload = Bytes::from(vec![i as u8; 1000 + i as usize % 5000]);
            let sealed = Sealed { header: Bytes::from_static(b"header"), payload };
            sensor.outbox.append(EPOCH, lane, Batch { first_seq: i * 10, n_events: 10, sealed }).unwrap();
        }
    }
}

/// Every batch that `append` made is stored once, in order, as it was.
fn check_stored(fleet: &Fleet, n_batches: u64) {
    for lane in Lane::ALL {
        let stored = fleet.store.stored(StreamId { host: HOST, epoch: EPOCH, lane });
        assert_eq!(stored.len() as u64, n_batches);
        for (i, (first_seq, payload)) in stored.iter().enumerate() {
            assert_eq!(*first_seq, i as u64 * 10);
            assert!(payload.len() == 1000 + i % 5000 && payload.iter().all(|b| *b == i as u8));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_arrive_once_in_order_over_killed_connections() {
    let fleet = Fleet::new();
    let collectors = [fleet.collector(quick()), fleet.collector(quick())];
    let sensor = fleet.sensor(HOST, 1, &collectors.each_ref().map(|c| c.address));
    sensor.outbox.begin(EPOCH);
    for round in 0..6u64 {
        append(&sensor, round * 100, 100);
        // In the middle of it.
        fleet.store.wait_for_events(round * 2000 + 300).await;
        fleet.sessions.cut(HOST, Code::BUSY);
    }
    fleet.store.wait_for_events(12_000).await;
    check_stored(&fleet, 600);
    assert!(fleet.store.n_sessions_begun() >= 5, "{} sessions", fleet.store.n_sessions_begun());
    sensor.shutdown.cancel();
    tokio::time::timeout(PATIENCE, sensor.task).await.expect("the uplink stops").unwrap();
    let held = sensor.outbox.holdings();
    assert!(held.streams.iter().all(|held| held.acked == held.end), "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dark_collector_is_left_for_the_next_within_ten_seconds() {
    let fleet = Fleet::new();
    // With the deadlines as shipped.
    let collectors = [fleet.collector(ListenerLimits::default()), fleet.collector(ListenerLimits::default())];
    let proxy = Proxy::to(collectors[0].address).await;
    let sensor = fleet.sensor(HOST, 1, &[proxy.address, collectors[1].address]);
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 10);
    fleet.store.wait_for_events(200).await;
    proxy.go_dark();
    let dark = Instant::now();
    append(&sensor, 10, 10);
    fleet.store.wait_for_events(400).await;
    assert!(dark.elapsed() < Duration::from_secs(10), "{:?}", dark.elapsed());
    check_stored(&fleet, 20);
}

/// As after a `kill -9` of the collector: what has its address then does not know the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_collector_lost_is_given_up_at_once() {
    let fleet = Fleet::new();
    let (first, second) = (fleet.collector(quick()), fleet.collector(quick()));
    let proxy = Proxy::to(first.address).await;
    let sensor = fleet.sensor(HOST, 1, &[proxy.address]);
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 10);
    fleet.store.wait_for_events(200).await;
    proxy.move_house(second.address).await;
    append(&sensor, 10, 10);
    let mut state = sensor.link.state();
    let is_reset = |state: &State| matches!(state, State::Down { reason, .. } if reason.contains("reset"));
    tokio::time::timeout(PATIENCE, state.wait_for(is_reset)).await.expect("it is told").unwrap();
    fleet.store.wait_for_events(400).await;
    check_stored(&fleet, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_with_the_hosts_address() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let proxy = Proxy::to(collector.address).await;
    let sensor = fleet.sensor(HOST, 1, &[proxy.address]);
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 10);
    fleet.store.wait_for_events(200).await;
    proxy.move_house(collector.address).await;
    append(&sensor, 10, 10);
    fleet.store.wait_for_events(400).await;
    check_stored(&fleet, 20);
    assert_eq!(fleet.store.n_sessions_begun(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_up_at_once() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let sensor = fleet.sensor(HOST, 1, &[collector.address]);
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 10);
    fleet.store.wait_for_events(200).await;
    let serial = |report: &HostReport| match report {
        HostReport::Connected { host, .. } => Some(host.serial),
        _ => None,
    };
    let before = fleet.store.wait_for_report(serial).await;
    let papers = fleet.papers(HOST, OffsetDateTime::now_utc());
    sensor.tls.send_replace(client_tls(&fleet.authority, Some(papers)));
    let after = |report: &HostReport| serial(report).filter(|serial| *serial != before);
    fleet.store.wait_for_report(after).await;
    append(&sensor, 10, 10);
    fleet.store.wait_for_events(400).await;
    check_stored(&fleet, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_in_two_places_is_found() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let one = fleet.sensor(HOST, 1, &[collector.address]);
    let boot = |report: &HostReport| match report {
        HostReport::Connected { hello, .. } => Some(hello.boot),
        _ => None,
    };
    let first = fleet.store.wait_for_report(boot).await;
    let other = fleet.sensor(HOST, 2, &[collector.address]);
    let cloned = |report: &HostReport| match report {
        HostReport::Finding { finding: Finding::Cloned { boots, .. }, .. } => Some(*boots),
        _ => None,
    };
    let boots = fleet.store.wait_for_report(cloned).await;
    assert_eq!(boots.map(|boot| boot.uuid().as_u128()), [1, 2]);
    assert_eq!(first, boots[0]);
    assert_eq!(fleet.sessions.of(HOST).len(), 2, "neither is closed");
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_host_is_cut_and_stays_out() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let sensor = fleet.sensor(HOST, 1, &[collector.address]);
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 1);
    fleet.store.wait_for_events(20).await;
    let revoked = Instant::now();
    fleet.revoked.lock().unwrap().push(HOST);
    assert_eq!(fleet.sessions.cut(HOST, Code::REVOKED), 1);
    let gone = |report: &HostReport| match report {
        HostReport::Disconnected { code, .. } => Some(*code),
        _ => None,
    };
    assert_eq!(fleet.store.wait_for_report(gone).await, Code::REVOKED);
    assert!(revoked.elapsed() < Duration::from_secs(5));
    append(&sensor, 1, 1);
    let mut state = sensor.link.state();
    let is_refused = |state: &State| match state {
        State::Down { reason, .. } => reason.contains("certificate was revoked"),
        _ => false,
    };
    tokio::time::timeout(PATIENCE, state.wait_for(is_refused)).await.expect("it is told why").unwrap();
    assert_eq!(fleet.store.n_stored(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_stops_sends_its_sensors_on() {
    let fleet = Fleet::new();
    let collectors = [fleet.collector(quick()), fleet.collector(quick())];
    let sensor = fleet.sensor(HOST, 1, &collectors.each_ref().map(|c| c.address));
    sensor.outbox.begin(EPOCH);
    append(&sensor, 0, 10);
    fleet.store.wait_for_events(200).await;
    let [first, second] = collectors;
    first.shutdown.cancel();
    tokio::time::timeout(PATIENCE, first.task).await.expect("the listener stops").unwrap();
    append(&sensor, 10, 10);
    fleet.store.wait_for_events(400).await;
    check_stored(&fleet, 20);
    let up = sensor.link.state().borrow().clone();
    assert!(matches!(up, State::Up { collector, .. } if collector == second.address.to_string()));
    let offset = Arc::clone(&sensor.link).offset().expect("the clock was measured");
    assert!(offset.uncertainty_ns < 1_000_000_000);
}
