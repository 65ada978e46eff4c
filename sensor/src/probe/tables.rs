//! The collection in the kernel: what of the shared maps belongs to which slot, and the switch between the two.
//!
//! The slot that does not decide is filled, then the switch is set: a run of a program reads it once, so it sees all of the old
//! collection or all of the new one. What the old one had is removed only when no run can read it any more.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use sensor_bpf::event::{
    MATCH_SLOTS, SYSCALL_NUMBERS, match_checks, match_header, match_number_key, match_pattern,
    match_text_key, match_vector,
};
use tracing::debug;
use zerocopy::FromBytes;

use super::ProbeError;
use super::pins::Pins;
use crate::plan::{Image, Tables};
use crate::sys;

/// How long is waited where the kernel cannot be asked whether all runs have ended: none takes so long.
const NO_RUN_TAKES: Duration = Duration::from_secs(1);

type Number = [u8; size_of::<match_number_key>()];
/// A key of the trie without its length.
type Text = [u8; size_of::<match_text_key>() - 4];

pub(super) struct TableMaps {
    active: Array<MapData, u32>,
    headers: Array<MapData, [u8; size_of::<match_header>()]>,
    numbers: HashMap<MapData, Number, u32>,
    texts: LpmTrie<MapData, Text, u32>,
    vectors: Array<MapData, [u8; size_of::<match_vector>()]>,
    patterns: Array<MapData, [u8; size_of::<match_pattern>()]>,
    checks: Array<MapData, [u8; size_of::<match_checks>()]>,
    calls: Array<MapData, u32>,
    /// What was set last, by this sensor, with its slot and generation.
    set: Option<(Tables, u32, u64)>,
}

impl TableMaps {
    pub(super) fn open(pins: &Pins) -> Result<Self, ProbeError> {
        let failed = |name| move |source| failed(name, source);
        let array = |name| pins.map(name).map(Map::Array);
        Ok(Self {
            active: array(ACTIVE)?.try_into().map_err(failed(ACTIVE))?,
            headers: array(HEADERS)?.try_into().map_err(failed(HEADERS))?,
            numbers: Map::HashMap(pins.map(NUMBERS)?).try_into().map_err(failed(NUMBERS))?,
            texts: Map::LpmTrie(pins.map(TEXTS)?).try_into().map_err(failed(TEXTS))?,
            vectors: array(VECTORS)?.try_into().map_err(failed(VECTORS))?,
            patterns: array(PATTERNS)?.try_into().map_err(failed(PATTERNS))?,
            checks: array(CHECKS)?.try_into().map_err(failed(CHECKS))?,
            calls: array(CALLS)?.try_into().map_err(failed(CALLS))?,
            set: None,
        })
    }

    /// Makes these tables decide; returns their generation.
    pub(super) fn set(&mut self, tables: &Tables) -> Result<u64, ProbeError> {
        let active = self.active_slot()?;
        let generation = self.fill_idle(tables)?;
        let calls = places().filter_map(|place| Some((place, *tables.calls.get(&place)?)));
        self.set_calls(calls)?;
        self.active.set(0, 1 - active, 0).map_err(|source| failed(ACTIVE, source))?;
        self.set = Some((tables.clone(), 1 - active, generation));
        wait_for_runs();
        self.clear(active)?;
        self.set_calls(places().map(|place| (place, kind_at(tables, place))))?;
        Ok(generation)
    }

    fn set_calls(&mut self, mut calls: impl Iterator<Item = (u32, u32)>) -> Result<(), ProbeError> {
        calls
            .try_for_each(|(place, kind)| self.calls.set(place, kind, 0))
            .map_err(|source| failed(CALLS, source))
    }

