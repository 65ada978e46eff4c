//! One lane's events on their way into a batch, with all that is known of their subjects.
//!
//! Pure. A batch is self-contained: whatever process an event names is entered in the batch's
//! subject table, with its parent and its ancestors. What the stream has not told about a process
//! yet it tells now in full, marked new; what it has told before is entered with no more than a
//! search needs (a parent's executable and arguments, a distant ancestor's executable).
//!
//! The hash of an executable that runs for the first time comes a moment later, and so do the names of a container: a
//! batch waits a little for them, and its subjects are given them then.

use std::collections::HashMap;

use wire::batch::{Boundary, Builder};
use wire::event::{Event, Row};
use wire::field::Field;
use wire::frame::data::Batch;
use wire::id::{BootId, Epoch, Lane};
use wire::ledger::Ledger;
use wire::subject::{Subject, SubjectNumber};
use wire::time::{BootTime, Clock};
use wire::value::Value;

use crate::container::Id;
use crate::container::names::{About, Answer as Called};
use crate::enrich;
use crate::hash::{Answer, FileId, Sha256};
use crate::record::{Image, Task};
use crate::table::{Node, Table};
use crate::user::Names;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;

/// When a batch is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// With so many events.
    pub events: u32,
    /// With about so many bytes before compression.
    pub bytes: usize,
    /// When its first event has waited so long, in ns.
    pub wait_ns: u64,
    /// How much longer at most if hashes are being made or names of containers asked for, in ns; and how long since that was
    /// asked for.
    pub hash_wait_ns: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { events: 4096, bytes: 1 << 20, wait_ns: 500_000_000, hash_wait_ns: 250_000_000 }
    }
}

/// Collects one lane's events and seals them into batches.
pub struct Sealer {
    lane: Lane,
    bounds: Bounds,
    builder: Builder,
    entered: HashMap<Task, Entered>,
    next_seq: u64,
    waiting_since: Option<BootTime>,
    /// Subjects whose hash is being made.
    unhashed: Vec<(FileId, SubjectNumber)>,
    /// Subjects whose container's names are asked for.
    unnamed: Vec<(Id, SubjectNumber)>,
    /// When the latest of these was asked for.
    asked: BootTime,
}

/// Whom an event is about.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// The process image.
    pub node: Node,
    /// What it runs, where the record itself tells; else what the table kept of it.
    pub image: Option<&'a Image<'a>>,
    /// When it was executed, if the event is about just that.
    pub ran: Option<BootTime>,
}

/// What a sealed batch says beside its events.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    /// The run of numbering.
    pub epoch: Epoch,
    /// The current boot.
    pub boot: BootId,
    /// The time now.
    pub now: BootTime,
    /// The clock's correction.
    pub clock: Clock,
    /// The stream's counters, every event pushed so far included.
    pub ledger: Ledger,
    /// The digest of the collection by which the events were shipped.
    pub collection: [u8; 16],
}

/// A process image in the batch's subject table.
#[derive(Clone, Copy)]
struct Entered {
    number: SubjectNumber,
    detail: Detail,
    is_new: bool,
}

/// What of a subject may come after it has entered the batch.
#[derive(Default)]
struct Late {
    hash: Option<(FileId, Answer)>,
    container: Option<(Id, Called)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Detail {
    Executable,
    Arguments,
    Full,
}

impl Sealer {
    /// A lane's sealer, at the start of a stream.
    pub fn new(lane: Lane, bounds: Bounds) -> Self {
        Self {
            lane,
            bounds,
            builder: Builder::new(),
            entered: HashMap::new(),
            next_seq: 0,
            waiting_since: None,
            unhashed: Vec::new(),
            unnamed: Vec::new(),
            asked: BootTime::default(),
        }
    }

    /// Adds the next event.
    pub fn push(
        &mut self,
        event: &Event,
        who: Option<Who<'_>>,
        table: &mut Table,
        names: &Names,
        now: BootTime,
    ) {
        let subject = who.and_then(|who| self.enter(who, false, table, names, now));
        self.builder.push(event, subject);
        self.waiting_since.get_or_insert(now);
    }

