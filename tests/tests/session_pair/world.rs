//! A sensor, a collector, what is between them, and what goes wrong.

mod pump;
mod spool;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use uuid::Uuid;
use vedette_collector::listener::Outcome;
use vedette_collector::session as collector;
use vedette_sensor::outbox::Outbox;
use vedette_sensor::session as sensor;
use wire::batch::Sealed;
use wire::frame::data::{Batch, Data};
use wire::frame::sensor::Hello;
use wire::frame::{FromCollector, FromSensor};
use wire::id::{BootId, Epoch, Lane};
use wire::time::{BootTime, WallTime};

use crate::network::{Pipe, Wires};
use crate::store::{Backup, Fate, POISON, Store};
use spool::SpoolWorld;

/// What may go wrong.
#[derive(Clone, Copy, Default)]
pub(crate) struct Chaos {
    pub(crate) disconnects: bool,
    pub(crate) sensor_restarts: bool,
    pub(crate) collector_restarts: bool,
    pub(crate) new_epochs: bool,
    pub(crate) store_is_away: bool,
    pub(crate) store_is_restored: bool,
    pub(crate) poison: bool,
    pub(crate) small_outbox: bool,
    pub(crate) sensor_pauses: bool,
    pub(crate) collector_pauses: bool,
    /// The spool has a disk.
    pub(crate) has_disk: bool,
    /// For many seconds nobody answers.
    pub(crate) outages: bool,
    pub(crate) power_cuts: bool,
    /// What lies in memory is removed while no sensor runs.
    pub(crate) memory_losses: bool,
    /// The host is shut down and started again.
    pub(crate) sensor_stops: bool,
    pub(crate) disk_fills: bool,
    pub(crate) disk_errors: bool,
    pub(crate) disk_rots: bool,
    pub(crate) disk_is_slow: bool,
    /// How patient sensors are with a collector that is silent; 0 as 1.
    pub(crate) patience: u32,
}

impl Chaos {
    pub(crate) const ALL: Chaos = Chaos {
        disconnects: true,
        sensor_restarts: true,
        collector_restarts: true,
        new_epochs: true,
        store_is_away: true,
        store_is_restored: false,
        poison: true,
        small_outbox: true,
        sensor_pauses: true,
        collector_pauses: true,
        has_disk: false,
        outages: false,
        power_cuts: false,
        memory_losses: false,
        sensor_stops: false,
        disk_fills: false,
        disk_errors: false,
        disk_rots: false,
        disk_is_slow: false,
        patience: 1,
    };

    /// What may befall the spool, with a network and a store that come and go.
    pub(crate) const SPOOL: Chaos = Chaos {
        has_disk: true,
        outages: true,
        power_cuts: true,
        memory_losses: true,
        sensor_stops: true,
        disk_fills: true,
        disk_errors: true,
        disk_rots: true,
        disk_is_slow: true,
        ..Chaos::ALL
    };

    /// Whether events may be given up.
    fn sheds(self) -> bool {
        self.small_outbox || self.disk_fills || self.disk_rots || self.disk_errors
    }
}

/// One of the two programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Sensor,
    Collector,
}

/// The longest that a program is stopped or gets no CPU.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// One end-to-end connection with both its sessions.
struct Connection {
    number: u64,
    sensor: sensor::Session,
    collector: collector::Session,
    up: Pipe<FromSensor>,
    down: Pipe<FromCollector>,
    wires: Wires<Data>,
    /// Data streams that wait for a place: QUIC lets only so many be open.
    waiting: BTreeMap<u64, (Pipe<Data>, Vec<sensor::Wire>)>,
    look_up: Option<Vec<collector::Key>>,
    answers: VecDeque<(u64, Option<Outcome>)>,
}

/// What was sealed: payloads by stream and first sequence, with the number of events.
type Sealings = HashMap<collector::Key, BTreeMap<u64, (u64, Vec<u8>)>>;

pub(crate) struct World {
    seed: u64,
    rng: StdRng,
    chaos: Chaos,
    start: Instant,
    now: Duration,
    dir: TempDir,
    outbox: Option<Outbox>,
    max_bytes: u64,
    epoch: Epoch,
    n_epochs: u128,
    ends: HashMap<collector::Key, u64>,
    sealed: Sealings,
    store: Store,
    is_store_away: bool,
    backup: Option<Backup>,
    n_forgotten: u64,
    connection: Option<Connection>,
    n_connections: u64,
    n_resends: u64,
    n_pauses: u64,
    /// Who does not run now; what is sent to it waits.
    paused: Option<Side>,
    rejected_booked: u64,
    sheds: bool,
    spool: SpoolWorld,
    n_reached: BTreeMap<&'static str, u64>,
    states: HashSet<u64>,
}

