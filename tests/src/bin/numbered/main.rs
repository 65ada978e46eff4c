//! A host whose events are numbered: the sensor's own outbox, uplink and renewal, and a stand-in for the kernel that
//! counts. It may be killed or frozen at any moment, as a sensor may; from what it leaves in its folder a harness tells
//! what must be stored.
//!
//! `numbered FOLDER`, where the folder holds
//!
//! | file | written by | what |
//! |---|---|---|
//! | `setup.json` | harness | [`setup::Setup`] |
//! | its name`/` | `vedette-sensor enroll` | the identity |
//! | `round` | harness | the number of the round; `paused N`: seal what there is and make nothing |
//! | `made` | here | how many events were made, by lane: what the kernel's counters are for a sensor |
//! | `sealed` | here | how many of them are in batches that were kept, by lane |
//! | `batches` | here | a line for each batch: what it holds |
//! | `acknowledged` | here | a line for each step of a watermark |
//! | `state` | here | what is held, shed and rejected, a few times a second |

mod journal;
mod lane;
mod setup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vedette_sensor::clock::Reading;
use vedette_sensor::identity::Identity;
use vedette_sensor::outbox::{DiskThread, Outbox};
use vedette_sensor::renew::{self, RenewConfig};
use vedette_sensor::uplink::{self, About, Link, UplinkConfig};
use wire::frame::sensor::Facts;
use wire::id::{BootId, Epoch, Lane};

use journal::{Journal, Told};
use lane::Made;
use setup::{Orders, Setup};

/// How often events are made.
const TICK: Duration = Duration::from_millis(20);
/// How long they wait to be sealed.
const SEAL_EVERY: Duration = Duration::from_millis(200);
/// How many may wait.
const SEAL_AT: u32 = 500;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("which folder?")?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(folder))
}

async fn run(folder: PathBuf) -> anyhow::Result<()> {
    let setup = Setup::read(&folder)?;
    let identity_folder = folder.join(&setup.name);
    let identity = Identity::load(&identity_folder)?;
    let collectors = identity.collectors.clone();
    let outbox = Arc::new(Outbox::open(&setup.outbox()?)?);
    let disk = DiskThread::start(outbox.clone())?;
    let link = Arc::new(Link::default());
    let tls = watch::Sender::new(identity.tls()?);
    let facts = watch::Sender::new(Facts::default());
    let shutdown = CancellationToken::new();
    let uplink = uplink::run(
        UplinkConfig {
            collectors: collectors.clone(),
            tls: tls.subscribe(),
            about: About {
                host_name: setup.name.clone(),
                kernel_release: "6.1.0".into(),
                arch: std::env::consts::ARCH.into(),
                boot: BootId::new(setup.boot),
                capabilities: vec![],
            },
            facts: facts.subscribe(),
        },
        outbox.clone(),
        link.clone(),
        shutdown.clone(),
    );
    let uplink = tokio::spawn(uplink);
    let renewal = RenewConfig { folder: identity_folder, identity, collectors, link: link.clone() };
    tokio::spawn(renew::run(renewal, tls, shutdown.clone()));

    let mut maker = Maker::new(folder, setup, outbox, link)?;
    let mut stop = signal(SignalKind::terminate())?;
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = tick.tick() => maker.tick()?,
        }
    }
    maker.seal()?;
    shutdown.cancel();
    uplink.await?;
    maker.look()?;
    disk.stop(Duration::from_secs(5));
    Ok(())
}

/// Makes events, seals them, and notes what became of them.
struct Maker {
    folder: PathBuf,
    setup: Setup,
    outbox: Arc<Outbox>,
    link: Arc<Link>,
    journal: Journal,
    lanes: [Made; 2],
    epoch: Epoch,
    round: u64,
    /// What was asked for, and has been done.
    orders: Orders,
    sealed: Instant,
    made: Instant,
}

impl Maker {
    fn new(folder: PathBuf, setup: Setup, outbox: Arc<Outbox>, link: Arc<Link>) -> anyhow::Result<Self> {
        let journal = Journal::open(&folder)?;
        // What was made and not sealed went with the one before, as records do that a sensor had drained.
        let lanes = Lane::ALL.map(|lane| Made::resume(lane, journal.made(lane), journal.sealed(lane)));
        let epoch = Epoch::new(Uuid::now_v7());
        outbox.begin(epoch);
        let now = Instant::now();
        let orders = Orders::Pause(0);
        Ok(Self {
            folder,
            setup,
            outbox,
            link,
            journal,
            lanes,
            epoch,
            round: 0,
            orders,
            sealed: now,
            made: now,
        })
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let orders = Orders::read(&self.folder);
        let round = orders.round();
        if round != self.round {
            // A batch is of one round.
            self.seal()?;
            self.round = round;
        }
        let elapsed = self.made.elapsed().min(Duration::from_secs(1));
        self.made = Instant::now();
        if let Orders::Make(_) = orders {
            for lane in &mut self.lanes {
                lane.owe(elapsed, self.setup.per_second);
                // Counted before it is made, as the kernel does.
                self.journal.note_made(lane.lane, lane.upto())?;
                lane.make(self.round, Reading::now()?.boot);
            }
        }
        let is_full = self.lanes.iter().any(|lane| lane.n_waiting() >= SEAL_AT);
        if is_full || self.sealed.elapsed() >= SEAL_EVERY || matches!(orders, Orders::Pause(_)) {
            self.seal()?;
        }
        self.orders = orders;
        self.look()
    }

    fn seal(&mut self) -> anyhow::Result<()> {
        self.sealed = Instant::now();
        let reading = Reading::now()?;
        let clock = match self.link.offset() {
            Some(offset) => offset.clock(reading.boot_to_wall_ns()),
            None => reading.clock(),
        };
        for lane in &mut self.lanes {
            let Some(sealed) = lane.seal(self.epoch, self.setup.boot, clock) else { continue };
            let batch = sealed.batch;
            self.journal.note_batch(self.round, self.epoch, lane.lane, &batch, sealed.first_number)?;
            self.outbox.append(self.epoch, lane.lane, batch)?;
            self.journal.note_sealed(lane.lane, lane.upto())?;
        }
        if self.outbox.wants_new_epoch() {
            self.epoch = Epoch::new(Uuid::now_v7());
            self.outbox.begin(self.epoch);
            self.lanes.iter_mut().for_each(Made::begin_epoch);
        }
        Ok(())
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let holdings = self.outbox.holdings();
        let totals = Lane::ALL.map(|lane| self.outbox.totals(lane));
        let told = Told {
            round: self.round,
            is_paused: matches!(self.orders, Orders::Pause(_)),
            totals,
            held_bytes: self.outbox.n_bytes(),
            link: &self.link,
        };
        self.journal.note_holdings(&holdings, &told)
    }
}
