//! What befalls the sensor's spool: outages that send it to disk, and what becomes of the disk and of the host.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use vedette_collector::session as collector;
use vedette_sensor::clock::Reading;
use vedette_sensor::outbox::{DiskConfig, Done, Outbox, OutboxConfig};
use vedette_sensor::spool::StreamKey;
use wire::id::{BootId, Lane};

use super::World;
use crate::disk::{Faults, SimulatedDisk};

/// What the spool may take of the simulated disk, which is 5 %: of a small one, where events may be given up, and else.
const FEW_BYTES: u64 = 120_000;
const MANY_BYTES: u64 = 100 << 20;
/// The longest that a job on a slow disk takes.
const LONGEST_JOB: Duration = Duration::from_secs(4);
/// The longest that no collector answers.
const LONGEST_OUTAGE: Duration = Duration::from_secs(25);

/// The disk, and what is known of the spool on it.
pub(super) struct SpoolWorld {
    pub(super) disk: Arc<SimulatedDisk>,
    /// What came of the job that is done when this time comes.
    working: Option<(Done, Duration)>,
    /// Nobody answers until then.
    pub(super) outage_until: Duration,
    boot: u128,
    /// Streams whose end was in memory alone when that was lost, with the number up to which nothing was.
    pub(super) cut: Vec<(collector::Key, u64)>,
    pub(super) n_in_doubt: u64,
    is_full: bool,
}

impl SpoolWorld {
    pub(super) fn new(seed: u64, is_small: bool) -> Self {
        let n_bytes = if is_small { FEW_BYTES } else { MANY_BYTES };
        Self {
            disk: Arc::new(SimulatedDisk::new(seed, n_bytes * 20)),
            working: None,
            outage_until: Duration::ZERO,
            boot: 1,
            cut: Vec::new(),
            n_in_doubt: 0,
            is_full: false,
        }
    }
}

impl World {
    pub(super) fn outbox_config(&self) -> OutboxConfig {
        let disk = DiskConfig {
            dir: "/disk/spool".into(),
            max_bytes: 1 << 30,
            files: self.spool.disk.clone(),
            boot: BootId::new(uuid::Uuid::from_u128(self.spool.boot)),
            now: self.sensor_now().boot,
        };
        OutboxConfig {
            dir: self.dir.path().join("spool"),
            max_bytes: self.max_bytes,
            disk: self.chaos.has_disk.then_some(disk),
        }
    }

    /// Something befalls the spool; `at` says what, of 1,000 equally likely numbers.
    pub(super) fn befall_spool(&mut self, at: u32) {
        let chaos = self.chaos;
        match at {
            0..6 if chaos.outages => {
                self.spool.outage_until = self.now + self.rng.random_range(Duration::ZERO..LONGEST_OUTAGE);
                self.connection = None;
                self.reached("outage");
            }
            6..8 if chaos.power_cuts => {
                self.reached("power cut between operations");
                self.spool.disk.cut_power();
                self.lose_host();
            }
            8..10 if chaos.memory_losses => self.lose_memory(),
            10..13 if chaos.sensor_stops => self.stop_and_reboot(),
            13..18 if chaos.disk_fills => {
                self.spool.is_full = !self.spool.is_full;
                self.spool.disk.fill(self.spool.is_full);
            }
            18..22 if chaos.disk_rots => drop(self.spool.disk.rot()),
            _ => {}
        }
    }

    /// Faults that come from within an operation.
    pub(super) fn set_disk_faults(&self) {
        let faults = Faults {
            errors: if self.chaos.disk_errors { 150 } else { 0 },
            cuts: if self.chaos.power_cuts { 150 } else { 0 },
        };
        self.spool.disk.set_faults(faults);
    }

    pub(super) fn heal_disk(&mut self) {
        self.spool.outage_until = self.now;
        self.spool.disk.set_faults(Faults::default());
        self.spool.disk.fill(false);
    }

    /// The thread of the disk does some of its work.
    pub(super) fn work_on_disk(&mut self) {
        for _ in 0..4 {
            if let Some((done, at)) = self.spool.working.take() {
                if at > self.now {
                    self.spool.working = Some((done, at));
                    return;
                }
                self.outbox().finish(done, self.sensor_now().boot);
                self.tell_holdings();
            }
            let Some(job) = self.outbox().next_job(self.reading()) else { return };
            let done = job.run();
            if !self.spool.disk.has_power() {
                self.spool.disk.cut_power();
                return self.lose_host();
            }
            let is_slow = self.chaos.disk_is_slow && self.rng.random_bool(0.3);
            let takes =
                if is_slow { self.rng.random_range(Duration::ZERO..LONGEST_JOB) } else { Duration::ZERO };
            if is_slow {
                self.reached("slow operation");
            }
            self.spool.working = Some((done, self.now + takes));
        }
    }

