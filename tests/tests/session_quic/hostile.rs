//! What a broken or hostile node does, and that it is told why it has to go.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, ConnectionError};
use time::OffsetDateTime;
use uuid::Uuid;
use vedette_collector::ca::Authority;
use wire::batch::Sealed;
use wire::frame::data::{Batch, Data, Open};
use wire::frame::sensor::{Heartbeat, Hello};
use wire::frame::{Code, FromSensor, encode};
use wire::id::{BootId, Epoch, HostId, Lane};
use wire::time::WallTime;

use crate::fleet::{Fleet, Papers, client_tls, dial, papers_of, quick};
use crate::{HOST, PATIENCE};

/// What the connection comes to.
async fn end(connection: &Connection) -> ConnectionError {
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it is closed")
}

async fn code(connection: &Connection) -> Code {
    match end(connection).await {
        ConnectionError::ApplicationClosed(close) => Code(close.error_code.into_inner() as u32),
        other => panic!("expected a code, found {other}"),
    }
}

/// Connects with a good certificate, says hello, and waits for the welcome.
async fn greeted(fleet: &Fleet, address: SocketAddr) -> (Connection, quinn::Endpoint, quinn::SendStream) {
    let papers = fleet.papers(HOST, OffsetDateTime::now_utc());
    let (connection, endpoint) = dial(address, client_tls(&fleet.authority, Some(papers))).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&encode(&FromSensor::from(hello()))).await.unwrap();
    let mut header = [0; 6];
    recv.read_exact(&mut header).await.unwrap();
    assert_eq!(header[..2], 0x0101u16.to_le_bytes(), "a welcome");
    // Kept open: stopping it would be an end of its own.
    tokio::spawn(async move { drop(recv.read_to_end(1 << 20).await) });
    (connection, endpoint, send)
}

fn hello() -> Hello {
    Hello {
        versions: vec![1],
        sensor_version: "0".into(),
        host_name: "h".into(),
        kernel_release: "6".into(),
        arch: "x".into(),
        boot: BootId::new(Uuid::nil()),
        capabilities: vec![],
        streams: vec![],
    }
}

fn batch(first_seq: u64, n_bytes: usize) -> Vec<u8> {
    let sealed = Sealed { header: vec![].into(), payload: vec![1; n_bytes].into() };
    encode(&Data::Batch(Batch { first_seq, n_events: 1, sealed }))
}

