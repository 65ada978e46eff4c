//! What a sensor does as time passes: about once a second.

use std::path::Path;

use metrics::counter;
use tracing::{info, warn};
use uuid::Uuid;
use wire::event::Kind;
use wire::id::{Epoch, Lane};
use wire::time::BootTime;

use super::intake::Sink;
use super::sensor::Sensor;
use super::{RunError, host};
use crate::clock::{Reading, boot_time};
use crate::container::names::Miss;
use crate::escape::sockets;
use crate::hash::Skip;
use crate::host_root::HostRoot;
use crate::record::{Class, PerClass};

/// How often a heartbeat event is made, in ns.
const HEARTBEAT_NS: u64 = 60_000_000_000;
/// How often the sockets of container runtimes are looked for, in ns: a runtime that starts again makes another one.
const SOCKETS_NS: u64 = 5_000_000_000;
/// How long a list of all processes must be ago before the next one, in ns.
const CENSUS_NS: u64 = 60_000_000_000;

impl Sensor {
    pub(super) fn tick(&mut self) -> Result<(), RunError> {
        let now = boot_time()?;
        self.last_tick = now;
        self.service.beat(now);
        crate::metrics::note_read(now);
        self.look_around(now)?;
        let lost = self.book()?;
        self.take_care(&lost, now)?;
        self.pipeline.tick(self.users.names(), now);
        if self.outlet.wants_new_epoch() {
            self.begin_epoch(now);
        }
        if now.ns().saturating_sub(self.last_heartbeat.ns()) >= HEARTBEAT_NS {
            self.last_heartbeat = now;
            self.pipeline.heartbeat(self.users.names(), now);
        }
        self.take_census(now)?;
        if let Err(error) = self.probe.end_flows(now)
            && now == self.last_heartbeat
        {
            warn!(error = %wire::cause::chain(&error), "flows of datagrams are not told to end");
        }
        if self.give_back.is_due(self.pipeline.table().n_entries()) {
            crate::sys::give_back_memory();
        }
        self.report(now);
        Ok(())
    }

    /// Looks at what may have changed around: the clock, the users.
    pub(super) fn look_around(&mut self, now: BootTime) -> Result<(), RunError> {
        let reading = Reading::now()?;
        let clock = match self.link.offset() {
            Some(offset) => offset.clock(reading.boot_to_wall_ns()),
            None => reading.clock(),
        };
        self.pipeline.set_clock(clock);
        if now.ns().saturating_sub(self.last_sockets.ns()) >= SOCKETS_NS {
            self.last_sockets = now;
            self.probe.set_runtime_sockets(&sockets::find(
                sockets::USUAL.iter().map(|path| HostRoot::here().path(Path::new(path))),
            ))?;
        }
        if let Err(error) = self.users.refresh()
            && now == self.last_heartbeat
        {
            warn!(%error, "cannot read /etc/passwd: events carry user ids without names");
        }
        Ok(())
    }

    /// Compares the numbers that arrived with the kernel's counters: loss at the end shows only there. Gives what was lost of
    /// each class so far.
    fn book(&mut self) -> Result<PerClass<u64>, RunError> {
        let counters = self.probe.counters()?;
        let now = boot_time()?;
        // Counters first, rings second: what is below the counters is in the rings, or lost.
        let (pipeline, care, names) = (&mut self.pipeline, &mut self.care, self.users.names());
        let drained = self.intake.drain(&mut self.probe, Sink { pipeline, care, names, now });
        for (class, booked) in Class::ALL.into_iter().zip(&mut self.booked_skips) {
            let counted = counters.of(class);
            self.pipeline.skipped(class, counted.skipped.saturating_sub(*booked));
            *booked = counted.skipped.max(*booked);
        }
        if drained {
            self.reached(&counters, now);
        }
        self.outlet.note_skipped(self.booked_skips);
        Ok(Class::ALL.map(|class| counters.of(class).lost))
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
        let n_ended = self.pipeline.end_census(self.users.names(), now);
        info!(
            n_ended,
            n_processes = self.pipeline.table().n_living(),
            "listed all processes, as records were lost"
        );
        Ok(())
    }

    pub(super) fn seed(&mut self, now: BootTime) -> Result<(), RunError> {
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
        counter!("sensor_image_redacted_total").absolute(self.pipeline.n_redacted());
        counter!("sensor_dns_stream_given_up_total").absolute(self.pipeline.n_dns_given_up());
        let counts = self.pipeline.table().hashes().counts();
        counter!("sensor_hash_made_total").absolute(counts.hashed);
        for (skip, n) in Skip::ALL.into_iter().zip(counts.skipped) {
            counter!("sensor_hash_skipped_total", "reason" => skip.name()).absolute(n);
        }
        let counts = self.pipeline.table().container_names().counts();
        counter!("sensor_container_named_total").absolute(counts.named);
        for (miss, n) in Miss::ALL.into_iter().zip(counts.missed) {
            counter!("sensor_container_unnamed_total", "reason" => miss.name()).absolute(n);
        }
        let sealed = Lane::ALL.iter().map(|lane| self.pipeline.next_seq(*lane)).sum::<u64>();
        let (then, before) = self.sealed_before;
        let passed_ms = now.ns().saturating_sub(then.ns()) / 1_000_000;
        let rate = sealed.saturating_sub(before).saturating_mul(1_000_000) / passed_ms.max(1);
        if passed_ms >= 10_000 || sealed < before {
            self.sealed_before = (now, sealed);
        }
        let mut troubles: Vec<String> =
            self.probe.missing().map(|sight| format!("not seen on this kernel: {}", sight.without)).collect();
        if self.intake.n_malformed() > 0 {
            troubles.push(format!("{} records of the kernel's made no sense", self.intake.n_malformed()));
        }
        if let Some(miss) = self.pipeline.table().container_names().trouble() {
            troubles.push(format!("containers whose names are not known run here: {}", miss.why()));
        }
        if self.pipeline.table().n_evicted() > 0 {
            troubles.push(format!(
                "{} processes were forgotten, as the table is full",
                self.pipeline.table().n_evicted()
            ));
        }
        troubles.splice(0..0, self.care.troubles().into_iter().chain(self.outlet.trouble()));
        troubles.truncate(16);
        self.facts.send_replace(host::facts(&self.pipeline, rate, troubles));
    }
}
