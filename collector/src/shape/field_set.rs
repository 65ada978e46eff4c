//! A set of fields, by number.

use wire::field::Field;

/// Which fields a table has a place for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldSet([u64; 4]);

impl FieldSet {
    /// No field.
    pub const EMPTY: Self = Self([0; 4]);

    /// The same with one field more.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        let [mut a, mut b, mut c, mut d] = self.0;
        let bit = 1 << (field.number() % 64);
        match field.number() / 64 {
            0 => a |= bit,
            1 => b |= bit,
            2 => c |= bit,
            3 => d |= bit,
            _ => panic!("fields have numbers below 256; a higher one needs a larger set"),
        }
        Self([a, b, c, d])
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// Whether the field is in it.
    pub const fn has(self, field: Field) -> bool {
        let [a, b, c, d] = self.0;
        let word = match field.number() / 64 {
            0 => a,
            1 => b,
            2 => c,
            3 => d,
            _ => 0,
        };
        word >> (field.number() % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        for &field in Field::ALL {
            let set = FieldSet::EMPTY.with(field);
            let others = Field::ALL.iter().filter(|other| set.has(**other));
            assert_eq!(others.collect::<Vec<_>>(), [&field]);
            assert!(set.union(FieldSet::EMPTY).has(field));
        }
    }
}
