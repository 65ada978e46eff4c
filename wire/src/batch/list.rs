//! List values of a column: each distinct list once.

use super::error::{BatchError, bounded};
use super::strings::Strings;
use crate::limits::MAX_LIST_BYTES;

/// A column of lists. Each distinct list is kept once, so that what is worked out for it (such as
/// its command line) is worked out once.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// For each row the number of its list, from 1; 0 where absent.
    rows: Vec<u32>,
    /// Where each distinct list ends in `items`, with 0 before the first.
    ends: Vec<u32>,
    /// String numbers.
    items: Vec<u32>,
}

impl Lists {
    pub(super) fn new(rows: Vec<u32>, ends: Vec<u32>, items: Vec<u32>) -> Self {
        Self { rows, ends, items }
    }

    /// How many rows the column has.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// For each row the number of its list, from 1; 0 where absent.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// How many distinct lists there are: valid numbers are `1..=n_distinct`.
    pub fn n_distinct(&self) -> u32 {
        self.ends.len().saturating_sub(1) as u32
    }

    /// The string numbers of the list with this number; `None` for 0.
    pub fn distinct(&self, number: u32) -> Option<&[u32]> {
        let before = (number as usize).checked_sub(1)?;
        let (start, end) = (*self.ends.get(before)?, *self.ends.get(number as usize)?);
        self.items.get(start as usize..end as usize)
    }

    /// How many items each distinct list has.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.ends.windows(2).map(|ends| match ends {
            [start, end] => u64::from(end.saturating_sub(*start)),
            _ => 0,
        })
    }

    /// How many bytes the items of each distinct list have together, one more for each.
    pub(super) fn sizes(&self, strings: &Strings) -> impl Iterator<Item = u64> {
        let size = |number: u32| {
            let items = self.distinct(number).unwrap_or_default();
            items.iter().map(|&number| strings.get(number).map_or(0, <[u8]>::len) as u64 + 1).sum()
        };
        (1..=self.n_distinct()).map(size)
    }

    /// How many bytes the items of its distinct lists have together, one more for each.
    ///
    /// # Errors
    /// When one list has more than [`MAX_LIST_BYTES`].
    pub(super) fn n_bytes(&self, strings: &Strings) -> Result<u64, BatchError> {
        let mut total = 0;
        for n_bytes in self.sizes(strings) {
            bounded("size of a list", n_bytes, MAX_LIST_BYTES)?;
            total += n_bytes;
        }
        Ok(total)
    }

    /// The string numbers of a row's list; `None` where absent.
    pub fn row(&self, row: usize) -> Option<&[u32]> {
        self.distinct(*self.rows.get(row)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use bytes::Bytes;

    use super::*;
    use crate::batch::{Batch, Builder, strings};
    use crate::event::{Event, Kind, Row};
    use crate::field::Field;
    use crate::flat::fixture::seal;
    use crate::time::BootTime;
    use crate::value::Value;

    fn push(builder: &mut Builder, items: Vec<Bytes>) {
        let row = Row::default().with(Field::DnsAnswers, Value::List(items));
        builder.push(&Event { time: BootTime::default(), kind: Kind::EXEC, row }, None);
    }

    #[test]
    fn a_list_that_repeats_a_long_string_is_refused() {
        let long = vec![b'x'; 60 << 10];
        let (mut with_zeros, mut bytes) = (Vec::new(), Vec::new());
        strings::write(&mut with_zeros, &mut bytes, std::iter::once(long.as_slice()));
        let strings = Strings::read(1, &with_zeros, bytes.into()).unwrap();
        let lists = |n: u32| Lists::new(vec![1], vec![0, n], vec![1; n as usize]);
        assert_eq!(lists(4).n_bytes(&strings).unwrap(), 4 * (60 * 1024 + 1));
        assert!(matches!(lists(5).n_bytes(&strings), Err(BatchError::Limit { .. })));
    }

    #[test]
    fn builders_stay_within_what_readers_accept() {
        let mut builder = Builder::new();
        let long = Bytes::from(vec![b'x'; 60 << 10]);
        push(&mut builder, vec![long.clone(); 100]);
        let sealed = seal(&mut builder);
        let batch = Batch::validate(&sealed).unwrap();
        let (event, _) = batch.event(0).unwrap().unwrap();
        assert_eq!(event.row.get(Field::DnsAnswers), Some(&Value::List(vec![long.clone(); 4])));

        let mut n = 0u64;
        while !builder.is_full() {
            push(&mut builder, vec![long.clone(), long.clone(), Bytes::from(n.to_string())]);
            n += 1;
        }
        assert!(n < 400, "{n} lists of 120 KiB are more than a batch holds");
        Batch::validate(&seal(&mut builder)).unwrap();
    }
}