fn open(from: u64) -> Vec<u8> {
    encode(&Data::Open(Open { epoch: Epoch::new(Uuid::nil()), lane: Lane::Bulk, from }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_certificate_the_handshake_fails() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let elsewhere = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let other = Authority::open_or_create(elsewhere.path(), now).unwrap();
    let server = fleet.authority.certify_collector(&[], now).unwrap();
    let long = {
        let mut papers = fleet.papers(HOST, now);
        papers.chain.extend(vec![fleet.authority.certificate().clone(); 100]);
        papers
    };
    let day = time::Duration::days(1);
    let bad: Vec<(&str, Option<Papers>)> = vec![
        ("no certificate", None),
        ("of another authority", Some(papers_of(&other, HOST, now))),
        ("expired", Some(fleet.papers(HOST, now - day * 3))),
        ("not yet valid", Some(fleet.papers(HOST, now + day * 3))),
        ("a collector's", Some(Papers { chain: server.chain, key: server.key })),
    ];
    for (what, papers) in bad {
        // A TLS 1.3 client may be done before the server has looked at its certificate.
        let error = match dial(collector.address, client_tls(&fleet.authority, papers)).await {
            Ok((connection, _endpoint)) => end(&connection).await,
            Err(e) => e,
        };
        let is_tls = matches!(&error, ConnectionError::ConnectionClosed(close)
            if u64::from(close.error_code) & 0xff00 == 0x100 || close.error_code.to_string().contains("CRYPTO"));
        assert!(is_tls, "{what}: {error:?}");
    }
    // Its handshake is sound, so it is told why.
    let (connection, _endpoint) =
        dial(collector.address, client_tls(&fleet.authority, Some(long))).await.unwrap();
    assert_eq!(code(&connection).await, Code::NOT_ALLOWED, "with a hundred more");
    assert_eq!(fleet.store.n_sessions_begun(), 0);
    greeted(&fleet, collector.address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_cannot_be_read_close_the_connection() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let too_long = |ty: u16, length: u32| [&ty.to_le_bytes()[..], &length.to_le_bytes()].concat();
    let bad = [
        ("an unknown type", vec![0x77, 0x77, 0, 0, 0, 0]),
        ("a type of the other direction", too_long(0x0101, 1)),
        ("a heartbeat of 4 GiB", too_long(2, u32::MAX)),
        ("a heartbeat one byte too long", too_long(2, (64 << 10) + 1)),
        ("an empty heartbeat", too_long(2, 0)),
        ("a batch on the control stream", batch(0, 10)),
    ];
    for (what, bytes) in bad {
        let (connection, _endpoint, mut send) = greeted(&fleet, collector.address).await;
        send.write_all(&bytes).await.unwrap();
        assert_eq!(code(&connection).await, Code::BAD_FRAME, "{what}");
    }
    let (connection, _endpoint, _send) = greeted(&fleet, collector.address).await;
    let mut data = connection.open_uni().await.unwrap();
    data.write_all(&open(0)).await.unwrap();
    data.write_all(&too_long(0x12, (8 << 20) + 1)).await.unwrap();
    assert_eq!(code(&connection).await, Code::BAD_FRAME, "a batch one byte too long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_out_of_turn_close_the_connection() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    for (what, bytes) in [
        ("a batch that is not next", [open(5), batch(6, 10)].concat()),
        ("a batch again", [open(5), batch(5, 10), batch(5, 10)].concat()),
        ("data before open", batch(0, 10)),
        ("a second open", [open(5), open(5)].concat()),
    ] {
        let (connection, _endpoint, _send) = greeted(&fleet, collector.address).await;
        let mut data = connection.open_uni().await.unwrap();
        data.write_all(&bytes).await.unwrap();
        assert_eq!(code(&connection).await, Code::OUT_OF_ORDER, "{what}");
    }
    let (connection, _endpoint, mut send) = greeted(&fleet, collector.address).await;
    send.write_all(&encode(&FromSensor::from(hello()))).await.unwrap();
    assert_eq!(code(&connection).await, Code::OUT_OF_ORDER, "a second hello");

    let papers = fleet.papers(HOST, OffsetDateTime::now_utc());
    let tls = client_tls(&fleet.authority, Some(papers));
    let (connection, _endpoint) = dial(collector.address, tls).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let heartbeat = Heartbeat { sent: WallTime::default(), facts: Default::default() };
    send.write_all(&encode(&FromSensor::from(heartbeat))).await.unwrap();
    assert_eq!(code(&connection).await, Code::OUT_OF_ORDER, "a heartbeat before the hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_slowness_close_the_connection() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let papers = || Some(fleet.papers(HOST, OffsetDateTime::now_utc()));
    let silent = dial(collector.address, client_tls(&fleet.authority, papers())).await.unwrap();
    assert_eq!(code(&silent.0).await, Code::TOO_SLOW, "no control stream");

    let (connection, _endpoint) =
        dial(collector.address, client_tls(&fleet.authority, papers())).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&[1]).await.unwrap();
    assert_eq!(code(&connection).await, Code::TOO_SLOW, "no hello");

    let (connection, _endpoint, mut send) = greeted(&fleet, collector.address).await;
    let mut data = connection.open_uni().await.unwrap();
    data.write_all(&[&open(0)[..], &[0x12, 0, 0, 0, 0x70, 0]].concat()).await.unwrap();
    // A byte now and then, alive otherwise.
    let trickle = async {
        let mut beat = tokio::time::interval(Duration::from_millis(300));
        loop {
            beat.tick().await;
            let heartbeat = Heartbeat { sent: WallTime::default(), facts: Default::default() };
            if send.write_all(&encode(&FromSensor::from(heartbeat))).await.is_err()
                || data.write_all(&[0]).await.is_err()
            {
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        code = code(&connection) => assert_eq!(code, Code::TOO_SLOW, "a byte at a time"),
        () = trickle => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_at_once_closes_the_connection() {
    let fleet = Fleet::new();
    let mut limits = quick();
    limits.session.window.bytes = 10_000;
    limits.session.max_batch_bytes = 10_000;
    let collector = fleet.collector(limits);
    let (connection, _endpoint, _send) = greeted(&fleet, collector.address).await;
    let mut data = connection.open_uni().await.unwrap();
    data.write_all(&open(0)).await.unwrap();
    let all: Vec<u8> = (0..200).flat_map(|i| batch(i, 9_000)).collect();
    drop(data.write_all(&all).await);
    assert_eq!(code(&connection).await, Code::OVER_CREDIT);

    let (connection, _endpoint, _send) = greeted(&fleet, collector.address).await;
    let churn = async {
        while let Ok(mut stream) = connection.open_uni().await {
            drop(stream.write_all(&open(0)).await);
            drop(stream.finish());
        }
    };
    assert!(tokio::time::timeout(PATIENCE, churn).await.is_ok());
    assert_eq!(code(&connection).await, Code::TOO_MANY_STREAMS);
}

/// Whoever a message claims to be, the certificate says who it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_belong_to_the_host_of_the_certificate() {
    let fleet = Fleet::new();
    let collector = fleet.collector(quick());
    let (connection, _endpoint, _send) = greeted(&fleet, collector.address).await;
    let mut data = connection.open_uni().await.unwrap();
    data.write_all(&[open(0), batch(0, 10)].concat()).await.unwrap();
    fleet.store.wait_for_events(1).await;
    let stream = |host| wire::id::StreamId { host, epoch: Epoch::new(Uuid::nil()), lane: Lane::Bulk };
    assert_eq!(fleet.store.stored(stream(HOST)).len(), 1);
    assert_eq!(fleet.store.stored(stream(HostId::new(Uuid::nil()))).len(), 0);
}
