//! Packets: garbage at full speed, floods of first packets, packets that break the rules of QUIC.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng as _, RngCore as _, SeedableRng as _};

use crate::client::{Client, hello};
use crate::initial::{PARAMETERS, client_hello, crypto, packet};
use crate::scene::{Expected, Scene, play};
use crate::source::{Source, frame};

/// For how long packets come at full speed.
const FLOOD: Duration = Duration::from_secs(2);
/// How many handshakes a collector has in progress at most; before that it asks for proof of addresses.
const MOST_HANDSHAKES: u64 = 512;

/// Sends what `make` makes from many addresses of the loopback network, as fast as it can, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    n_sent: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn start(to: SocketAddr, n_addresses: u8, mut make: impl FnMut() -> Vec<u8> + Send + 'static) -> Self {
        let (stop, n_sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let sockets: Vec<_> = (1..=n_addresses)
            .map(|n| UdpSocket::bind(SocketAddr::from(([127, 9, n, 1], 0))).unwrap())
            .collect();
        let (seen, count) = (stop.clone(), n_sent.clone());
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for socket in &sockets {
                    // A full buffer is no matter: the kernel drops it.
                    drop(socket.send_to(&make(), to));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, n_sent, thread: Some(thread) }
    }

    fn end(mut self) -> u64 {
        self.halt();
        self.n_sent.load(Ordering::Relaxed)
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.halt();
    }
}

/// How long batches of a polite host wait for their acknowledgements, one after the other: median and 99th percentile.
async fn acks(client: &mut Client, source: &mut Source, lasts: Duration) -> (usize, Duration, Duration) {
    let mut stream = client.open(source.epoch, source.lane, source.next_seq).await;
    let (began, mut waited) = (Instant::now(), Vec::new());
    while began.elapsed() < lasts {
        let sent = Instant::now();
        stream.write_all(&frame(source.batch("polite", 1))).await.unwrap();
        client.acknowledged(source.epoch, source.lane, source.next_seq).await;
        waited.push(sent.elapsed());
    }
    stream.finish().unwrap();
    waited.sort_unstable();
    (waited.len(), waited[waited.len() / 2], waited[waited.len() * 99 / 100])
}

