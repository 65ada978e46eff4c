//! A host without a kernel to watch: the sensor's own enrolment, outbox, uplink and renewal, and events of the test's making.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use vedette_sensor::enroll::{Enrolment, enroll};
use vedette_sensor::identity::{Identity, trust};
use vedette_sensor::outbox::{Outbox, OutboxConfig};
use vedette_sensor::renew::{self, RenewConfig};
use vedette_sensor::uplink::{self, About, Link, State, UplinkConfig};
use wire::authority::AuthorityId;
use wire::batch::{Boundary, Builder};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::Batch;
use wire::frame::sensor::Facts;
use wire::id::{BootId, Epoch, HostId, Lane};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock};
use wire::value::Value;

use crate::PATIENCE;
use crate::collector::Collector;

/// What its sensor can do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Today,
    /// One that knows nothing of other authorities than the first: it tells nothing, and never renews.
    Before,
}

pub(crate) struct Sensor {
    pub(crate) host: HostId,
    folder: TempDir,
    outbox: Arc<Outbox>,
    epoch: Epoch,
    next_seq: u64,
    build: Build,
    running: Option<Running>,
    _spool: TempDir,
}

struct Running {
    link: Arc<Link>,
    stop: CancellationToken,
    uplink: AbortOnDropHandle<()>,
    _renewal: Option<AbortOnDropHandle<()>>,
    _facts: watch::Sender<Facts>,
}

impl Sensor {
    /// Enrols at the first collector, and knows the others; it runs.
    pub(crate) async fn enroll(collectors: &[&Collector], build: Build) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (token, fingerprint) = collectors[0].enroll_token();
        let args = Enrolment {
            collectors: collectors.iter().map(|collector| collector.address()).collect(),
            token,
            ca_sha256: fingerprint.parse().unwrap(),
            force: false,
        };
        let host = enroll(&args, folder.path()).await.unwrap();
        let spool = tempfile::tempdir_in("/dev/shm").unwrap();
        let config = OutboxConfig { dir: spool.path().join("spool"), max_bytes: 1 << 28, disk: None };
        let outbox = Arc::new(Outbox::open(&config).unwrap());
        let epoch = Epoch::new(Uuid::now_v7());
        outbox.begin(epoch);
        let mut sensor =
            Self { host, folder, outbox, epoch, next_seq: 0, build, running: None, _spool: spool };
        sensor.start();
        sensor
    }

    /// Runs, as from the start of a sensor.
    pub(crate) fn start(&mut self) {
        let identity = self.identity();
        let (link, stop) = (Arc::new(Link::default()), CancellationToken::new());
        let facts = watch::Sender::new(Facts::default());
        let (renewed, tls) = watch::channel(identity.tls().unwrap());
        let about = About {
            host_name: format!("host-{}", self.host),
            kernel_release: "6.1".into(),
            arch: "x86_64".into(),
            boot: BootId::new(Uuid::from_u128(1)),
            capabilities: vec![],
        };
        let collectors = identity.collectors.clone();
        let config = UplinkConfig { collectors: collectors.clone(), tls, about, facts: facts.subscribe() };
        let renewal = (self.build == Build::Today).then(|| {
            let folder = self.folder.path().to_owned();
            let config = RenewConfig { folder, identity, collectors, link: link.clone() };
            AbortOnDropHandle::new(tokio::spawn(renew::run(config, renewed, stop.clone())))
        });
        let run = uplink::run(config, self.outbox.clone(), link.clone(), stop.clone());
        let uplink = AbortOnDropHandle::new(tokio::spawn(run));
        self.running = Some(Running { link, stop, uplink, _renewal: renewal, _facts: facts });
    }

    /// Falls asleep.
    pub(crate) async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop.cancel();
        tokio::time::timeout(PATIENCE, running.uplink).await.expect("the uplink ends").unwrap();
    }

    /// Its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its identity as it is on its disk.
    pub(crate) fn identity(&self) -> Identity {
        Identity::load(self.folder.path()).unwrap()
    }

    /// Whether its certificate was made by this authority.
    pub(crate) fn is_of(&self, authority: AuthorityId) -> bool {
        let identity = self.identity();
        let by = identity.trusted().iter().find(|trusted| trust::id_of(trusted) == authority);
        by.is_some_and(|by| trust::is_issuer(by, identity.certificate()))
    }

    /// Gets its next certificate now, as if it were time.
    pub(crate) async fn renew(&mut self) -> Result<(), String> {
        self.stop().await;
        let identity = self.identity();
        let result = renew::renew(&identity, &identity.collectors, self.folder.path()).await;
        self.start();
        result.map(drop).map_err(|error| error.to_string())
    }

    /// Seals a batch of events with this marker.
    pub(crate) fn tell(&mut self, marker: &str, n_events: u32) {
        let mut builder = Builder::new();
        for i in 0..n_events {
            let path = format!("/{marker}/{}/{}", self.host, self.next_seq + u64::from(i));
            let row = Row::default().with(Field::FilePath, Value::Keyword(Bytes::from(path)));
            builder.push(&Event { kind: Kind::FILE_CREATE, time: BootTime::from_ns(1), row }, None);
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let boot_to_wall_ns = i64::try_from(wall.as_nanos()).unwrap();
        let first_seq = self.next_seq;
        self.next_seq += u64::from(n_events);
        let sealed = builder.seal(Boundary {
            epoch: self.epoch,
            lane: Lane::Bulk,
            first_seq,
            boot: BootId::new(Uuid::from_u128(1)),
            sealed: BootTime::from_ns(2),
            clock: Clock { boot_to_wall_ns, offset_ns: 0, uncertainty_ns: 0 },
            ledger: Ledger { generated: self.next_seq, ..Ledger::default() },
            collection: [0; 16],
        });
        let batch = Batch { first_seq, n_events, sealed };
        self.outbox.append(self.epoch, Lane::Bulk, batch).unwrap();
    }

    /// Begins to number anew, as a sensor does that is started again.
    pub(crate) fn begin_anew(&mut self) {
        self.epoch = Epoch::new(Uuid::now_v7());
        self.next_seq = 0;
        self.outbox.begin(self.epoch);
    }

    /// Waits until everything told is acknowledged.
    pub(crate) async fn acknowledged(&self) {
        let all = async {
            while self.outbox.holdings().streams.iter().any(|held| held.acked < held.end) {
                tokio::time::sleep(Duration::from_millis(20)).await; // poll interval
            }
        };
        let done = tokio::time::timeout(PATIENCE, all).await;
        done.unwrap_or_else(|_| panic!("not acknowledged: {:?}, {:?}", self.outbox.holdings(), self.state()));
    }

    /// Tells events and waits until they are acknowledged.
    pub(crate) async fn ship(&mut self, marker: &str, n_events: u32) {
        self.tell(marker, n_events);
        self.acknowledged().await;
    }

    /// How its link is.
    pub(crate) fn state(&self) -> State {
        self.running.as_ref().map_or(State::Never, |running| running.link.state().borrow().clone())
    }

    /// Waits until the link is lost for a reason with this in it; how long that took.
    pub(crate) async fn down_for(&self, reason: &str) -> Duration {
        let begun = Instant::now();
        let mut state = self.running.as_ref().unwrap().link.state();
        let is_so = |state: &State| matches!(state, State::Down { reason: why, .. } if why.contains(reason));
        tokio::time::timeout(PATIENCE, state.wait_for(is_so)).await.expect("the link is lost").unwrap();
        begun.elapsed()
    }
}

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await; // poll interval
    }
}
