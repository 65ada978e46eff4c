//! What the outbox does on disk: decides the next job, and books what came of it.
//!
//! Nothing here does I/O but for taking away files in memory. Whoever drives it ([`super::thread`], a test) asks for a job, does
//! it without any lock, and brings back what came of it.

use std::collections::VecDeque;
use std::sync::Arc;

use metrics::{counter, gauge};
use tracing::{debug, error, warn};
use wire::id::{BootId, Epoch, Lane};
use wire::time::BootTime;

use super::Inner;
use super::cache::Cache;
use super::job::{Chores, Done, Job, Outcome, SaveError, Task};
use super::slot::{Place, Slot};
use super::when::{BUNDLE_BATCHES, BUNDLE_BYTES, NOTE, PACE, Seen, When, passed};
use crate::clock::Reading;
use crate::spool::disk::{Shed, cost_of, is_full};
use crate::spool::{Disk, ItemError, Note, Room, Run, StreamKey};

/// The spool on disk, as far as it is not on disk.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) disk: Arc<Disk>,
    max_bytes: u64,
    boot: BootId,
    when: When,
    room: Room,
    pub(super) cache: Cache,
    wanted: VecDeque<(StreamKey, Slot)>,
    pub(super) chores: Chores,
    tidied_at: BootTime,
    /// What is being brought to disk: of which streams, and up to where. Empty: nothing.
    going: Vec<(StreamKey, u64)>,
    notes: Notes,
    is_busy: bool,
    closing: Closing,
    /// Why nothing more is written in this run.
    pub(super) trouble: Option<String>,
}

/// What is to be noted of the live epoch.
#[derive(Debug, Default)]
struct Notes {
    latest: Option<Noted>,
    /// What is noted as soon as all of it is durable.
    pending: Option<Noted>,
    written_at: Option<BootTime>,
    /// Epochs of sensors before, of which was told.
    old: Vec<Epoch>,
}

#[derive(Clone, Debug)]
struct Noted {
    epoch: Epoch,
    ends: [u64; 2],
    positions: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    /// The sensor works.
    No,
    /// It stops; what is in memory alone has to go.
    Asked,
    /// It is going.
    Going,
    /// Nothing is left to do.
    Done,
}

impl Keeper {
    pub(super) fn new(disk: Disk, max_bytes: u64, boot: BootId, old: Vec<Epoch>, now: BootTime) -> Self {
        let room = disk.room();
        let mut keeper = Self {
            disk: Arc::new(disk),
            max_bytes,
            boot,
            when: When::new(now),
            room: Room::default(),
            cache: Cache::default(),
            wanted: VecDeque::new(),
            chores: Chores::default(),
            tidied_at: now,
            going: Vec::new(),
            notes: Notes { old, ..Notes::default() },
            is_busy: false,
            closing: Closing::No,
            trouble: None,
        };
        gauge!("sensor_spool_disk_closed").set(0.0);
        match room {
            Ok(room) => keeper.room = room,
            Err(error) => keeper.close(&format!("it does not say how much room there is: {error}")),
        }
        keeper
    }

    /// Asks for a bundle that is to be sent.
    pub(super) fn want(&mut self, stream: StreamKey, slot: Slot) {
        if !self.wanted.contains(&(stream, slot)) {
            self.wanted.push_back((stream, slot));
        }
    }

    /// What the batches sealed so far reach to.
    pub(super) fn note(&mut self, epoch: Epoch, ends: [u64; 2], positions: Vec<u8>) {
        self.notes.latest = Some(Noted { epoch, ends, positions });
    }

    pub(super) fn close_up(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Asked;
        }
    }

    /// Whether all is done that was to be done before the end.
    pub(super) fn is_closed_up(&self) -> bool {
        self.closing == Closing::Done && !self.is_busy
    }

    /// Nothing is written any more in this run. What a failed sync left behind is not known, and another one would not tell.
    fn close(&mut self, reason: &str) {
        error!(
            path = %self.disk.dir().display(), reason,
            "the spool on disk is closed until the next start: batches are kept in memory alone; look at the disk"
        );
        gauge!("sensor_spool_disk_closed").set(1.0);
        self.trouble =
            Some(format!("the spool on disk is closed, and batches are kept in memory alone: {reason}"));
        self.going.clear();
        self.notes.pending = None;
        self.chores.only_remove = true;
    }
}

impl Inner {
    /// The next thing to do on disk, if anything is to be done now.
    pub(super) fn next_job(&mut self, now: Reading) -> Option<Job> {
        let task = self.next_task(now)?;
        let keeper = self.keeper.as_mut()?;
        keeper.is_busy = true;
        Some(Job { disk: keeper.disk.clone(), spool: self.spool.clone(), task })
    }