fn pending(scene: &Scene) -> u64 {
    let text = scene.metrics_text();
    let line = text.lines().find_map(|line| line.strip_prefix("collector_handshake_pending "));
    line.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Plays a flood beside a polite host, prints what it does to that host, and says how much was sent.
fn beside_a_polite_host(scene: &Scene, what: &str, make: impl FnMut() -> Vec<u8> + Send + 'static) -> u64 {
    scene.run(async {
        let (mut client, mut source) = (scene.session().await, Source::new());
        let (_, half, most) = acks(&mut client, &mut source, Duration::from_secs(1)).await;
        let flood = Flood::start(scene.address(), 200, make);
        let (n, half_then, most_then) = acks(&mut client, &mut source, FLOOD).await;
        assert!(n > 5, "{what}: a polite host had {n} batches acknowledged in {FLOOD:?}");
        let n_sent = flood.end();
        let per_second = n_sent as f64 / FLOOD.as_secs_f64();
        println!(
            "{what}: {per_second:.0} packets/s; p50 of acks {half:.1?} before and {half_then:.1?} then, p99 \
             {most:.1?} and {most_then:.1?}"
        );
        client.leave().await;
        n_sent
    })
}

/// Rows 1 and 2.
#[test]
fn floods_of_packets_cost_nothing_that_stays() {
    play(|scene| {
        let before = scene.look();
        let mut random = rand::rngs::StdRng::seed_from_u64(1);
        beside_a_polite_host(scene, "garbage", move || {
            let mut packet = vec![0; random.random_range(1..1400)];
            random.fill_bytes(&mut packet);
            packet
        });
        let said = client_hello(&scene.tls, PARAMETERS);
        let polite = scene.stored_of(&scene.villain.to_string());
        beside_a_polite_host(scene, "first packets", move || packet(&crypto(0, &said)));
        assert!(pending(scene) <= MOST_HANDSHAKES, "{} handshakes are in progress", pending(scene));
        let retried = scene.counted(&before).of("collector_handshake_retried_total");
        assert!(retried > 0, "nobody was asked to prove an address");
        assert!(scene.stored_of(&scene.villain.to_string()) > polite);
        // Whoever is real gets in while handshakes of others are in progress: it proves its address.
        scene.run(async { scene.session().await.leave().await });
        tests::wait::until("nobody goes on with these handshakes", Duration::from_secs(20), || {
            (scene.counted(&before).of("collector_handshake_refused_total{reason=\"slow\"}") > 0)
                .then_some(())
        });
        let stored = scene.stored_of(&scene.villain.to_string()) - before.villain();
        let (counter, log) = ("collector_handshake_refused_total", "refused a connection");
        scene.judge("floods", &before, Expected { counter, log, stored });
    });
}

/// Row 3.
#[test]
fn packets_that_break_the_rules_end_their_connection_only() {
    play(|scene| {
        let hello = |parameters: &[u8]| crypto(0, &client_hello(&scene.tls, parameters));
        let with = |more: &[u8]| hello(&[PARAMETERS, more].concat());
        let bad: Vec<(&str, Vec<u8>)> = vec![
            ("a frame of unknown type", vec![0x40, 0x77, 1, 2, 3]),
            ("an ACK of what was never sent", vec![2, 0x80, 0xff, 0xff, 0xff, 0, 0, 0]),
            ("a frame of a stream", vec![8, 0, 1, 2, 3]),
            ("a CRYPTO frame far ahead", crypto(1 << 40, b"far")),
            ("a CRYPTO frame past the last offset", crypto((1 << 62) - 1, b"past")),
            ("a CRYPTO frame longer than the packet", vec![6, 0, 0x7f, 0xff, 1]),
            ("no TLS", crypto(0, &[0xff; 300])),
            ("a TLS message of 16 MiB", crypto(0, &[1, 0xff, 0xff, 0xff, 3, 3])),
            ("parameters that are cut", with(&[4, 8, 0xff])),
            ("a parameter twice", with(&[4, 1, 5, 4, 1, 5])),
            ("a stream count out of bounds", with(&[8, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
            ("a packet size out of bounds", with(&[3, 1, 1])),
            ("no parameters", hello(&[])),
        ];
        let before = scene.look();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        from.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        for (what, frames) in &bad {
            let refused =
                scene.counted(&before).of("collector_handshake_refused_total{reason=\"handshake\"}");
            from.send_to(&packet(frames), scene.address()).unwrap();
            tests::wait::until(&format!("{what} ends the connection"), Duration::from_secs(5), || {
                let name = "collector_handshake_refused_total{reason=\"handshake\"}";
                (scene.counted(&before).of(name) > refused).then_some(())
            });
        }
        let (counter, log) = ("collector_handshake_refused_total", "refused a connection");
        scene.judge("broken packets", &before, Expected { counter, log, stored: 0 });
    });
}

/// Row 3: a host may change its address as often as it likes, and stays who it is.
#[test]
fn a_session_that_changes_its_address_all_the_time_goes_on() {
    play(|scene| {
        let before = scene.look();
        scene.run(async {
            let mut client = Client::greeted(scene.address(), scene.tls.clone(), hello()).await;
            let mut source = Source::new();
            let mut stream = client.open(source.epoch, source.lane, 0).await;
            for n in 0..30_u8 {
                let address = IpAddr::from([127, 10, n, 1]);
                client.endpoint.rebind(UdpSocket::bind((address, 0)).unwrap()).unwrap();
                stream.write_all(&frame(source.batch("moving", 1))).await.unwrap();
                client.acknowledged(source.epoch, source.lane, source.next_seq).await;
            }
            client.leave().await;
        });
        let (counter, log) = ("collector_session_started_total", "connected");
        scene.judge("churn", &before, Expected { counter, log, stored: 30 });
    });
}
