//! The kernel's look-ups, as `event.h` has them, over a slot's bytes: what the programs are compared with in tests.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use sensor_bpf::event::{
    MATCH_ACCESS, MATCH_ANCHOR_END, MATCH_ANCHOR_START, MATCH_CALL, MATCH_CHECKED, MATCH_EXECUTABLE,
    MATCH_KIND, MATCH_PATH, MATCH_ROWS, MATCH_TARGET, MATCH_TEXT_MAX, MATCH_USER, MATCH_WORDS, match_checks,
    match_header, match_number_key, match_pattern, match_vector,
};
use zerocopy::{FromBytes, IntoBytes};

use super::image::{Image, text_key};

/// What the kernel knows of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) kind: u64,
    pub(super) user: Option<u32>,
    /// The number of a system call.
    pub(super) call: Option<u32>,
    /// 0: the event has none.
    pub(super) access: u8,
    pub(super) executable: Option<Vec<u8>>,
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
}

/// A slot that decides.
pub(super) struct Kernel<'a> {
    image: &'a Image,
    slot: u32,
    header: match_header,
}

type Words = [u64; MATCH_WORDS as usize];

impl<'a> Kernel<'a> {
    pub(super) fn new(image: &'a Image, slot: u32) -> Self {
        Self { image, slot, header: match_header::read_from_bytes(&image.header).unwrap() }
    }

    /// Whether an event is shipped.
    pub(super) fn wants(&self, seen: &Seen) -> bool {
        if self.header.generation == 0 {
            return true;
        }
        let mut left = [0; MATCH_WORDS as usize];
        left[..self.header.n_words as usize].fill(u64::MAX);
        self.and(&mut left, self.number(MATCH_KIND, seen.kind));
        let mut number = |dim: u32, value: Option<u64>| {
            if self.header.uses & 1 << dim != 0 {
                let absent = self.header.absent[dim as usize];
                self.and(&mut left, value.map_or(absent, |value| self.number(dim, value)));
            }
        };
        number(MATCH_USER, seen.user.map(u64::from));
        number(MATCH_CALL, seen.call.map(u64::from));
        number(MATCH_ACCESS, (seen.access != 0).then_some(seen.access.into()));
        for dim in [MATCH_EXECUTABLE, MATCH_PATH, MATCH_TARGET] {
            if self.header.uses & 1 << dim != 0 {
                let absent = self.header.absent[dim as usize];
                self.and(&mut left, seen.text(dim).map_or(absent, |text| self.text(dim, text)));
            }
        }
        let checked = self.vector(self.header.checked);
        (0..MATCH_WORDS as usize).any(|w| {
            let unchecked = left[w] & !checked[w];
            let mut rest = left[w] & checked[w];
            for _ in 0..MATCH_CHECKED {
                if rest == 0 {
                    break;
                }
                let row = w as u32 * 64 + rest.trailing_zeros();
                rest &= rest - 1;
                if self.row_holds(row, seen) {
                    return true;
                }
            }
            // Rows that were not looked at count as matching.
            unchecked != 0 || rest != 0
        })
    }

    fn number(&self, dim: u32, value: u64) -> u32 {
        let key = match_number_key { slot: self.slot, dim, value };
        let found = self.image.numbers.get(<&[u8; 16]>::try_from(key.as_bytes()).unwrap());
        *found.unwrap_or(&self.header.otherwise[dim as usize])
    }

    /// `BPF_MAP_TYPE_LPM_TRIE`: of the entries whose first bits are those of the key, the one with the most.
    fn text(&self, dim: u32, text: &[u8]) -> u32 {
        let text = [text, b"\0"].concat();
        let text = &text[..text.len().min(MATCH_TEXT_MAX as usize)];
        let mut key = text_key(self.slot as u8, dim as u8, text);
        loop {
            if let Some(vector) = self.image.texts.get(<&[u8; 260]>::try_from(key.as_bytes()).unwrap()) {
                return *vector;
            }
            if key.bits == 32 {
                return self.header.otherwise[dim as usize];
            }
            key.bits -= 8;
            key.text[key.bits as usize / 8 - 4] = 0;
        }
    }

    fn row_holds(&self, row: u32, seen: &Seen) -> bool {
        let bytes = self.image.checks[&(self.slot * MATCH_ROWS + row)];
        let checks = match_checks::read_from_bytes(&bytes).unwrap();
        checks.checks[..checks.n_checks as usize].iter().all(|check| {
            let pattern =
                match_pattern::read_from_bytes(&self.image.patterns[&check.pattern.into()]).unwrap();
            seen.text(check.dim.into()).is_some_and(|text| has(&pattern, text)) != (check.negated != 0)
        })
    }

    fn and(&self, left: &mut Words, vector: u32) {
        left.iter_mut().zip(self.vector(vector)).for_each(|(left, word)| *left &= word);
    }

    fn vector(&self, number: u32) -> Words {
        match_vector::read_from_bytes(&self.image.vectors[&number]).unwrap().words
    }
}

impl Seen {
    fn text(&self, dim: u32) -> Option<&[u8]> {
        match dim {
            MATCH_EXECUTABLE => self.executable.as_deref(),
            MATCH_PATH => self.path.as_deref(),
            MATCH_TARGET => self.target.as_deref(),
            _ => panic!("no text: {dim}"),
        }
    }
}

/// Stretches in order, each as early as it can be had.
fn has(pattern: &match_pattern, text: &[u8]) -> bool {
    let n = usize::from(pattern.n_pieces);
    let mut begun = 0;
    for piece in 0..n {
        let first = if piece == 0 { 0 } else { pattern.ends[piece - 1].into() };
        let bytes = &pattern.bytes[first..pattern.ends[piece].into()];
        let is_first = piece == 0 && u32::from(pattern.anchors) & MATCH_ANCHOR_START != 0;
        let is_last = piece == n - 1 && u32::from(pattern.anchors) & MATCH_ANCHOR_END != 0;
        let at = match (is_first, is_last) {
            (true, true) => (bytes.len() == text.len()).then_some(0),
            (true, false) => Some(0),
            (false, true) => text.len().checked_sub(bytes.len()).filter(|at| *at >= begun),
            (false, false) => (begun..=text.len()).find(|at| text[*at..].starts_with(bytes)),
        };
        match at {
            Some(at) if text[at..].starts_with(bytes) => begun = at + bytes.len(),
            _ => return false,
        }
    }
    true
}
