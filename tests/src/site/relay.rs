//! A network between hosts and one collector: UDP for sessions, TCP for enrolment and renewal, that can be made bad.
//!
//! Each host's packets leave from a socket of its own, as behind a NAT, so that they can be given another address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::AbortOnDropHandle;

/// What becomes of a packet on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// Nothing passes.
    pub dark: bool,
    /// The share that is lost.
    pub loss: f64,
    /// The share that comes twice.
    pub twice: f64,
    /// The share in which a bit is turned.
    pub damage: f64,
    /// Every packet comes so much later; and up to as much again, at random, so that they overtake each other.
    pub delay: Duration,
    /// See `delay`.
    pub jitter: Duration,
    /// Larger ones are lost.
    pub max_bytes: Option<usize>,
}

/// A relay in front of one collector.
pub struct Relay {
    /// Where hosts find it, UDP and TCP.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

struct Shared {
    /// Where packets go, and from the hosts' or the collector's side.
    target: Mutex<SocketAddr>,
    up: Mutex<Weather>,
    down: Mutex<Weather>,
    random: Mutex<StdRng>,
    /// Each host's way: a socket towards the collector, which is closed when it is dropped.
    ways: tokio::sync::Mutex<HashMap<SocketAddr, Way>>,
    inside: UdpSocket,
}

struct Way {
    outside: Arc<UdpSocket>,
    _back: AbortOnDropHandle<()>,
}

impl Relay {
    /// A relay to this collector, in fine weather.
    ///
    /// # Errors
    /// When it has no port to listen at.
    pub async fn to(target: SocketAddr, random: StdRng) -> anyhow::Result<Self> {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        let inside = UdpSocket::bind(address).await?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            up: Mutex::default(),
            down: Mutex::default(),
            random: Mutex::new(random),
            ways: tokio::sync::Mutex::default(),
            inside,
        });
        let tasks = [tokio::spawn(shared.clone().packets()), tokio::spawn(shared.clone().calls(tcp))];
        Ok(Self { address, shared, _tasks: tasks.map(AbortOnDropHandle::new) })
    }

    /// Sets what becomes of packets towards the collector, and of those back.
    pub fn set(&self, up: Weather, down: Weather) {
        *self.shared.up.lock().unwrap() = up;
        *self.shared.down.lock().unwrap() = down;
    }

    /// Leads to another collector from now on; hosts' addresses change with it.
    pub async fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = target;
        self.change_addresses().await;
    }

    /// Every host's packets leave from another address from now on.
    pub async fn change_addresses(&self) {
        self.shared.ways.lock().await.clear();
    }
}

impl Shared {
    async fn packets(self: Arc<Self>) {
        let mut bytes = vec![0; 65_536];
        loop {
            let Ok((n, from)) = self.inside.recv_from(&mut bytes).await else { continue };
            let outside = match self.way(from).await {
                Ok(outside) => outside,
                Err(_) => continue,
            };
            let up = *self.up.lock().unwrap();
            self.pass(up, &bytes[..n], move |packet: Vec<u8>| {
                let outside = outside.clone();
                async move { drop(outside.send(&packet).await) }
            });
        }
    }

    async fn way(self: &Arc<Self>, host: SocketAddr) -> std::io::Result<Arc<UdpSocket>> {
        let mut ways = self.ways.lock().await;
        if let Some(way) = ways.get(&host) {
            return Ok(way.outside.clone());
        }
        let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let target = *self.target.lock().unwrap();
        outside.connect(target).await?;
        let back = tokio::spawn(self.clone().back(host, outside.clone()));
        ways.insert(host, Way { outside: outside.clone(), _back: AbortOnDropHandle::new(back) });
        Ok(outside)
    }

    async fn back(self: Arc<Self>, host: SocketAddr, outside: Arc<UdpSocket>) {
        let mut bytes = vec![0; 65_536];
        loop {
            // An error says that nobody listened at the other end.
            let Ok(n) = outside.recv(&mut bytes).await else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let down = *self.down.lock().unwrap();
            let shared = self.clone();
            self.pass(down, &bytes[..n], move |packet: Vec<u8>| {
                let shared = shared.clone();
                async move { drop(shared.inside.send_to(&packet, host).await) }
            });
        }
    }

    /// Lets a packet pass, if and as often and as late as the weather has it.
    fn pass<F, S>(&self, weather: Weather, packet: &[u8], send: S)
    where
        S: Fn(Vec<u8>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut random = self.random.lock().unwrap();
        let too_long = weather.max_bytes.is_some_and(|max| packet.len() > max);
        if weather.dark || too_long || random.random_bool(weather.loss) {
            return;
        }
        let n = 1 + usize::from(random.random_bool(weather.twice));
        for _ in 0..n {
            let mut packet = packet.to_vec();
            if random.random_bool(weather.damage) && !packet.is_empty() {
                let at = random.random_range(0..packet.len());
                packet[at] ^= 1 << random.random_range(0..8);
            }
            let later = weather.delay + weather.jitter.mul_f64(random.random());
            let sent = send(packet);
            tokio::spawn(async move {
                if !later.is_zero() {
                    tokio::time::sleep(later).await;
                }
                sent.await;
            });
        }
    }

    async fn calls(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((mut host, _)) = listener.accept().await else { continue };
            let target = *self.target.lock().unwrap();
            if self.up.lock().unwrap().dark || self.down.lock().unwrap().dark {
                continue;
            }
            tokio::spawn(async move {
                if let Ok(mut collector) = TcpStream::connect(target).await {
                    drop(tokio::io::copy_bidirectional(&mut host, &mut collector).await);
                }
            });
        }
    }
}
