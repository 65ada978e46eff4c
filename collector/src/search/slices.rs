//! Which bytes of which segments are read together.

use std::ops::Range;

use bytes::Bytes;

use crate::store::candidates::SegmentKey;

/// Ranges so near each other are read as one: a lookup costs about as much as so many bytes.
const GAP_BYTES: u32 = 4096;
/// One read returns at most so many bytes, unless a single range is longer.
const MAX_READ_BYTES: u32 = 4 << 20;

/// Reads that cover ranges, and where in them each range is found.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// What to read.
    pub(super) reads: Vec<(SegmentKey, Range<u32>)>,
    /// For each range, in the order they were given: the read that covers it.
    places: Vec<usize>,
}

impl Reads {
    /// `wanted`: neighbours in a segment follow each other, ascending.
    pub(super) fn cover(wanted: &[(SegmentKey, Range<u32>)]) -> Self {
        let mut all = Self::default();
        for (key, range) in wanted {
            match all.reads.last_mut() {
                Some((last_key, last))
                    if last_key == key
                        && range.start >= last.start
                        && range.start <= last.end.saturating_add(GAP_BYTES)
                        && range.end.saturating_sub(last.start) <= MAX_READ_BYTES =>
                {
                    last.end = last.end.max(range.end);
                }
                _ => all.reads.push((*key, range.clone())),
            }
            all.places.push(all.reads.len() - 1);
        }
        all
    }

    /// The bytes of each range out of what was read; `None` where the segment was gone or is shorter.
    pub(super) fn split(
        &self,
        wanted: &[(SegmentKey, Range<u32>)],
        read: &[Option<Bytes>],
    ) -> Vec<Option<Bytes>> {
        let one = |((_, range), place): (&(SegmentKey, Range<u32>), &usize)| {
            let (_, covering) = self.reads.get(*place)?;
            let bytes = read.get(*place)?.as_ref()?;
            let start = (range.start - covering.start) as usize;
            let end = (range.end - covering.start) as usize;
            (end <= bytes.len()).then(|| bytes.slice(start..end))
        };
        wanted.iter().zip(&self.places).map(one).collect()
    }
}

/// Those of `ranges` that no slice of a payload covers.
pub(super) fn missing(ranges: Vec<Range<u32>>, slices: &[(u32, Bytes)]) -> Vec<Range<u32>> {
    let covers = |range: &Range<u32>, (start, bytes): &(u32, Bytes)| {
        *start <= range.start && range.end <= start.saturating_add(bytes.len() as u32)
    };
    ranges
        .into_iter()
        .filter(|range| !range.is_empty() && !slices.iter().any(|slice| covers(range, slice)))
        .collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::Stamp;
    use crate::store::candidates::Place;

    fn key(n: u128) -> SegmentKey {
        let (received, latest) = (Stamp::from_unix_us(0), Stamp::from_unix_us(0));
        SegmentKey { place: Place::Fresh, bucket: 0, id: Uuid::from_u128(n), received, latest }
    }

    #[test]
    fn neighbours_are_read_as_one() {
        let wanted = [
            (key(1), 0..10),
            (key(1), 10..20),
            (key(1), 4_000..4_010),
            (key(1), 9_000..9_001),
            (key(2), 0..5),
        ];
        let reads = Reads::cover(&wanted);
        assert_eq!(reads.reads, [(key(1), 0..4_010), (key(1), 9_000..9_001), (key(2), 0..5)]);
        let all: Bytes = (0..4_010u32).map(|n| n as u8).collect();
        let read = [Some(all.clone()), None, Some(Bytes::from_static(b"1234"))];
        let found = reads.split(&wanted, &read);
        assert_eq!(
            found,
            [Some(all.slice(0..10)), Some(all.slice(10..20)), Some(all.slice(4_000..4_010)), None, None]
        );
    }

    #[test]
    fn what_is_there_is_not_read_again() {
        let slices = [(0, Bytes::from_static(&[0; 10])), (20, Bytes::from_static(&[0; 10]))];
        assert_eq!(missing(vec![0..10, 5..12, 22..30, 40..41, 7..7], &slices), [5..12, 40..41]);
    }
}
