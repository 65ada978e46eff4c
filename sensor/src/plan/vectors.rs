//! Bit vectors over rows, each distinct one kept once.

use std::collections::HashMap;

use sensor_bpf::event::MATCH_WORDS;

/// A bit for each row's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vector(pub [u64; MATCH_WORDS as usize]);

impl Vector {
    /// The vector of these places.
    pub fn of(places: impl IntoIterator<Item = usize>) -> Self {
        let mut vector = Self::default();
        places.into_iter().for_each(|place| vector.set(place));
        vector
    }

    /// Puts a place in.
    pub fn set(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }
}

/// Distinct vectors, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    vectors: Vec<Vector>,
    numbers: HashMap<Vector, u32>,
}

impl Vectors {
    /// The number of this vector.
    pub(super) fn number(&mut self, vector: Vector) -> u32 {
        *self.numbers.entry(vector).or_insert_with(|| {
            self.vectors.push(vector);
            self.vectors.len() as u32 - 1
        })
    }

    pub(super) fn into_vec(self) -> Vec<Vector> {
        self.vectors
    }

    pub(super) fn len(&self) -> usize {
        self.vectors.len()
    }
}