    /// Adds the next event, about a subject that the table does not have and of which this is all that is known.
    pub fn push_bare(
        &mut self,
        event: &Event,
        task: Task,
        row: Row,
        container: Option<(Id, Called)>,
        now: BootTime,
    ) {
        let subject = Subject { key: task.key, image: task.image, parent: None, is_new: false, row };
        let subject = self.add(task, Detail::Full, subject, Late { hash: None, container });
        self.builder.push(event, Some(subject));
        self.waiting_since.get_or_insert(now);
    }

    /// Tells all about a process once more, though no event of this batch is about it.
    pub fn announce(&mut self, node: Node, table: &mut Table, names: &Names, now: BootTime) {
        self.enter(Who { node, image: None, ran: None }, true, table, names, now);
    }

    /// Gives the subjects that wait for it the hash of the file that they run; `None`: there will be none.
    pub fn hashed(&mut self, file: FileId, sha256: Option<Sha256>) {
        let Self { unhashed, builder, .. } = self;
        unhashed.retain(|(other, number)| {
            if let Some(sha256) = sha256.filter(|_| *other == file) {
                builder.amend(*number, Field::ProcessHashSha256, &hex(sha256));
            }
            *other != file
        });
    }

    /// Gives the subjects that wait for them the names of the container that they are in; `None`: there are none.
    pub fn named(&mut self, id: Id, about: Option<&About>) {
        let Self { unnamed, builder, .. } = self;
        unnamed.retain(|(other, number)| {
            if let Some(about) = about.filter(|_| *other == id) {
                enrich::names(about).for_each(|(field, value)| builder.amend(*number, field, &value));
            }
            *other != id
        });
    }

    /// Whether the batch should be sealed now.
    pub fn is_due(&self, now: BootTime) -> bool {
        self.is_full() || self.due().is_some_and(|due| due <= now)
    }

    /// When the batch must be sealed at the latest; `None` while no event waits.
    pub fn due(&self) -> Option<BootTime> {
        let due = self.waiting_since?.ns().saturating_add(self.bounds.wait_ns);
        if self.unhashed.is_empty() && self.unnamed.is_empty() {
            return Some(BootTime::from_ns(due));
        }
        let wait = self.bounds.hash_wait_ns;
        let hashed = self.asked.ns().saturating_add(wait).min(due.saturating_add(wait));
        Some(BootTime::from_ns(due.max(hashed)))
    }

    /// Whether no more should go into this batch.
    pub fn is_full(&self) -> bool {
        self.builder.n_events() >= self.bounds.events
            || self.builder.raw_bytes() >= self.bounds.bytes
            || self.builder.is_full()
    }

    /// Whether even entries without an event should wait for the next batch.
    pub fn is_overfull(&self) -> bool {
        self.builder.raw_bytes() >= 2 * self.bounds.bytes || self.builder.is_full()
    }

    /// Seals the events that wait; `None` when there are none.
    pub fn seal(&mut self, seal: &Seal) -> Option<Batch> {
        let n_events = self.builder.n_events();
        if n_events == 0 {
            return None;
        }
        let first_seq = self.next_seq;
        let sealed = self.builder.seal(Boundary {
            epoch: seal.epoch,
            lane: self.lane,
            first_seq,
            boot: seal.boot,
            sealed: seal.now,
            clock: seal.clock,
            ledger: seal.ledger,
            collection: seal.collection,
        });
        self.next_seq += u64::from(n_events);
        self.forget();
        Some(Batch { first_seq, n_events, sealed })
    }

    /// Starts a new stream. What waits must be sealed by then.
    pub fn begin_stream(&mut self, table: &mut Table) {
        self.builder.clear();
        self.forget();
        self.next_seq = 0;
        table.forget_announced(self.lane);
    }