impl World {
    pub(crate) fn new(seed: u64, chaos: Chaos) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is there");
        let mut world = Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            chaos,
            start: Instant::now(),
            now: Duration::from_secs(100),
            dir,
            outbox: None,
            max_bytes: if chaos.small_outbox { 60_000 } else { 1 << 30 },
            epoch: Epoch::new(Uuid::nil()),
            n_epochs: 0,
            ends: HashMap::new(),
            sealed: HashMap::new(),
            store: Store::default(),
            is_store_away: false,
            backup: None,
            n_forgotten: 0,
            connection: None,
            n_connections: 0,
            n_resends: 0,
            n_pauses: 0,
            paused: None,
            rejected_booked: 0,
            sheds: chaos.sheds(),
            spool: SpoolWorld::new(seed, chaos.small_outbox || chaos.disk_fills),
            n_reached: BTreeMap::new(),
            states: HashSet::new(),
        };
        world.set_disk_faults();
        world.start_sensor();
        world
    }

    /// How often each kind of fault of the spool was reached.
    pub(crate) fn n_reached(&self) -> BTreeMap<&'static str, u64> {
        let mut n_reached = self.spool.disk.n_reached();
        n_reached.extend(&self.n_reached);
        n_reached
    }

    /// The states that it was in, as numbers.
    pub(crate) fn states(&self) -> &HashSet<u64> {
        &self.states
    }

    /// Events that were sealed and are neither stored nor given up: memory was lost before they were durable.
    pub(crate) fn n_in_doubt(&self) -> u64 {
        self.spool.n_in_doubt
    }

    pub(crate) fn n_connections(&self) -> u64 {
        self.n_connections
    }

    pub(crate) fn n_forgotten(&self) -> u64 {
        self.n_forgotten
    }

    pub(crate) fn n_pauses(&self) -> u64 {
        self.n_pauses
    }

    pub(crate) fn n_resends(&self) -> u64 {
        self.n_resends
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        let is_out = self.now < self.spool.outage_until;
        self.now += Duration::from_millis(self.rng.random_range(0..if is_out { 600 } else { 20 }));
        if self.chaos.has_disk {
            let at = self.rng.random_range(0..1000);
            self.befall_spool(at);
            self.work_on_disk();
            self.states.insert(self.fingerprint());
        }
        match self.rng.random_range(0..1000) {
            0..150 => self.seal(),
            150..155 if self.chaos.disconnects => self.connection = None,
            155..158 if self.chaos.sensor_restarts => self.start_sensor(),
            158..161 if self.chaos.collector_restarts => self.restart_collector(),
            161..176 if self.chaos.new_epochs => self.begin_epoch(),
            176..188 if self.chaos.store_is_away => self.is_store_away = !self.is_store_away,
            188..190 if self.chaos.store_is_restored => self.restore_store(),
            190..194 if self.chaos.sensor_pauses => self.pause(Side::Sensor),
            194..198 if self.chaos.collector_pauses => self.pause(Side::Collector),
            _ => self.progress(),
        }
        if self.connection.is_none() && self.now >= self.spool.outage_until {
            self.connect();
        }
        self.pump();
    }

    /// Nothing goes wrong any more; runs until the outbox is empty.
    pub(crate) fn settle(&mut self) {
        self.is_store_away = false;
        self.chaos =
            Chaos { patience: self.chaos.patience, has_disk: self.chaos.has_disk, ..Chaos::default() };
        self.heal_disk();
        for _ in 0..60_000 {
            self.now += Duration::from_millis(self.rng.random_range(0..20));
            if self.chaos.has_disk {
                self.work_on_disk();
            }
            self.progress();
            if self.connection.is_none() {
                self.connect();
            }
            self.pump();
            let held = self.outbox().holdings();
            let is_quiet = self.connection.as_ref().is_some_and(|c| c.look_up.is_none() && c.up.is_idle());
            if is_quiet && held.streams.iter().all(|held| held.acked == held.end) {
                return;
            }
        }
        panic!("seed {}: does not settle: {:?}", self.seed, self.outbox().holdings());
    }

    /// Every sealed event is stored as it was sealed, or refused, or was shed; each once. Only where memory was lost, what was
    /// in it alone may be missing, and nothing before.
    pub(crate) fn check_all_accounted_for(&mut self) {
        let seed = self.seed;
        let (mut shed, mut rejected) = (0, 0);
        for (key, batches) in &self.sealed {
            let runs = self.store.runs.get(key).map(Vec::as_slice).unwrap_or_default();
            let mut next = 0;
            for (first, n, fate) in runs {
                assert_eq!(*first, next, "seed {seed}: the store's runs follow each other");
                next += n;
                match fate {
                    Fate::Stored(payload) => {
                        assert_eq!(batches.get(first), Some(&(*n, payload.clone())), "seed {seed}");
                        assert_ne!(payload.first(), Some(&POISON), "seed {seed}");
                    }
                    Fate::Rejected => {
                        let (_, payload) = &batches[first];
                        assert_eq!(payload.first(), Some(&POISON), "seed {seed}");
                        rejected += n;
                    }
                    Fate::Tombstone => shed += n,
                }
            }
            let sealed: u64 = batches.values().map(|(n, _)| n).sum();
            match self.spool.cut.iter().find(|(cut, _)| cut == key) {
                None => assert_eq!(next, sealed, "seed {seed}: all of {key:?} is accounted for"),
                Some((_, durable)) => {
                    assert!(
                        (*durable..=sealed).contains(&next),
                        "seed {seed}: {next} of {key:?}, {durable}..={sealed}"
                    );
                    self.spool.n_in_doubt += sealed - next;
                }
            }
        }
        if !self.sheds && self.n_forgotten == 0 {
            assert_eq!(shed, 0, "seed {seed}: nothing is shed where there is room");
        }
        assert!(
            self.backup.is_some() || self.rejected_booked <= rejected,
            "seed {seed}: no more is booked than was refused"
        );
    }

    fn outbox(&self) -> &Outbox {
        self.outbox.as_ref().expect("there is an outbox between restarts")
    }

    fn sensor_now(&self) -> sensor::Now {
        let ns = u64::try_from(self.now.as_nanos()).unwrap();
        sensor::Now { boot: BootTime::from_ns(ns), wall: WallTime::from_unix_ns(ns as i64 + 7_000) }
    }

    fn collector_now(&self) -> collector::Now {
        let ns = i64::try_from(self.now.as_nanos()).unwrap();
        collector::Now { at: self.start + self.now, wall: WallTime::from_unix_ns(ns) }
    }

    fn seal(&mut self) {
        let lane = if self.rng.random_bool(0.5) { Lane::Critical } else { Lane::Bulk };
        let key = (self.epoch, lane);
        let first_seq = self.ends.get(&key).copied().unwrap_or(0);
        let n_events = self.rng.random_range(1..50u32);
        let mut payload = vec![0; self.rng.random_range(1..3000)];
        self.rng.fill(payload.as_mut_slice());
        let is_poison = self.chaos.poison && self.rng.random_bool(0.05);
        payload[0] = if is_poison { POISON } else { 1 };
        self.ends.insert(key, first_seq + u64::from(n_events));
        self.sealed.entry(key).or_default().insert(first_seq, (n_events.into(), payload.clone()));
        let sealed = Sealed { header: Bytes::from_static(b"header"), payload: payload.into() };
        self.outbox()
            .append(self.epoch, lane, Batch { first_seq, n_events, sealed })
            .unwrap_or_else(|e| panic!("seed {}: {e}", self.seed));
        self.outbox().note_positions(Vec::new());
        self.tell_holdings();
    }

    fn begin_epoch(&mut self) {
        self.n_epochs += 1;
        self.epoch = Epoch::new(Uuid::from_u128(self.n_epochs));
        self.outbox().begin(self.epoch);
        self.tell_holdings();
    }

    fn tell_holdings(&mut self) {
        let holdings = self.outbox().holdings();
        if let Some(connection) = &mut self.connection {
            connection.sensor.handle_holdings(&holdings);
        }
    }

    /// As after `kill -9`: what was not committed is gone.
    fn restart_collector(&mut self) {
        self.connection = None;
        self.store.queue.clear();
    }

    /// An operator puts back a backup, under the feet of everyone; or makes one.
    fn restore_store(&mut self) {
        match self.backup.take() {
            Some(backup) => self.store.restore(&backup),
            None => self.backup = Some(self.store.backup()),
        }
        self.backup.get_or_insert_with(|| self.store.backup());
    }

    /// One program does not run for a while; the other does, and what it sends waits.
    fn pause(&mut self, side: Side) {
        // A welcome has a deadline of its own, which is shorter than a pause may be.
        if !self.connection.as_ref().is_some_and(|connection| connection.sensor.is_live()) {
            return;
        }
        self.n_pauses += 1;
        self.paused = Some(side);
        let until = self.now + self.rng.random_range(Duration::ZERO..LONGEST_PAUSE);
        while self.now < until {
            self.now += Duration::from_millis(self.rng.random_range(0..100));
            self.progress();
            self.pump();
        }
        self.paused = None;
        self.read_what_waits(side);
    }

    /// Who runs again reads what was sent to it before it looks at its deadlines, as both drivers do.
    fn read_what_waits(&mut self, side: Side) {
        let (sensor_now, collector_now) = (self.sensor_now(), self.collector_now());
        let Some(connection) = &mut self.connection else { return };
        match side {
            Side::Sensor => {
                for frame in connection.down.arrive_all() {
                    self.n_resends += u64::from(matches!(frame, FromCollector::Resend(_)));
                    connection.sensor.handle_frame(sensor_now, frame);
                }
            }
            Side::Collector => {
                for frame in connection.up.arrive_all() {
                    connection.collector.handle_control(collector_now, frame);
                }
            }
        }
    }

    fn connect(&mut self) {
        self.n_connections += 1;
        let hello = Hello {
            versions: vec![],
            sensor_version: "0".into(),
            host_name: "h".into(),
            kernel_release: "6".into(),
            arch: "x".into(),
            boot: BootId::new(Uuid::nil()),
            capabilities: vec![],
            streams: vec![],
        };
        let window = wire::frame::collector::Credit { bytes: 20_000, batches: 12 };
        let limits = collector::Limits { window, ..collector::Limits::default() };
        let expires_in = Duration::from_secs(86_400);
        let at = self.collector_now().at;
        self.connection = Some(Connection {
            number: self.n_connections,
            sensor: sensor::Session::new(self.sensor_now(), hello, &self.outbox().holdings())
                .with_patience(self.chaos.patience.max(1)),
            collector: collector::Session::new(at, limits, Uuid::nil(), expires_in),
            up: Pipe::new(),
            down: Pipe::new(),
            wires: Wires::new(),
            waiting: BTreeMap::new(),
            look_up: None,
            answers: VecDeque::new(),
        });
    }

    /// Something on its way arrives, or the store gets round to something.
    fn progress(&mut self) {
        let (sensor_now, collector_now) = (self.sensor_now(), self.collector_now());
        let Some(connection) = &mut self.connection else { return };
        match (self.rng.random_range(0..6), self.paused) {
            (1, Some(Side::Sensor)) | (0 | 2..6, Some(Side::Collector)) => {}
            (0, _) => {
                for frame in connection.up.arrive(&mut self.rng) {
                    connection.collector.handle_control(collector_now, frame);
                }
            }
            (1, _) => {
                for frame in connection.down.arrive(&mut self.rng) {
                    self.n_resends += u64::from(matches!(frame, FromCollector::Resend(_)));
                    connection.sensor.handle_frame(sensor_now, frame);
                }
            }
            (2, _) => {
                let numbers: Vec<u64> = connection.wires.keys().copied().collect();
                let Some(number) = pick(&mut self.rng, &numbers) else { return };
                let Some(pipe) = connection.wires.get_mut(&number) else { return };
                for frame in pipe.arrive(&mut self.rng) {
                    connection.collector.handle_data(collector_now, number, frame);
                }
                if pipe.has_ended() {
                    connection.wires.remove(&number);
                    connection.collector.handle_wire_closed(number);
                }
            }
            (3, _) => self.commit(),
            (4, _) => {
                if let Some((delivery, outcome)) = connection.answers.pop_front() {
                    connection.collector.handle_outcome(collector_now, delivery, outcome);
                }
            }
            _ => {
                if let Some(keys) = connection.look_up.take() {
                    let found = (!self.is_store_away).then(|| self.store.watermarks(&keys));
                    connection.collector.handle_watermarks(collector_now, found);
                }
            }
        }
    }

    /// The store takes some of what waits, whoever sent it.
    fn commit(&mut self) {
        for _ in 0..self.rng.random_range(0..8) {
            let Some((owner, delivery, key, item)) = self.store.queue.pop_front() else { return };
            let outcome = if self.is_store_away {
                let retry = Outcome::Retry { after: Duration::from_millis(200) };
                self.rng.random_bool(0.9).then_some(retry)
            } else {
                Some(self.store.commit(key, &item))
            };
            if let Some(connection) = self.connection.as_mut().filter(|c| c.number == owner) {
                connection.answers.push_back((delivery, outcome));
            }
        }
    }
}

fn pick(rng: &mut StdRng, of: &[u64]) -> Option<u64> {
    (!of.is_empty()).then(|| of[rng.random_range(0..of.len())])
}
