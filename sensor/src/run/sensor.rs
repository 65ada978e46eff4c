//! A sensor at work: rings → pipeline → outbox.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::frame::sensor::Facts;
use wire::id::Epoch;
use wire::time::BootTime;

use super::RunError;
use super::before::Begin;
use super::care::Care;
use super::intake::{Intake, Sink};
use super::memory::GiveBack;
use super::outlet::Outlet;
use super::service::Service;
use crate::clock::boot_time;
use crate::config::Config;
use crate::container::resolver::{self, Resolver};
use crate::enrich::Origin;
use crate::guard::Own;
use crate::hash::worker::{Answered, Worker};
use crate::host_root::HostRoot;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::probe::Probe;
use crate::record::PerClass;
use crate::redact::Redactor;
use crate::seal::Bounds;
use crate::table::Limits;
use crate::uplink::Link;
use crate::user::Users;

/// How often counters, clock and users are looked at.
const TICK: Duration = Duration::from_nanos(TICK_NS);
const TICK_NS: u64 = 1_000_000_000;

/// A running sensor.
pub(super) struct Sensor {
    pub(super) probe: Probe,
    pub(super) pipeline: Pipeline,
    pub(super) intake: Intake,
    pub(super) hasher: Option<Worker>,
    pub(super) resolver: Option<Resolver>,
    pub(super) outlet: Outlet,
    pub(super) users: Users,
    pub(super) link: Arc<Link>,
    pub(super) facts: watch::Sender<Facts>,
    pub(super) last_tick: BootTime,
    pub(super) last_heartbeat: BootTime,
    pub(super) last_census: BootTime,
    pub(super) last_sockets: BootTime,
    /// Records of process life that were lost when the last census was taken.
    pub(super) lost_then: u64,
    pub(super) booked_skips: PerClass<u64>,
    pub(super) sealed_before: (BootTime, u64),
    pub(super) give_back: GiveBack,
    pub(super) care: Care,
    pub(super) service: Service,
}

impl Sensor {
    pub(super) fn start(
        config: &Config,
        mut probe: Probe,
        mut outlet: Outlet,
        origin: Origin,
        collection: [u8; 16],
        own: Own,
    ) -> Result<Self, RunError> {
        let now = boot_time()?;
        let host = matches!(outlet, Outlet::Outbox(_)).then_some(origin.host);
        let link = Arc::new(Link::default());
        let care = Care::new(config, &probe, own, host, link.trusts_changes(), now);
        let epoch = Epoch::new(Uuid::now_v7());
        let counters = probe.counters()?;
        let Begin { numberings, skipped: booked_skips, reason } =
            outlet.start(&mut probe, counters.skipped(), epoch);
        let mut numberings = numberings.into_iter();
        let start = numberings.next().map(|(_, start)| start).unwrap_or_default();
        let hasher =
            config.hashing.map(|hashing| Worker::start(hashing.max_file_bytes, hashing.mib_per_second));
        let resolver = match &config.container_sources[..] {
            [] => None,
            sources => Some(Resolver::start(sources.to_vec()).map_err(RunError::Containers)?),
        };
        let pipeline = PipelineConfig {
            origin,
            epoch,
            start,
            limits: Limits {
                hash_file_bytes: config.hashing.map_or(0, |hashing| hashing.max_file_bytes),
                container_names: resolver.is_some(),
                ..Limits::default()
            },
            bounds: Bounds::default(),
            collection,
            redactor: Redactor::new(&config.redaction)?,
            host: crate::probe::host_namespaces(),
        };
        let mut sensor = Self {
            probe,
            pipeline: Pipeline::new(pipeline, now),
            intake: Intake::default(),
            hasher: hasher.transpose().map_err(RunError::Hash)?,
            resolver,
            outlet,
            users: Users::new(HostRoot::here().path(Path::new("/etc/passwd"))),
            link,
            facts: watch::Sender::new(Facts::default()),
            last_tick: now,
            last_heartbeat: now,
            last_census: now,
            last_sockets: BootTime::default(),
            lost_then: 0,
            booked_skips,
            sealed_before: (now, 0),
            give_back: GiveBack::new(0),
            care,
            service: Service::new(),
        };
        sensor.look_around(now)?;
        sensor.seed(now)?;
        // All processes are told of in the first batches: their containers' names should be there by then.
        sensor.pipeline.ask_for_containers(now);
        sensor.exchange(now);
        crate::sys::give_back_memory();
        sensor.give_back = GiveBack::new(sensor.pipeline.table().n_entries());
        sensor.tell(Kind::SENSOR_STARTED, reason, now);
        sensor.read_earlier(numberings.collect(), now)?;
        sensor.tell_of_before(now)?;
        info!(
            %epoch,
            n_processes = sensor.pipeline.table().n_living(),
            pins = %sensor.probe.folder().display(),
            "sensor runs: {reason}"
        );
        Ok(sensor)
    }