    fn has_calls(&self, tables: &Tables) -> Result<bool, ProbeError> {
        for place in places() {
            let kind = self.calls.get(&place, 0).map_err(|source| failed(CALLS, source))?;
            if kind != kind_at(tables, place) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what was set decides; `thorough`: with all that belongs to it.
    pub(super) fn is_intact(&self, thorough: bool) -> Result<bool, ProbeError> {
        let Some((tables, slot, generation)) = &self.set else { return Ok(true) };
        if self.active_slot()? != *slot {
            return Ok(false);
        }
        if thorough {
            return Ok(self.read()? == Some(tables.image(*slot, *generation)) && self.has_calls(tables)?);
        }
        Ok(self.generation(*slot)? == *generation)
    }

    /// Sets what was set last once more.
    pub(super) fn set_again(&mut self) -> Result<(), ProbeError> {
        match self.set.clone() {
            Some((tables, ..)) => self.set(&tables).map(drop),
            None => Ok(()),
        }
    }

    /// Puts these tables into the slot that does not decide; returns their generation.
    pub(super) fn fill_idle(&mut self, tables: &Tables) -> Result<u64, ProbeError> {
        let active = self.active_slot()?;
        let idle = 1 - active;
        // A sensor that died may have switched a moment ago, or have filled half of the slot.
        wait_for_runs();
        self.clear(idle)?;
        let generation = self.generation(active)?.max(self.generation(idle)?) + 1;
        self.fill(idle, &tables.image(idle, generation))?;
        Ok(generation)
    }

    /// How many keys there are in the slot that does not decide.
    pub(super) fn n_left_over(&self) -> Result<usize, ProbeError> {
        let idle = 1 - self.active_slot()?;
        Ok(self.numbers_of(idle)?.len() + self.texts_of(idle)?.len())
    }

    /// What the slot that decides holds, as far as a program can get at it. `None`: no collection was set.
    pub(super) fn read(&self) -> Result<Option<Image>, ProbeError> {
        let slot = self.active_slot()?;
        let header_bytes = self.header(slot)?;
        let Ok(header) = match_header::read_from_bytes(&header_bytes) else { return Ok(None) };
        if header.generation == 0 {
            return Ok(None);
        }
        let numbers = self.numbers_of(slot)?.into_iter().map(|key| Ok((key, self.numbers.get(&key, 0)?)));
        let numbers = numbers.collect::<Result<_, _>>().map_err(|source| failed(NUMBERS, source))?;
        let texts = self.texts_of(slot)?.into_iter().map(|key| Ok((whole(&key), self.texts.get(&key, 0)?)));
        let texts = texts.collect::<Result<_, _>>().map_err(|source| failed(TEXTS, source))?;
        let mut image = Image {
            header: header_bytes,
            numbers,
            texts,
            vectors: Default::default(),
            patterns: Default::default(),
            checks: Default::default(),
        };
        let named = header.otherwise.iter().chain(&header.absent).chain([&header.checked]);
        let named: BTreeSet<u32> =
            named.chain(image.numbers.values()).chain(image.texts.values()).copied().collect();
        for number in named {
            let vector = self.vectors.get(&number, 0).map_err(|source| failed(VECTORS, source))?;
            image.vectors.insert(number, vector);
        }
        let checked =
            image.vectors.get(&header.checked).and_then(|bytes| match_vector::read_from_bytes(bytes).ok());
        for row in Image::rows(slot, &checked.unwrap_or_default().words) {
            let bytes = self.checks.get(&row, 0).map_err(|source| failed(CHECKS, source))?;
            image.checks.insert(row, bytes);
            let Ok(checks) = match_checks::read_from_bytes(&bytes) else { continue };
            for check in checks.checks.iter().take(checks.n_checks as usize) {
                let number = check.pattern.into();
                let pattern = self.patterns.get(&number, 0).map_err(|source| failed(PATTERNS, source))?;
                image.patterns.insert(number, pattern);
            }
        }
        Ok(Some(image))
    }

    fn fill(&mut self, slot: u32, image: &Image) -> Result<(), ProbeError> {
        for (number, vector) in &image.vectors {
            self.vectors.set(*number, vector, 0).map_err(|source| failed(VECTORS, source))?;
        }
        for (number, pattern) in &image.patterns {
            self.patterns.set(*number, pattern, 0).map_err(|source| failed(PATTERNS, source))?;
        }
        for (row, checks) in &image.checks {
            self.checks.set(*row, checks, 0).map_err(|source| failed(CHECKS, source))?;
        }
        for (key, vector) in &image.numbers {
            self.numbers.insert(key, vector, 0).map_err(|source| failed(NUMBERS, source))?;
        }
        for (key, vector) in &image.texts {
            self.texts.insert(&apart(key), vector, 0).map_err(|source| failed(TEXTS, source))?;
        }
        self.headers.set(slot, image.header, 0).map_err(|source| failed(HEADERS, source))
    }

    /// Removes a slot's keys. What stands in the arrays nothing leads to then; the header's generation is kept, as it only goes up.
    fn clear(&mut self, slot: u32) -> Result<(), ProbeError> {
        for key in self.numbers_of(slot)? {
            self.numbers.remove(&key).map_err(|source| failed(NUMBERS, source))?;
        }
        for key in self.texts_of(slot)? {
            self.texts.remove(&key).map_err(|source| failed(TEXTS, source))?;
        }
        Ok(())
    }

    fn numbers_of(&self, slot: u32) -> Result<Vec<Number>, ProbeError> {
        let keys: Result<Vec<Number>, _> = self.numbers.keys().collect();
        let mut keys = keys.map_err(|source| failed(NUMBERS, source))?;
        keys.retain(|key| match_number_key::read_from_bytes(key).is_ok_and(|key| key.slot == slot));
        Ok(keys)
    }

    fn texts_of(&self, slot: u32) -> Result<Vec<Key<Text>>, ProbeError> {
        let keys: Result<Vec<Key<Text>>, _> = self.texts.keys().collect();
        let mut keys = keys.map_err(|source| failed(TEXTS, source))?;
        keys.retain(|key| key.data().first().is_some_and(|byte| u32::from(*byte) == slot));
        Ok(keys)
    }

    fn active_slot(&self) -> Result<u32, ProbeError> {
        let active = self.active.get(&0, 0).map_err(|source| failed(ACTIVE, source))?;
        Ok(active.min(MATCH_SLOTS - 1))
    }

    fn header(&self, slot: u32) -> Result<[u8; size_of::<match_header>()], ProbeError> {
        self.headers.get(&slot, 0).map_err(|source| failed(HEADERS, source))
    }

    fn generation(&self, slot: u32) -> Result<u64, ProbeError> {
        Ok(match_header::read_from_bytes(&self.header(slot)?).map_or(0, |header| header.generation))
    }
}

const ACTIVE: &str = "match_active";
const HEADERS: &str = "match_headers";
const NUMBERS: &str = "match_numbers";
const TEXTS: &str = "match_texts";
const VECTORS: &str = "match_vectors";
const PATTERNS: &str = "match_patterns";
const CHECKS: &str = "match_checks";
const CALLS: &str = "match_calls";

/// Every place of a system call.
fn places() -> Range<u32> {
    0..2 * SYSCALL_NUMBERS
}

/// The kind that is asked for at a place; 0: none.
fn kind_at(tables: &Tables, place: u32) -> u32 {
    tables.calls.get(&place).copied().unwrap_or_default()
}

fn failed(name: &'static str, source: MapError) -> ProbeError {
    ProbeError::Map { name, source: Box::new(source) }
}

/// Returns when every run that has begun by now has ended.
pub(super) fn wait_for_runs() {
    if let Err(error) = sys::wait_for_rcu() {
        debug!(%error, "the kernel cannot be asked whether its programs' runs have ended: waiting instead");
        std::thread::sleep(NO_RUN_TAKES);
    }
}

/// The length of a trie's key apart from the rest, as aya has it.
fn apart(key: &[u8; size_of::<match_text_key>()]) -> Key<Text> {
    let mut data = [0; size_of::<Text>()];
    data.iter_mut().zip(key.iter().skip(4)).for_each(|(to, from)| *to = *from);
    let [a, b, c, d, ..] = *key;
    Key::new(u32::from_ne_bytes([a, b, c, d]), data)
}

fn whole(key: &Key<Text>) -> [u8; size_of::<match_text_key>()] {
    let mut bytes = [0; size_of::<match_text_key>()];
    let all = key.prefix_len().to_ne_bytes().into_iter().chain(key.data());
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    bytes
}
