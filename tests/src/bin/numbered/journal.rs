//! What is written down as it happens. Whole lines and whole numbers: a kill between two writes leaves nothing half.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use vedette_sensor::outbox::{Holdings, Totals};
use vedette_sensor::spool::StreamKey;
use vedette_sensor::uplink::{Link, State};
use wire::frame::data::Batch;
use wire::id::{Epoch, Lane};

const STATE_EVERY: Duration = Duration::from_millis(100);

/// What is told now and then.
pub(crate) struct Told<'a> {
    pub(crate) round: u64,
    /// Whether nothing is made, and what was made is sealed.
    pub(crate) is_paused: bool,
    pub(crate) totals: [Totals; 2],
    pub(crate) held_bytes: u64,
    pub(crate) link: &'a Link,
}

/// The files.
pub(crate) struct Journal {
    folder: PathBuf,
    made: File,
    sealed: File,
    batches: File,
    acknowledged: File,
    /// How far each stream was acknowledged, and where it ended, when last looked at.
    known: BTreeMap<StreamKey, (u64, u64)>,
    told: Option<Instant>,
}

impl Journal {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let open = |name: &str, options: &mut OpenOptions| options.create(true).open(folder.join(name));
        let counters = |name| open(name, OpenOptions::new().read(true).write(true).truncate(false));
        let lines = |name| open(name, OpenOptions::new().append(true));
        Ok(Self {
            folder: folder.to_owned(),
            made: counters("made")?,
            sealed: counters("sealed")?,
            batches: lines("batches")?,
            acknowledged: lines("acknowledged")?,
            known: BTreeMap::new(),
            told: None,
        })
    }

    pub(crate) fn made(&self, lane: Lane) -> u64 {
        counter(&self.made, lane)
    }

    pub(crate) fn sealed(&self, lane: Lane) -> u64 {
        counter(&self.sealed, lane)
    }

    pub(crate) fn note_made(&self, lane: Lane, upto: u64) -> anyhow::Result<()> {
        Ok(self.made.write_all_at(&upto.to_le_bytes(), lane as u64 * 8)?)
    }

    pub(crate) fn note_sealed(&self, lane: Lane, upto: u64) -> anyhow::Result<()> {
        Ok(self.sealed.write_all_at(&upto.to_le_bytes(), lane as u64 * 8)?)
    }

    pub(crate) fn note_batch(
        &mut self,
        round: u64,
        epoch: Epoch,
        lane: Lane,
        batch: &Batch,
        first_number: u64,
    ) -> anyhow::Result<()> {
        let Batch { first_seq, n_events, .. } = batch;
        let line = json!([round, epoch.to_string(), lane.to_string(), first_seq, n_events, first_number]);
        Ok(self.batches.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Writes down each step of a watermark; a stream that is no longer held is acknowledged to its end.
    pub(crate) fn note_holdings(&mut self, holdings: &Holdings, told: &Told<'_>) -> anyhow::Result<()> {
        let held: BTreeMap<_, _> = holdings
            .streams
            .iter()
            .map(|held| (StreamKey { epoch: held.epoch, lane: held.lane }, (held.acked, held.end)))
            .collect();
        let mut lines = String::new();
        let mut step = |key: &StreamKey, upto: u64| {
            let line = json!([key.epoch.to_string(), key.lane.to_string(), upto]);
            lines.push_str(&format!("{line}\n"));
        };
        for (key, (_, end)) in self.known.iter().filter(|(key, _)| !held.contains_key(key)) {
            step(key, *end);
        }
        for (key, (acked, _)) in &held {
            if self.known.get(key).is_none_or(|(before, _)| before != acked) && *acked > 0 {
                step(key, *acked);
            }
        }
        self.known = held;
        self.acknowledged.write_all(lines.as_bytes())?;
        if !lines.is_empty() || self.told.is_none_or(|told| told.elapsed() >= STATE_EVERY) {
            self.told = Some(Instant::now());
            self.tell(told)?;
        }
        Ok(())
    }

    fn tell(&self, told: &Told<'_>) -> anyhow::Result<()> {
        let n_unacknowledged: u64 = self.known.values().map(|(acked, end)| end.saturating_sub(*acked)).sum();
        let state = json!({
            "pid": std::process::id(),
            "round": told.round,
            "is_paused": told.is_paused,
            "made": Lane::ALL.map(|lane| self.made(lane)),
            "sealed": Lane::ALL.map(|lane| self.sealed(lane)),
            "unacknowledged": n_unacknowledged,
            "held_bytes": told.held_bytes,
            "shed": told.totals.iter().map(|totals| totals.shed).sum::<u64>(),
            "rejected": told.totals.iter().map(|totals| totals.rejected).sum::<u64>(),
            "session": match &*told.link.state().borrow() {
                State::Up { collector, .. } => collector.clone(),
                State::Down { reason, .. } => format!("none: {reason}"),
                State::Never => "none".to_owned(),
            },
        });
        let beside = self.folder.join("state.part");
        std::fs::write(&beside, state.to_string())?;
        Ok(std::fs::rename(beside, self.folder.join("state"))?)
    }
}

fn counter(file: &File, lane: Lane) -> u64 {
    let mut bytes = [0; 8];
    match file.read_exact_at(&mut bytes, lane as u64 * 8) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}
