//! From the kernel's records to sealed batches.
//!
//! Pure: records, seeds, counters and the time go in; batches come out of [`Pipeline::next_batch`].
//! Everything the kernel tried to hand over ends as a stored event or in a counter of the ledger,
//! and each batch carries the counters of its very boundary.

use std::collections::VecDeque;

use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::frame::data::Batch;
use wire::id::{Epoch, Lane};
use wire::ledger::Ledger;
use wire::time::{BootTime, Clock};

use crate::account::{Account, Position, Start};
use crate::container::running::Running;
use crate::dns::Dns;
use crate::enrich::{self, Origin};
use crate::escape::{self, Host, Watch};
use crate::hash::{FileId, Request, Sha256, Skip};
use crate::record::{Body, Class, Image, Place, Record, Task};
use crate::redact::Redactor;
use crate::seal::{Bounds, Seal, Sealer, Who};
use crate::table::{Limits, Node, Table};
use crate::user::Names;
use announce::Announcer;

mod announce;
mod containers;
mod dns;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

/// How often a loss is reported at most, in ns.
const LOSS_EVERY_NS: u64 = 10_000_000_000;

/// What a pipeline is made with.
#[derive(Debug)]
pub struct PipelineConfig {
    /// Whose records these are.
    pub origin: Origin,
    /// The run of numbering to begin with.
    pub epoch: Epoch,
    /// What is known of the kernel's numbering.
    pub start: Start,
    /// The process table's bounds.
    pub limits: Limits,
    /// When batches are sealed.
    pub bounds: Bounds,
    /// The digest of the collection that decides what the kernel hands over.
    pub collection: [u8; 16],
    /// What replaces secrets in arguments.
    pub redactor: Redactor,
    /// The namespaces that the host itself lives in.
    pub host: Host,
}

/// The state between the rings and the outbox.
pub struct Pipeline {
    origin: Origin,
    collection: [u8; 16],
    epoch: Epoch,
    redactor: Redactor,
    n_redacted: u64,
    escapes: Watch,
    table: Table,
    running: Running,
    account: Account,
    dns: Dns,
    critical: Sealer,
    bulk: Sealer,
    announcer: Announcer,
    clock: Clock,
    shedding: bool,
    ready: VecDeque<Ready>,
    reported: Reported,
}

/// A sealed batch on its way to the outbox.
#[derive(Debug)]
pub struct Ready {
    /// The run of numbering it belongs to.
    pub epoch: Epoch,
    /// Its lane.
    pub lane: Lane,
    /// The batch.
    pub batch: Batch,
    /// How far it reaches in the kernel's numbering of the classes of its lane.
    pub positions: Vec<(Class, Vec<Position>)>,
}

/// What the last event about loss had told of.
#[derive(Clone, Copy, Debug, Default)]
struct Reported {
    lost: u64,
    dropped: u64,
    at: BootTime,
}

impl Pipeline {
    /// A pipeline with an empty table.
    pub fn new(config: PipelineConfig, now: BootTime) -> Self {
        Self {
            origin: config.origin,
            collection: config.collection,
            epoch: config.epoch,
            redactor: config.redactor,
            n_redacted: 0,
            escapes: Watch::new(config.host),
            table: Table::new(config.limits),
            running: Running::default(),
            account: Account::new(config.start, now),
            dns: Dns::default(),
            critical: Sealer::new(Lane::Critical, config.bounds),
            bulk: Sealer::new(Lane::Bulk, config.bounds),
            announcer: Announcer::default(),
            clock: Clock::default(),
            shedding: false,
            ready: VecDeque::new(),
            reported: Reported::default(),
        }
    }

    /// Enters a process that lives already; no event comes of it.
    pub fn seed(&mut self, image: &Image<'_>, now: BootTime) {
        let args = self.redact(image);
        if let Some(node) = self.table.image(&without_secrets(image, args.as_deref()), now) {
            self.found_in_container(image, node);
        }
    }

