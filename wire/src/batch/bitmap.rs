//! One bit for each row.

/// One bit for each row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// So many rows, all unset.
    pub fn new(n_rows: usize) -> Self {
        Self { words: vec![0; n_rows.div_ceil(64)] }
    }

    /// One bit for each of these.
    pub fn from_rows(rows: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::with_capacity(rows.size_hint().0.div_ceil(64));
        let (mut word, mut n) = (0, 0);
        for row in rows {
            word |= u64::from(row) << n;
            n += 1;
            if n == 64 {
                words.push(std::mem::take(&mut word));
                n = 0;
            }
        }
        if n > 0 {
            words.push(word);
        }
        Self { words }
    }

    /// Sets a row's bit, if there is such a row.
    pub fn set(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    /// Whether the row's bit is set.
    pub fn get(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The bits, 64 rows a word, the lowest first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_set_is_set() {
        let mut bitmap = Bitmap::new(70);
        bitmap.set(0);
        bitmap.set(69);
        bitmap.set(1000);
        assert_eq!((0..1001).filter(|&row| bitmap.get(row)).collect::<Vec<_>>(), [0, 69]);
        assert_eq!(bitmap, Bitmap::from_rows((0..70).map(|row| row % 69 == 0)));
    }
}
