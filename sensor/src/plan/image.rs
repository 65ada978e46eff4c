//! The tables in one slot, byte for byte as they stand in the kernel's maps.

use std::collections::BTreeMap;

use sensor_bpf::event::{
    MATCH_ANCHOR_END, MATCH_ANCHOR_START, MATCH_PATTERNS, MATCH_ROWS, MATCH_SLOTS, MATCH_TEXT_MAX,
    MATCH_VECTORS, match_checks, match_checks_match_check, match_header, match_number_key, match_pattern,
    match_text_key, match_vector,
};
use wire::decide::Pattern;
use zerocopy::{FromZeros, IntoBytes};

use super::tables::{RowCheck, Tables};

/// What a slot holds: of each map the keys and values that belong to it. Arrays are listed as far as they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The slot's `match_header`.
    pub header: [u8; size_of::<match_header>()],
    /// `match_numbers`, by `match_number_key`.
    pub numbers: BTreeMap<[u8; size_of::<match_number_key>()], u32>,
    /// `match_texts`, by `match_text_key`.
    pub texts: BTreeMap<[u8; size_of::<match_text_key>()], u32>,
    /// `match_vectors`.
    pub vectors: BTreeMap<u32, [u8; size_of::<match_vector>()]>,
    /// `match_patterns`.
    pub patterns: BTreeMap<u32, [u8; size_of::<match_pattern>()]>,
    /// `match_checks`.
    pub checks: BTreeMap<u32, [u8; size_of::<match_checks>()]>,
}

impl Tables {
    /// These tables in a slot (from 0), to decide as this generation (from 1).
    pub fn image(&self, slot: u32, generation: u64) -> Image {
        let vector_at = |number: u32| slot * (MATCH_VECTORS / MATCH_SLOTS) + number;
        let pattern_at = |number: u32| slot * (MATCH_PATTERNS / MATCH_SLOTS) + number;
        let header = match_header {
            generation,
            uses: self.uses,
            checked: vector_at(self.checked),
            n_words: self.n_words() as u32,
            reserved: 0,
            otherwise: self.otherwise.map(vector_at),
            absent: self.absent.map(vector_at),
        };
        let numbers = self.numbers.iter().map(|((dim, value), vector)| {
            let key = match_number_key { slot, dim: dim.number(), value: *value };
            (bytes(&key), vector_at(*vector))
        });
        let texts = self.texts.iter().map(|((dim, text), vector)| {
            (bytes(&text_key(slot as u8, dim.number() as u8, text)), vector_at(*vector))
        });
        let vectors = (0..).zip(&self.vectors);
        let patterns = (0..).zip(&self.patterns);
        let checks = self.checks.iter().map(|(place, checks)| {
            (slot * MATCH_ROWS + place, bytes(&checks_of(checks, |n| pattern_at(n.into()) as u16)))
        });
        Image {
            header: bytes(&header),
            numbers: numbers.collect(),
            texts: texts.collect(),
            vectors: vectors.map(|(n, v)| (vector_at(n), bytes(&match_vector { words: v.0 }))).collect(),
            patterns: patterns.map(|(n, pattern)| (pattern_at(n), bytes(&pattern_of(pattern)))).collect(),
            checks: checks.collect(),
        }
    }
}

impl Image {
    /// Where the checks of these rows stand.
    pub fn rows(slot: u32, words: &[u64]) -> impl Iterator<Item = u32> {
        let places = (0u32..).zip(words).flat_map(|(n, word)| {
            (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| n * 64 + bit)
        });
        places.map(move |place| slot * MATCH_ROWS + place)
    }
}

/// The key under which a text is put, or looked up.
pub(super) fn text_key(slot: u8, dim: u8, text: &[u8]) -> match_text_key {
    let mut key = match_text_key::new_zeroed();
    (key.slot, key.dim) = (slot, dim);
    let n = text.len().min(MATCH_TEXT_MAX as usize);
    key.bits = 32 + 8 * n as u32;
    key.text.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    key
}

fn pattern_of(pattern: &Pattern) -> match_pattern {
    let mut written = match_pattern::new_zeroed();
    written.n_pieces = pattern.pieces.len() as u16;
    let anchor = |is: bool, bit: u32| if is { bit as u16 } else { 0 };
    written.anchors = anchor(pattern.at_start, MATCH_ANCHOR_START) | anchor(pattern.at_end, MATCH_ANCHOR_END);
    let mut end = 0;
    for (to, piece) in written.ends.iter_mut().zip(&pattern.pieces) {
        end += piece.len() as u16;
        *to = end;
    }
    written.bytes.iter_mut().zip(pattern.pieces.iter().flatten()).for_each(|(to, from)| *to = *from);
    written
}

fn checks_of(checks: &[RowCheck], pattern_at: impl Fn(u16) -> u16) -> match_checks {
    let mut written = match_checks { n_checks: checks.len() as u32, ..Default::default() };
    for (to, check) in written.checks.iter_mut().zip(checks) {
        *to = match_checks_match_check {
            pattern: pattern_at(check.pattern),
            dim: check.dim.number() as u8,
            negated: check.negated.into(),
        };
    }
    written
}

fn bytes<const N: usize>(value: &(impl IntoBytes + zerocopy::Immutable)) -> [u8; N] {
    let mut bytes = [0; N];
    let written = value.write_to(&mut bytes);
    debug_assert!(written.is_ok(), "the struct has another size");
    bytes
}