    /// Starts to compare the table with what lives, after records were lost: [`Pipeline::seed`] every
    /// living process now, then [`Pipeline::end_census`].
    pub fn begin_census(&mut self) {
        self.table.begin_census();
        self.running.begin_census();
    }

    /// Ends the processes that no seed and no record has named since, and tells that their containers have stopped;
    /// returns how many processes.
    pub fn end_census(&mut self, names: &Names, now: BootTime) -> usize {
        for first in self.running.end_census() {
            self.container_stops(first, now, names, now);
        }
        self.table.end_census(now)
    }

    /// Turns a record into an event.
    pub fn take(&mut self, record: &Record<'_>, names: &Names, now: BootTime) {
        let lane = record.at.class.lane();
        if !self.account.arrived(record.at, now) {
            return;
        }
        if let Body::Populated(group) = &record.body {
            self.account.merged(lane, 1);
            return self.populated(group, record.time, names, now);
        }
        // From here on nothing sees the arguments as they were.
        let args = match &record.body {
            Body::Image(image) => self.redact(image),
            _ => None,
        };
        let image = match &record.body {
            Body::Image(image) => Some(without_secrets(image, args.as_deref())),
            _ => None,
        };
        let node = match &record.body {
            Body::Fork(fork) => Some(self.table.fork(fork, now)),
            Body::Image(_) => image.as_ref().and_then(|image| self.table.image(image, now)),
            Body::Exit(exit) => Some(self.table.exit(exit, now)),
            body => body.actor().map(|task| self.table.named(task, now)),
        };
        if self.shedding && lane == Lane::Bulk {
            self.account.dropped(lane, 1);
            return;
        }
        if let Body::Dns(dns) = &record.body {
            self.take_dns((lane, dns), record.time, names, now);
            return;
        }
        let target = match &record.body {
            Body::Target(target) => self.table.find(target.target),
            _ => None,
        };
        let executable = target.map(|node| self.table.executable(node)).unwrap_or_default();
        let Some(mut event) = enrich::event(record, executable, self.origin) else { return };
        let sign = self.escape(record, node, &mut event, now);
        let starts = match (&record.body, &image, node) {
            (_, Some(image), Some(node)) => self.executed_in_container(image, node),
            (Body::Exit(exit), _, Some(node)) => {
                self.exited_in_container(exit, node);
                false
            }
            _ => false,
        };
        let ran = image.as_ref().filter(|image| image.just_executed).map(|_| record.time);
        let who = node.map(|node| Who { node, image: image.as_ref(), ran });
        sealer(&mut self.critical, &mut self.bulk, lane).push(&event, who, &mut self.table, names, now);
        if let Some(who) = who.filter(|_| starts) {
            self.container_starts(who, record.time, names, now);
        }
        self.seal_if_due(lane, names, now);
        if let Some(sign) = sign {
            self.account.own(Lane::Critical);
            let who = node.map(|node| Who { node, image: None, ran: None });
            self.critical.push(&sign, who, &mut self.table, names, now);
            self.seal_if_due(Lane::Critical, names, now);
        }
    }

    /// The next executable to read for its hash.
    pub fn next_hash_request(&mut self) -> Option<Request> {
        self.table.hashes_mut().next_request()
    }

    /// Takes what became of such a request.
    pub fn hashed(&mut self, file: FileId, found: Result<Sha256, Skip>) {
        self.table.hashes_mut().answer(file, found);
        for sealer in [&mut self.critical, &mut self.bulk] {
            sealer.hashed(file, found.ok());
        }
    }

    /// Whether the record is about a process image that no record has told of yet: perhaps one that
    /// waits in the other ring.
    pub fn is_early(&self, record: &Record<'_>) -> bool {
        record.body.actor().is_some_and(|task| self.table.find(task).is_none())
    }

    /// Takes a record that goes into an event of the sensor's own: what the sensor did only to see it come back.
    pub fn absorb(&mut self, at: Place, now: BootTime) {
        if self.account.arrived(at, now) {
            self.account.merged(at.class.lane(), 1);
        }
    }