    /// The number that the stream's next batch begins with.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many events wait.
    pub fn n_waiting(&self) -> u32 {
        self.builder.n_events()
    }

    /// Forgets what belongs to the batch that was sealed.
    fn forget(&mut self) {
        self.entered.clear();
        self.unhashed.clear();
        self.unnamed.clear();
        self.waiting_since = None;
        self.asked = BootTime::default();
    }

    fn enter(
        &mut self,
        who: Who<'_>,
        again: bool,
        table: &mut Table,
        names: &Names,
        now: BootTime,
    ) -> Option<SubjectNumber> {
        let task = table.task(who.node)?;
        let known = self.entered.get(&task).copied();
        if let Some(known) = known.filter(|known| known.detail == Detail::Full && (!again || known.is_new)) {
            return Some(known.number);
        }
        // Up to the first ancestor that is entered well enough; then down again, so that each
        // entry's parent has its number before it.
        let mut missing = Vec::new();
        let mut parent = None;
        let ancestors: Vec<Node> = table.ancestors(who.node).collect();
        for (distance, node) in ancestors.into_iter().enumerate() {
            let Some(task) = table.task(node) else { break };
            let wanted = if distance == 0 { Detail::Arguments } else { Detail::Executable };
            if let Some(known) = self.entered.get(&task).filter(|known| known.detail >= wanted) {
                parent = Some(known.number);
                break;
            }
            missing.push((node, task, wanted));
        }
        for (node, task, wanted) in missing.into_iter().rev() {
            let is_new = table.announce(node, self.lane);
            let detail = if is_new { Detail::Full } else { wanted };
            let late = match detail {
                Detail::Full => Late::of(node, table, now),
                _ => Late::default(),
            };
            let row = match (detail, table.view(node)) {
                (Detail::Executable, _) => enrich::ancestor(table.executable(node)),
                (Detail::Arguments, Some(image)) => enrich::parent(&image),
                (Detail::Full, Some(image)) => enrich::subject(&image, names),
                (_, None) => Default::default(),
            };
            let subject = Subject { key: task.key, image: task.image, parent, is_new, row };
            parent = Some(self.add(task, detail, subject, late));
        }
        let is_new = table.announce(who.node, self.lane) || again;
        let hash = table.hash(who.node, who.ran, now);
        let container = match who.image {
            Some(image) => table.container(image.cgroup, now),
            None => table.container_of(who.node, now),
        };
        let view = who.image.cloned().or_else(|| table.view(who.node));
        let row = view.map(|image| enrich::subject(&image, names)).unwrap_or_default();
        let subject = Subject { key: task.key, image: task.image, parent, is_new, row };
        Some(self.add(task, Detail::Full, subject, Late { hash, container }))
    }

    fn add(&mut self, task: Task, detail: Detail, mut subject: Subject, late: Late) -> SubjectNumber {
        let Late { hash, container } = late;
        if let Some((_, Answer::Is(sha256))) = hash {
            subject.row.set(Field::ProcessHashSha256, hex(sha256));
        }
        if let Some((_, Called::Is(about))) = &container {
            enrich::names(about).for_each(|(field, value)| subject.row.set(field, value));
        }
        let number = self.builder.subject(&subject);
        if let Some((file, Answer::Asked(since))) = hash {
            self.unhashed.push((file, number));
            self.asked = self.asked.max(since);
        }
        if let Some((id, Called::Asked(since))) = container {
            self.unnamed.push((id, number));
            self.asked = self.asked.max(since);
        }
        self.entered.insert(task, Entered { number, detail, is_new: subject.is_new });
        number
    }
}

impl Late {
    /// What is known of an image by now.
    fn of(node: Node, table: &mut Table, now: BootTime) -> Self {
        Self { hash: table.hash(node, None, now), container: table.container_of(node, now) }
    }
}

fn hex(sha256: Sha256) -> Value {
    Value::Keyword(sha256.to_string().into())
}
