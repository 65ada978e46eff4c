//! The one place that wires the rooms: rings → pipeline → outbox → uplink.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::frame::sensor::Facts;
use wire::id::{BootId, Epoch, HostId, Lane};
use wire::time::BootTime;

use crate::account::Start;
use crate::clock::{Reading, boot_time};
use crate::config::{Config, To};
use crate::enrich::Origin;
use crate::identity::{Identity, IdentityError};
use crate::outbox::{Outbox, OutboxConfig};
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::probe::{Probe, ProbeConfig, ProbeError};
use crate::record::{Class, Place};
use crate::seal::Bounds;
use crate::spool::DirError;
use crate::table::Limits;
use crate::uplink::Link;
use crate::user::Users;
use intake::Intake;
use outlet::{Outlet, Shipping};
use positions::{Kept, PositionsFile};
use report::{Report, Shared};
use stdout::Stdout;

mod exclude;
mod host;
mod intake;
mod outlet;
mod positions;
mod report;
mod stdout;

/// How often counters, clock and users are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often a heartbeat event is made, in ns.
const HEARTBEAT_NS: u64 = 60_000_000_000;
/// How long a list of all processes must be ago before the next one, in ns.
const CENSUS_NS: u64 = 60_000_000_000;

/// Why a sensor cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The programs cannot be loaded or read.
    #[error("cannot watch the kernel")]
    Probe(#[from] ProbeError),
    /// The spool cannot be used.
    #[error("cannot keep batches")]
    Spool(#[from] DirError),
    /// There is no identity, or it is of no use.
    #[error("cannot report to a collector; enrol this host first, or look at its events with --to stdout")]
    Identity(#[from] IdentityError),
    /// No collector to report to.
    #[error("no collector is known: give one with --collector HOST:PORT")]
    NoCollector,
    /// The certificates are refused.
    #[error("cannot use this host's certificates")]
    Tls(#[source] rustls::Error),
    /// The kernel has no boot clock.
    #[error("cannot read the boot clock, which kernels have since 2.6.39")]
    Clock(#[from] nix::Error),
    /// /proc is missing.
    #[error("cannot read the boot's id from /proc; mount /proc")]
    Boot(#[source] io::Error),
}

/// A running sensor.
struct Sensor {
    probe: Probe,
    pipeline: Pipeline,
    intake: Intake,
    outlet: Outlet,
    users: Users,
    link: Arc<Link>,
    facts: watch::Sender<Facts>,
    last_heartbeat: BootTime,
    last_census: BootTime,
    /// Records of process life that were lost when the last census was taken.
    lost_then: u64,
    booked_skips: [u64; 2],
    sealed_before: (BootTime, u64),
}

/// Watches this host's kernel until `shutdown`, then seals what waits. Programs and rings stay in the kernel, so
/// that the next run reads on from there; to standard output they do not.
///
/// # Errors
/// When it cannot start; see [`RunError`].
pub async fn run(config: &Config, to: To, shutdown: CancellationToken) -> Result<(), RunError> {
    let boot = host::boot_id().map_err(RunError::Boot)?;
    match to {
        To::Stdout => print(config, boot, &shutdown).await,
        To::Collector => report(config, boot, &shutdown).await,
    }
}

async fn print(config: &Config, boot: BootId, shutdown: &CancellationToken) -> Result<(), RunError> {
    // A host that is not enrolled has no id yet.
    let host = match Identity::load(&config.folder()) {
        Ok(identity) => identity.host,
        Err(_) => HostId::new(Uuid::nil()),
    };
    let outlet = Outlet::Stdout(Stdout::new(host, host::name()));
    let mut sensor = Sensor::start(open_probe(config)?, outlet, Origin { host, boot })?;
    let worked = sensor.work(shutdown).await;
    let stopped = sensor.stop();
    sensor.probe.unload()?;
    info!("sensor stopped; its programs are removed");
    worked.and(stopped)
}

async fn report(config: &Config, boot: BootId, shutdown: &CancellationToken) -> Result<(), RunError> {
    let identity = Identity::load(&config.folder())?;
    let shipping = open_outbox(config, identity.host, boot)?;
    let probe = open_probe(config)?;
    let about = report::about(boot, &probe);
    let outbox = shipping.outbox.clone();
    let origin = Origin { host: identity.host, boot };
    let mut sensor = Sensor::start(probe, Outlet::Outbox(shipping), origin)?;
    let shared = Shared { outbox, link: sensor.link.clone(), facts: sensor.facts.subscribe(), about };
    let report = Report::start(config, identity, shared)?;
    let worked = sensor.work(shutdown).await;
    let stopped = sensor.stop();
    report.stop().await;
    info!(pins = %sensor.probe.folder().display(), "sensor stopped; its programs run on for the next one");
    worked.and(stopped)
}

fn open_probe(config: &Config) -> Result<Probe, RunError> {
    let mut probe = Probe::open(&ProbeConfig {
        name: config.name.clone(),
        cgroup: config.cgroup.clone(),
        process_ring_bytes: config.process_ring_bytes,
        bulk_ring_bytes: config.bulk_ring_bytes,
    })?;
    probe.set_filter(&exclude::filter(&config.exclude))?;
    for hook in probe.missing() {
        warn!(hook = hook.program, "this kernel did not take a hook: what it sees is missing");
    }
    Ok(probe)
}

fn open_outbox(config: &Config, host: HostId, boot: BootId) -> Result<Shipping, RunError> {
    // What waits from before this host was enrolled anew is another host's, and no business of this one.
    let dir = config.spool.join(host.to_string());
    let file = PositionsFile::in_folder(&dir);
    let outbox = Outbox::open(&OutboxConfig { dir, max_bytes: config.spool_bytes })?;
    let kept = file.read(boot).unwrap_or_else(|| Kept::nothing(boot));
    Ok(Shipping {
        outbox: Arc::new(outbox),
        max_bytes: config.spool_bytes,
        file,
        kept,
        shed: [0; 2],
        shedding: false,
    })
}

impl Sensor {
    fn start(probe: Probe, mut outlet: Outlet, origin: Origin) -> Result<Self, RunError> {
        let now = boot_time()?;
        let epoch = Epoch::new(Uuid::now_v7());
        let counters = probe.counters()?;
        let (start, booked_skips) = match (&mut outlet, probe.is_reopened()) {
            (_, false) => (Start::Fresh, [0; 2]),
            (Outlet::Outbox(shipping), true) if shipping.kept.tells() => {
                (Start::Resumed(shipping.kept.positions.clone()), shipping.kept.skipped)
            }
            (_, true) => (Start::Unknown, [counters.process.skipped, counters.bulk.skipped]),
        };
        let reason = match &start {
            Start::Fresh => "programs loaded",
            Start::Resumed(before) if before.clean => "the sensor was started again",
            Start::Resumed(_) => "the sensor was started again after a crash",
            Start::Unknown => "programs found running, nothing known of the sensor before",
        };
        outlet.begin(epoch);
        if let Outlet::Outbox(shipping) = &mut outlet {
            if !probe.is_reopened() {
                shipping.kept.begin_at_zero();
            }
            // From here on records leave the rings, and a crash loses them.
            shipping.kept.positions.clean = false;
            shipping.kept.skipped = booked_skips;
            shipping.keep();
        }
        let config =
            PipelineConfig { origin, epoch, start, limits: Limits::default(), bounds: Bounds::default() };
        let mut sensor = Self {
            probe,
            pipeline: Pipeline::new(config, now),
            intake: Intake::default(),
            outlet,
            users: Users::new("/etc/passwd"),
            link: Arc::new(Link::default()),
            facts: watch::Sender::new(Facts::default()),
            last_heartbeat: now,
            last_census: now,
            lost_then: 0,
            booked_skips,
            sealed_before: (now, 0),
        };
        sensor.look_around(now)?;
        sensor.seed(now)?;
        crate::sys::give_back_memory();
        sensor.tell(Kind::SENSOR_STARTED, reason, now);
        info!(
            %epoch,
            n_processes = sensor.pipeline.table().n_living(),
            pins = %sensor.probe.folder().display(),
            "sensor runs: {reason}"
        );
        Ok(sensor)
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.probe.ready() => {}
                _ = tick.tick() => self.tick()?,
            }
            if !self.drain().await? {
                info!("nobody reads the events any more");
                break;
            }
        }
        Ok(())
    }

    /// Takes all that waits in the rings. `false`: there is nobody left to hand it to.
    async fn drain(&mut self) -> Result<bool, RunError> {
        loop {
            let now = boot_time()?;
            let names = self.users.names();
            let empty = self.intake.drain(&mut self.probe, &mut self.pipeline, names, now);
            self.pipeline.seal_due(names, now);
            if !self.outlet.ship(&mut self.pipeline) {
                return Ok(false);
            }
            if empty {
                return Ok(true);
            }
            tokio::task::yield_now().await;
        }
    }

    fn tick(&mut self) -> Result<(), RunError> {
        let now = boot_time()?;
        self.look_around(now)?;
        self.book()?;
        self.pipeline.tick(self.users.names(), now);
        if self.outlet.wants_new_epoch() {
            self.begin_epoch(now);
        }
        if now.ns().saturating_sub(self.last_heartbeat.ns()) >= HEARTBEAT_NS {
            self.last_heartbeat = now;
            self.pipeline.heartbeat(self.users.names(), now);
        }
        self.take_census(now)?;
        self.report(now);
        Ok(())
    }

    /// Looks at what may have changed around: the clock, the users.
    fn look_around(&mut self, now: BootTime) -> Result<(), RunError> {
        let reading = Reading::now()?;
        let clock = match self.link.offset() {
            Some(offset) => offset.clock(reading.boot_to_wall_ns()),
            None => reading.clock(),
        };
        self.pipeline.set_clock(clock);
        if let Err(error) = self.users.refresh()
            && now == self.last_heartbeat
        {
            warn!(%error, "cannot read /etc/passwd: events carry user ids without names");
        }
        Ok(())
    }

    /// Compares the numbers that arrived with the kernel's counters: loss at the end shows only there.
    fn book(&mut self) -> Result<(), RunError> {
        let counters = self.probe.counters()?;
        let now = boot_time()?;
        let names = self.users.names();
        // Counters first, rings second: what is below the counters is in the rings, or lost.
        let drained = self.intake.drain(&mut self.probe, &mut self.pipeline, names, now);
        for (class, booked) in [Class::Process, Class::Bulk].into_iter().zip(&mut self.booked_skips) {
            let counted = counters.of(class);
            self.pipeline.skipped(class, counted.skipped.saturating_sub(*booked));
            *booked = counted.skipped.max(*booked);
            for sequence in counted.sequences.iter().filter(|_| drained) {
                self.pipeline.reached(Place { class, cpu: sequence.cpu, seq: sequence.next }, now);
            }
        }
        self.outlet.note_skipped(self.booked_skips);
        Ok(())
    }

    /// After records of process life were lost, some processes of the table have ended and others are
    /// not in it.
    fn take_census(&mut self, now: BootTime) -> Result<(), RunError> {
        let lost = self.pipeline.ledger(Lane::Critical).lost;
        if lost == self.lost_then || now.ns().saturating_sub(self.last_census.ns()) < CENSUS_NS {
            return Ok(());
        }
        (self.lost_then, self.last_census) = (lost, now);
        self.pipeline.begin_census();
        self.seed(now)?;
        let n_ended = self.pipeline.end_census(now);
        info!(
            n_ended,
            n_processes = self.pipeline.table().n_living(),
            "listed all processes, as records were lost"
        );
        Ok(())
    }

    fn seed(&mut self, now: BootTime) -> Result<(), RunError> {
        Ok(self.probe.seed_each(|seed| {
            if let Ok(image) = seed.image() {
                self.pipeline.seed(&image, now);
            }
        })?)
    }

    fn begin_epoch(&mut self, now: BootTime) {
        let epoch = Epoch::new(Uuid::now_v7());
        self.pipeline.begin_epoch(epoch, self.users.names(), now);
        self.outlet.ship(&mut self.pipeline);
        self.outlet.begin(epoch);
        self.lost_then = 0;
        self.tell(Kind::SENSOR_STARTED, "a new epoch, after an outage that left a backlog", now);
        info!(%epoch, "began a new epoch: what happens now is not queued behind the backlog");
    }

    fn report(&mut self, now: BootTime) {
        let sealed = Lane::ALL.iter().map(|lane| self.pipeline.next_seq(*lane)).sum::<u64>();
        let (then, before) = self.sealed_before;
        let passed_ms = now.ns().saturating_sub(then.ns()) / 1_000_000;
        let rate = sealed.saturating_sub(before).saturating_mul(1_000_000) / passed_ms.max(1);
        if passed_ms >= 10_000 || sealed < before {
            self.sealed_before = (now, sealed);
        }
        let mut troubles: Vec<String> = self
            .probe
            .missing()
            .map(|hook| format!("this kernel did not take the hook {}", hook.program))
            .collect();
        if self.intake.n_malformed() > 0 {
            troubles.push(format!("{} records of the kernel's made no sense", self.intake.n_malformed()));
        }
        if self.pipeline.table().n_evicted() > 0 {
            troubles.push(format!(
                "{} processes were forgotten, as the table is full",
                self.pipeline.table().n_evicted()
            ));
        }
        troubles.truncate(16);
        self.facts.send_replace(host::facts(&self.pipeline, rate, troubles));
    }

    fn tell(&mut self, kind: Kind, reason: &'static str, now: BootTime) {
        let row = Row::default()
            .with(Field::SensorVersion, env!("CARGO_PKG_VERSION"))
            .with(Field::SensorReason, reason);
        self.pipeline.tell(kind, row, self.users.names(), now);
    }

    /// Seals all that was seen so far.
    fn stop(&mut self) -> Result<(), RunError> {
        let now = boot_time()?;
        self.intake.finish(&mut self.probe, &mut self.pipeline, self.users.names(), now);
        self.tell(Kind::SENSOR_STOPPED, "told to stop", now);
        self.pipeline.seal_all(self.users.names(), now);
        self.outlet.ship(&mut self.pipeline);
        self.outlet.close(&self.pipeline);
        Ok(())
    }
}