    /// Counts all that has not arrived yet as lost.
    pub fn give_up_gaps(&mut self) {
        self.account.give_up_gaps();
    }

    /// Goes on with records that are numbered anew: what has not arrived of those before is lost.
    pub fn begin_numbering(&mut self, start: Start, now: BootTime) {
        self.account.begin_numbering(start, now);
    }

    /// Takes note of how far the kernel's numbering had come before the rings were last drained
    /// to their end.
    pub fn reached(&mut self, at: Place, now: BootTime) {
        self.account.reached(at.class, at.cpu, at.seq, now);
    }

    /// Books program runs that the kernel skipped.
    pub fn skipped(&mut self, class: Class, n: u64) {
        self.account.skipped(class, n);
    }

    /// Adds an event of the sensor's own.
    pub fn tell(&mut self, kind: Kind, row: Row, names: &Names, now: BootTime) {
        self.account.own(Lane::Critical);
        let event = Event { time: now, kind, row };
        self.critical.push(&event, None, &mut self.table, names, now);
        self.seal_if_due(Lane::Critical, names, now);
    }

    /// Adds one that a process is to blame for.
    pub fn tell_of(&mut self, task: Task, kind: Kind, row: Row, names: &Names, now: BootTime) {
        self.account.own(Lane::Critical);
        let node = self.table.named(task, now);
        let event = Event { time: now, kind, row };
        let who = Who { node, image: None, ran: None };
        self.critical.push(&event, Some(who), &mut self.table, names, now);
        self.seal_if_due(Lane::Critical, names, now);
    }

    /// Tells of records that nobody will have, and that the ledger counts as lost now or as soon as their gaps are given up.
    pub fn tell_loss(&mut self, lost: u64, row: Row, names: &Names, now: BootTime) {
        self.reported.lost = self.reported.lost.saturating_add(lost);
        self.tell(Kind::SENSOR_LOSS, row.with(Field::SensorLost, lost), names, now);
    }

    /// Adds the minute's heartbeat; it also brings round the daily announcement of who lives.
    pub fn heartbeat(&mut self, names: &Names, now: BootTime) {
        let (lost, dropped) = self.losses();
        let row = Row::default().with(Field::SensorLost, lost).with(Field::SensorDropped, dropped);
        self.announcer.minute(self.table.n_entries());
        self.tell(Kind::SENSOR_HEARTBEAT, row, names, now);
    }

    /// What has to be done as time passes: call it about once a second.
    pub fn tick(&mut self, names: &Names, now: BootTime) {
        self.table.expire(now);
        self.account.settle(now);
        self.expire_dns(names, now);
        let (lost, dropped) = self.losses();
        let more = (lost.saturating_sub(self.reported.lost), dropped.saturating_sub(self.reported.dropped));
        let waited = now.ns().saturating_sub(self.reported.at.ns()) >= LOSS_EVERY_NS;
        if more == (0, 0) || !waited {
            return;
        }
        self.reported = Reported { lost, dropped, at: now };
        let reason = match more {
            (_, 0) => "records found no room in the kernel's rings",
            (0, _) => "events were dropped: the outbox was full, or a sensor before crashed",
            _ => "records found no room in the kernel's rings, and events were dropped",
        };
        let row = Row::default()
            .with(Field::SensorLost, more.0)
            .with(Field::SensorDropped, more.1)
            .with(Field::SensorReason, reason);
        self.tell(Kind::SENSOR_LOSS, row, names, now);
    }

    /// Sets what batches sealed from now on say of the clock.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Whether there is no room for bulk events: they are dropped and counted.
    pub fn set_shedding(&mut self, shedding: bool) {
        self.shedding = shedding;
    }

    /// Seals what has waited long enough.
    pub fn seal_due(&mut self, names: &Names, now: BootTime) {
        self.table.expire(now);
        for lane in Lane::ALL {
            self.seal_if_due(lane, names, now);
        }
    }

    /// Seals everything that waits.
    pub fn seal_all(&mut self, names: &Names, now: BootTime) {
        for lane in Lane::ALL {
            self.seal(lane, names, now);
        }
    }

