//! A host without a kernel: an outbox, and uplinks as a sensor has them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use vedette_sensor::outbox::{Outbox, OutboxConfig};
use vedette_sensor::uplink::{self, About, Link, UplinkConfig};
use wire::batch::{Boundary, Builder};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::Batch;
use wire::frame::sensor::Facts;
use wire::id::{BootId, Epoch, HostId, Lane};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock};
use wire::value::Value;

use crate::collector::Site;

/// Events of each batch.
const N_EVENTS: u64 = 10;

pub(crate) struct Host {
    id: HostId,
    epoch: Epoch,
    outbox: Arc<Outbox>,
    tls: watch::Sender<Arc<rustls::ClientConfig>>,
    facts: watch::Sender<Facts>,
    n_batches: u64,
    uplinks: Vec<AbortOnDropHandle<()>>,
    _dir: TempDir,
}

impl Host {
    /// Enrolled, and not connected.
    pub(crate) async fn new(site: &Site, id: HostId) -> Self {
        let tls = watch::Sender::new(site.enroll(id).await);
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let config = OutboxConfig { dir: dir.path().join("spool"), max_bytes: 1 << 30, disk: None };
        let outbox = Arc::new(Outbox::open(&config).unwrap());
        let epoch = Epoch::new(Uuid::now_v7());
        outbox.begin(epoch);
        let facts = watch::Sender::new(Facts::default());
        Self { id, epoch, outbox, tls, facts, n_batches: 0, uplinks: Vec::new(), _dir: dir }
    }

    /// Leaves its connections without a word, and goes to the first of these collectors that answers.
    pub(crate) fn connect(&mut self, collectors: &[SocketAddr]) {
        self.uplinks.clear();
        self.add(collectors, 1);
    }

    /// Goes to each of these at once, as two machines with one certificate would.
    pub(crate) fn connect_to_each(&mut self, collectors: &[SocketAddr]) {
        self.uplinks.clear();
        for (n, collector) in collectors.iter().enumerate() {
            self.add(std::slice::from_ref(collector), n as u128 + 1);
        }
    }

    fn add(&mut self, collectors: &[SocketAddr], boot: u128) {
        let config = UplinkConfig {
            collectors: collectors.iter().map(SocketAddr::to_string).collect(),
            tls: self.tls.subscribe(),
            about: About {
                host_name: format!("host-{}", self.id.uuid().as_u128() & 0xff),
                kernel_release: "6.1.0".into(),
                arch: "x86_64".into(),
                boot: BootId::new(Uuid::from_u128(boot)),
                capabilities: vec![],
            },
            facts: self.facts.subscribe(),
        };
        let run =
            uplink::run(config, self.outbox.clone(), Arc::new(Link::default()), CancellationToken::new());
        self.uplinks.push(AbortOnDropHandle::new(tokio::spawn(run)));
    }

    /// Seals so many batches into both lanes.
    pub(crate) fn write(&mut self, n: u64) {
        for _ in 0..n {
            for lane in Lane::ALL {
                let batch = batch(self.epoch, lane, self.n_batches * N_EVENTS);
                self.outbox.append(self.epoch, lane, batch).unwrap();
            }
            self.n_batches += 1;
        }
    }

    pub(crate) fn n_written(&self) -> u64 {
        self.n_batches * N_EVENTS * Lane::ALL.len() as u64
    }

    /// Waits until all that was written is acknowledged.
    pub(crate) async fn acknowledged(&self, at_most: Duration) {
        let all = async {
            loop {
                let held = self.outbox.holdings().streams;
                let is_acked = held.iter().all(|held| held.acked == held.end);
                if is_acked && held.iter().map(|held| held.end).sum::<u64>() >= self.n_written() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await; // poll interval
            }
        };
        let waited = tokio::time::timeout(at_most, all).await;
        assert!(
            waited.is_ok(),
            "{}: not acknowledged after {at_most:?}: {:?}",
            self.id,
            self.outbox.holdings()
        );
    }
}

/// A batch of opened files, whose ledger says that nothing was lost.
fn batch(epoch: Epoch, lane: Lane, first_seq: u64) -> Batch {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000_000);
    let wall = time::OffsetDateTime::now_utc().unix_timestamp_nanos() as i64;
    let mut builder = Builder::new();
    let mut now = BootTime::from_ns(0);
    for n in 0..N_EVENTS {
        now = BootTime::from_ns(NOW.fetch_add(1_000, Ordering::Relaxed));
        let path = format!("/several/{}/{}", lane, first_seq + n);
        builder.push(
            &Event {
                time: now,
                kind: Kind::FILE_OPEN,
                row: Row::default().with(Field::FilePath, Value::Keyword(path.into_bytes().into())),
            },
            None,
        );
    }
    let generated = first_seq + N_EVENTS;
    let sealed = builder.seal(Boundary {
        epoch,
        lane,
        first_seq,
        boot: BootId::new(Uuid::from_u128(1)),
        sealed: now,
        clock: Clock { boot_to_wall_ns: wall - now.ns() as i64, offset_ns: 0, uncertainty_ns: 0 },
        ledger: Ledger { generated, ..Ledger::default() },
        collection: [0; 16],
    });
    let tight = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let sealed = wire::batch::Sealed { header: tight(&sealed.header), payload: tight(&sealed.payload) };
    Batch { first_seq, n_events: N_EVENTS as u32, sealed }
}