    fn next_task(&mut self, now: Reading) -> Option<Task> {
        let seen = Seen {
            now: now.boot,
            n_acknowledged: self.n_acknowledged,
            n_memory_bytes: self.index.n_memory_bytes(),
            n_disk_bytes: self.index.n_disk_bytes(),
            max_memory_bytes: self.max_memory_bytes,
        };
        let keeper = self.keeper.as_mut().filter(|keeper| !keeper.is_busy)?;
        if let Some((stream, slot)) = keeper.wanted.pop_front() {
            return Some(Task::Load(stream, slot));
        }
        let is_ending = keeper.closing != Closing::No;
        if !keeper.chores.is_empty() && (is_ending || passed(keeper.tidied_at, now.boot) >= PACE / 2) {
            keeper.tidied_at = now.boot;
            let left = Chores { only_remove: keeper.chores.only_remove, ..Chores::default() };
            let mut chores = std::mem::replace(&mut keeper.chores, left);
            // The same may have gone to disk again since.
            chores.streams.retain(|stream| !self.index.is_on_disk(*stream));
            for (stream, files) in &mut chores.gone {
                files.bundles.retain(|run| !self.index.has_on_disk(*stream, *run));
                files.shed.retain(|run| !self.index.has_on_disk(*stream, *run));
            }
            return Some(Task::Tidy(chores));
        }
        if keeper.trouble.is_some() {
            if is_ending {
                keeper.closing = Closing::Done;
            }
            return None;
        }
        let goes = keeper.when.look(seen);
        if keeper.going.is_empty() && (goes || keeper.closing == Closing::Asked) {
            if is_ending {
                keeper.closing = Closing::Going;
            }
            keeper.notes.pending = keeper.notes.latest.clone();
            let mut going: Vec<_> = self.index.keys().map(|key| (key, self.index.end(key))).collect();
            going.sort_by_key(|(key, _)| key.lane != Lane::Critical);
            keeper.going = going;
            return Some(Task::Look);
        }
        if let Some(task) = self.next_save(now.boot) {
            return Some(task);
        }
        self.next_note(now)
    }

    /// What goes to disk next of what is going, with what gives way for it.
    fn next_save(&mut self, now: BootTime) -> Option<Task> {
        loop {
            let keeper = self.keeper.as_mut()?;
            let &(stream, end) = keeper.going.first()?;
            let slots = self.index.first_in_memory(stream, BUNDLE_BYTES, BUNDLE_BATCHES);
            let is_going = slots.first().is_some_and(|slot| slot.first_seq < end);
            let n_bytes = slots.iter().map(|slot| slot.n_bytes()).sum();
            if is_going
                && let Some(shed) = self.make_room_on_disk(stream.lane, cost_of(slots.len(), n_bytes), now)
            {
                return Some(Task::Save(stream, slots, shed));
            }
            let keeper = self.keeper.as_mut()?;
            keeper.going.remove(0);
            if keeper.going.is_empty() {
                keeper.when.went(now);
            }
        }
    }

    /// What has to give way on disk so that so much fits; `None` if it does not fit, whatever may give way.
    fn make_room_on_disk(&mut self, lane: Lane, need: u64, now: BootTime) -> Option<Vec<Shed>> {
        let keeper = self.keeper.as_ref().filter(|keeper| !keeper.when.is_full(now))?;
        let bound = keeper.when.bound(now, keeper.max_bytes, keeper.room, self.index.n_disk_bytes());
        let too_much = (self.index.n_disk_bytes() + need).saturating_sub(bound);
        let giving_way = (need <= bound).then(|| self.index.giving_way(lane, too_much))??;
        Some(
            giving_way
                .into_iter()
                .filter_map(|(stream, slot)| self.bury_on_disk(stream, slot, "disk_full"))
                .collect(),
        )
    }

    /// Gives a bundle up.
    pub(super) fn bury_on_disk(
        &mut self,
        stream: StreamKey,
        slot: Slot,
        reason: &'static str,
    ) -> Option<Shed> {
        let (tombstone, covered, n_events) = self.index.bury(stream, slot)?;
        self.count_shed(stream.lane, n_events, reason);
        if let Some(keeper) = &mut self.keeper {
            keeper.cache.forget(stream, slot.run());
        }
        let joined = covered.iter().map(|slot| slot.run()).filter(|run| *run != slot.run()).collect();
        Some(Shed { stream, victim: slot.run(), tombstone: tombstone.run(), joined })
    }