    /// Seals everything and starts both lanes' numbering and counters anew.
    pub fn begin_epoch(&mut self, epoch: Epoch, names: &Names, now: BootTime) {
        self.seal_all(names, now);
        self.epoch = epoch;
        self.account.begin_epoch();
        self.critical.begin_stream(&mut self.table);
        self.bulk.begin_stream(&mut self.table);
        self.announcer = Announcer::default();
        self.reported = Reported::default();
    }

    /// Tells all about every process again in this lane: batches that had told it were shed.
    pub fn forget_announced(&mut self, lane: Lane) {
        self.table.forget_announced(lane);
    }

    /// The next batch that is sealed.
    pub fn next_batch(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// The lane's counters now.
    pub fn ledger(&self, lane: Lane) -> Ledger {
        self.account.ledger(lane)
    }

    /// The number after the lane's last sealed event.
    pub fn next_seq(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Critical => self.critical.next_seq(),
            Lane::Bulk => self.bulk.next_seq(),
        }
    }

    /// How far the class's numbering has come, unsealed events included.
    pub fn positions(&self, class: Class) -> Vec<Position> {
        self.account.positions(class)
    }

    /// The process table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How many images had secrets in their arguments.
    pub fn n_redacted(&self) -> u64 {
        self.n_redacted
    }

    /// The current run of numbering.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The arguments of an image that has secrets in them.
    fn redact(&mut self, image: &Image<'_>) -> Option<Vec<u8>> {
        let args = self.redactor.redact(image.args)?;
        self.n_redacted += 1;
        Some(args)
    }

    /// Settles what a record is where its container decides, and gives the sign of an escape that it shows.
    fn escape(
        &mut self,
        record: &Record<'_>,
        node: Option<Node>,
        event: &mut Event,
        now: BootTime,
    ) -> Option<Event> {
        if !escape::concerns(&record.body) {
            return None;
        }
        let image = node.and_then(|node| self.table.view(node));
        event.kind = escape::settled(event.kind, image.as_ref());
        let (kind, row) = self.escapes.sign(record, image.as_ref()?, &event.row, now)?;
        Some(Event { time: event.time, kind, row })
    }

    fn losses(&self) -> (u64, u64) {
        let [critical, bulk] = Lane::ALL.map(|lane| self.account.ledger(lane));
        (critical.lost.saturating_add(bulk.lost), critical.dropped.saturating_add(bulk.dropped))
    }

    fn seal_if_due(&mut self, lane: Lane, names: &Names, now: BootTime) {
        if sealer(&mut self.critical, &mut self.bulk, lane).is_due(now) {
            self.seal(lane, names, now);
        }
    }

    fn seal(&mut self, lane: Lane, names: &Names, now: BootTime) {
        if lane == Lane::Critical && self.critical.n_waiting() > 0 {
            self.announcer.announce(&mut self.critical, &mut self.table, names, now);
        }
        let seal = Seal {
            epoch: self.epoch,
            boot: self.origin.boot,
            now,
            clock: self.clock,
            ledger: self.account.ledger(lane),
            collection: self.collection,
        };
        let Some(batch) = sealer(&mut self.critical, &mut self.bulk, lane).seal(&seal) else { return };
        let of_lane = Class::ALL.into_iter().filter(|class| class.lane() == lane);
        let positions = of_lane.map(|class| (class, self.account.positions(class))).collect();
        self.ready.push_back(Ready { epoch: self.epoch, lane, batch, positions });
    }
}

fn sealer<'a>(critical: &'a mut Sealer, bulk: &'a mut Sealer, lane: Lane) -> &'a mut Sealer {
    match lane {
        Lane::Critical => critical,
        Lane::Bulk => bulk,
    }
}

/// The image with these arguments, if some had to be replaced.
fn without_secrets<'a>(image: &Image<'a>, args: Option<&'a [u8]>) -> Image<'a> {
    match args {
        Some(args) => Image { args, redacted: true, ..image.clone() },
        None => image.clone(),
    }
}