    /// The host is started again: what lay in memory is gone.
    fn lose_host(&mut self) {
        self.spool.boot += 1;
        self.lose_memory();
    }

    /// The sensor dies, and what lay in memory is removed before the next one starts.
    fn lose_memory(&mut self) {
        self.reached("memory lost");
        let durable: Vec<(collector::Key, u64)> = self
            .ends
            .iter()
            .filter_map(|(key, end)| {
                let stream = StreamKey { epoch: key.0, lane: key.1 };
                let durable = self.outbox().durable_end(stream)?;
                (durable < *end).then_some((*key, durable))
            })
            .collect();
        self.spool.cut.extend(durable);
        self.kill_sensor();
        std::fs::remove_dir_all(self.dir.path().join("spool")).expect("the spool is there");
        self.start_sensor();
        // What is told is true: all below these numbers is kept, or stored.
        for doubt in self.outbox().doubts().to_vec() {
            for (lane, durable) in Lane::ALL.into_iter().zip(doubt.durable) {
                let sealed = self.ends.get(&(doubt.epoch, lane)).copied().unwrap_or(0);
                assert!(durable <= sealed, "seed {}: {durable} of {sealed} are durable", self.seed);
                let cut = self.spool.cut.iter_mut().find(|(key, _)| *key == (doubt.epoch, lane));
                if let Some((_, at_least)) = cut {
                    *at_least = durable.max(*at_least);
                }
            }
        }
    }

    /// As on a shutdown of the host: the sensor is told to stop, and what is in memory alone goes to disk.
    fn stop_and_reboot(&mut self) {
        self.reached("stop and reboot");
        if let Some((done, _)) = self.spool.working.take() {
            self.outbox().finish(done, self.sensor_now().boot);
        }
        self.outbox().close_up();
        let mut n_idle = 0;
        while !self.outbox().is_closed_up() {
            let Some(job) = self.outbox().next_job(self.reading()) else {
                n_idle += 1;
                assert!(n_idle < 5, "seed {}: nothing is to be done, and it is not done", self.seed);
                continue;
            };
            let done = job.run();
            if !self.spool.disk.has_power() {
                self.spool.disk.cut_power();
                return self.lose_host();
            }
            self.outbox().finish(done, self.sensor_now().boot);
        }
        self.lose_host();
    }

    fn kill_sensor(&mut self) {
        self.connection = None;
        self.outbox = None;
        self.spool.working = None;
    }

    pub(super) fn start_sensor(&mut self) {
        self.kill_sensor();
        self.outbox = Some(Outbox::open(&self.outbox_config()).unwrap());
        self.begin_epoch();
    }

    fn reading(&self) -> Reading {
        let now = self.sensor_now();
        Reading { boot: now.boot, wall: now.wall }
    }

    pub(super) fn reached(&mut self, fault: &'static str) {
        *self.n_reached.entry(fault).or_default() += 1;
    }

    /// What the world looks like from afar: two that look alike are the same state.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let outbox = self.outbox();
        let holdings = outbox.holdings();
        let (in_memory, n_bytes) = (outbox.n_memory_bytes(), outbox.n_bytes());
        (in_memory / 16_384, (n_bytes - in_memory) / 16_384, outbox.trouble().is_some()).hash(&mut hasher);
        (self.is_store_away, self.spool.working.is_some(), self.now < self.spool.outage_until)
            .hash(&mut hasher);
        for held in holdings.streams.iter().take(6) {
            let stream = StreamKey { epoch: held.epoch, lane: held.lane };
            let durable = outbox.durable_end(stream).unwrap_or(0);
            let (stored, _) = self.store.watermark((held.epoch, held.lane));
            let order = (held.acked.cmp(&stored), stored.cmp(&durable), durable.cmp(&held.end), held.lane);
            (order, holdings.in_doubt.contains(&held.epoch)).hash(&mut hasher);
        }
        if let Some(connection) = &self.connection {
            let is_live = connection.sensor.is_live();
            let n_wires = (connection.wires.len(), connection.waiting.len());
            (is_live, n_wires, connection.look_up.is_some(), connection.answers.len().min(3))
                .hash(&mut hasher);
        }
        hasher.finish()
    }
}