    fn next_note(&mut self, now: Reading) -> Option<Task> {
        let is_durable = |noted: &Noted| {
            let is_there =
                |(lane, end)| self.index.durable_end(StreamKey { epoch: noted.epoch, lane }) >= end;
            let others = self.index.keys().filter(|key| key.epoch != noted.epoch);
            Lane::ALL.into_iter().zip(noted.ends).all(is_there)
                && others.into_iter().all(|key| self.index.durable_end(key) == self.index.end(key))
        };
        let is_all_durable = self.index.keys().all(|key| self.index.durable_end(key) == self.index.end(key));
        let keeper = self.keeper.as_mut()?;
        let notes = &mut keeper.notes;
        if keeper.closing == Closing::Going {
            keeper.closing = Closing::Done;
            notes.pending = notes.latest.clone();
        } else if keeper.closing == Closing::Done {
            return None;
        } else if notes.pending.is_none() && notes.written_at.is_none_or(|at| passed(at, now.boot) >= NOTE) {
            notes.pending = notes.latest.clone();
        }
        let noted = notes.pending.take_if(|noted| is_durable(noted))?;
        notes.written_at = Some(now.boot);
        // What the live epoch told first is durable: that of those before too.
        let told = noted.ends.first().is_some_and(|end| *end > 0);
        let old = if told { std::mem::take(&mut notes.old) } else { Vec::new() };
        let note = Note {
            epoch: noted.epoch,
            boot: keeper.boot,
            noted: now.wall,
            closed: keeper.closing == Closing::Done && is_all_durable,
            durable: noted.ends,
            positions: noted.positions,
        };
        Some(Task::Note(note, old))
    }

    /// Books what came of a job. Whether somebody waits for it.
    pub(super) fn finish(&mut self, done: Done, now: BootTime) -> bool {
        let Some(keeper) = &mut self.keeper else { return false };
        keeper.is_busy = false;
        match done.0 {
            Outcome::Looked(Ok(room)) => keeper.room = room,
            Outcome::Looked(Err(e)) => keeper.close(&format!("it does not say how much room there is: {e}")),
            Outcome::Loaded(stream, slot, batches) => {
                self.loaded(stream, slot, batches);
                return true;
            }
            Outcome::Saved(stream, slots, saved) => self.saved(stream, &slots, saved, now),
            Outcome::Noted(Ok(())) => {}
            Outcome::Noted(Err(e)) if is_full(&e) => keeper.when.full(now),
            Outcome::Noted(Err(e)) => keeper.close(&format!("cannot note what is durable: {e}")),
            Outcome::Tidied(Ok(())) => {}
            Outcome::Tidied(Err(e)) if keeper.trouble.is_some() => {
                debug!(error = %e, "cannot tidy up on disk")
            }
            Outcome::Tidied(Err(e)) => keeper.close(&format!("cannot forget what is not needed: {e}")),
        }
        self.show_bytes();
        false
    }

    fn loaded(
        &mut self,
        stream: StreamKey,
        slot: Slot,
        batches: Result<Vec<wire::frame::data::Batch>, ItemError>,
    ) {
        if self.index.slot(stream, slot.first_seq) != Some(slot) {
            return;
        }
        match batches {
            Ok(batches) => {
                if let Some(keeper) = &mut self.keeper {
                    keeper.cache.put(stream, slot.run(), batches);
                }
            }
            Err(error) => {
                error!(error = %error, lane = %stream.lane, n_events = slot.n_events, "batches on disk are lost");
                let shed = self.bury_on_disk(stream, slot, "damaged");
                if let Some(keeper) = &mut self.keeper {
                    keeper.chores.shed.extend(shed);
                }
            }
        }
    }

    fn saved(&mut self, stream: StreamKey, slots: &[Slot], saved: Result<u64, SaveError>, now: BootTime) {
        let Some(keeper) = &mut self.keeper else { return };
        match saved {
            Ok(n_bytes) => self.stands_for(stream, slots, n_bytes),
            Err(SaveError::Memory(slot, error)) => {
                if self.index.slot(stream, slot.first_seq) == Some(slot) {
                    self.lose(stream, slot, &error);
                }
            }
            Err(SaveError::Disk(error)) if is_full(&error) => {
                warn!(path = %keeper.disk.dir().display(), "the disk of the spool is full: older batches give way");
                counter!("sensor_spool_disk_full_total").increment(1);
                keeper.when.full(now);
            }
            Err(SaveError::Disk(error)) => keeper.close(&format!("cannot write batches: {error}")),
        }
    }

    /// A bundle is durable: what it was made of goes.
    fn stands_for(&mut self, stream: StreamKey, slots: &[Slot], n_bytes: u64) {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return };
        let run = Run { first: first.first_seq, end: last.end() };
        let slot = match first.is_tombstone() {
            true => Slot::tombstone(run, Place::Disk),
            false => Slot::bundle(run, n_bytes),
        };
        counter!("sensor_spool_written_bytes_total").increment(n_bytes);
        match self.index.replace(stream, slots, slot) {
            Some(gone) => gone.iter().for_each(|slot| self.remove_in_memory(stream, *slot)),
            // Acknowledged, or shed, while it was written.
            None => {
                let is_empty = !self.index.is_on_disk(stream);
                if let Some(keeper) = &mut self.keeper {
                    keeper.chores.forget(stream, slot);
                    keeper.chores.streams.extend(is_empty.then_some(stream));
                }
            }
        }
    }
}