    pub(super) async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.probe.ready() => {}
                Some((file, found)) = answered(&mut self.hasher) => self.pipeline.hashed(file, found),
                Some((id, found)) = named(&mut self.resolver) => self.pipeline.named(id, found, boot_time()?),
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
            let (pipeline, care, names) = (&mut self.pipeline, &mut self.care, self.users.names());
            let empty = self.intake.drain(&mut self.probe, Sink { pipeline, care, names, now });
            self.exchange(now);
            self.pipeline.seal_due(self.users.names(), now);
            if !self.outlet.ship(&mut self.pipeline) {
                return Ok(false);
            }
            if empty {
                return Ok(true);
            }
            // Under a flood the rings are never empty; what is due goes on all the same.
            if now.ns().saturating_sub(self.last_tick.ns()) >= TICK_NS {
                self.tick()?;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Brings what was asked for to the threads that read and ask, and their answers back.
    fn exchange(&mut self, now: BootTime) {
        if let Some(hasher) = &mut self.hasher {
            while let Some((file, found)) = hasher.next_answer() {
                self.pipeline.hashed(file, found);
            }
            while let Some(request) = self.pipeline.next_hash_request() {
                hasher.ask(request);
            }
        }
        if let Some(resolver) = &mut self.resolver {
            while let Some((id, found)) = resolver.next_answer() {
                self.pipeline.named(id, found, now);
            }
            while let Some(request) = self.pipeline.next_container_request() {
                resolver.ask(request);
            }
        }
    }

    pub(super) fn tell(&mut self, kind: Kind, reason: &'static str, now: BootTime) {
        let row = Row::default()
            .with(Field::SensorVersion, env!("CARGO_PKG_VERSION"))
            .with(Field::SensorReason, reason);
        self.pipeline.tell(kind, row, self.users.names(), now);
    }

    /// Seals all that was seen so far.
    pub(super) fn stop(&mut self) -> Result<(), RunError> {
        let now = boot_time()?;
        let (pipeline, care, names) = (&mut self.pipeline, &mut self.care, self.users.names());
        self.intake.finish(&mut self.probe, Sink { pipeline, care, names, now });
        self.pipeline.finish(self.users.names(), now);
        self.tell(Kind::SENSOR_STOPPED, "told to stop", now);
        self.pipeline.seal_all(self.users.names(), now);
        self.outlet.ship(&mut self.pipeline);
        self.outlet.close(&self.pipeline);
        Ok(())
    }
}

/// The next answer about an executable; never one if none are read.
async fn answered(hasher: &mut Option<Worker>) -> Option<Answered> {
    match hasher {
        Some(hasher) => hasher.answered().await,
        None => None,
    }
}

/// The next answer about a container; never one if nobody is asked.
async fn named(resolver: &mut Option<Resolver>) -> Option<resolver::Answered> {
    match resolver {
        Some(resolver) => resolver.answered().await,
        None => None,
    }
}
