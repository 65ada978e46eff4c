//! A batch's distinct strings.
//!
//! All strings lie end to end, each followed by a zero byte, so that neither a search nor a
//! dictionary's match stops at lengths. Those that hold a zero byte themselves are listed apart: how
//! many, and for each how far its number is after the one before it, and its length, as varints.

use bytes::Bytes;

use super::error::Flaw;
use super::varint::{self, Input};
use crate::limits::MAX_STRING_BYTES;

/// Writes strings in this order: the list of those with zeros, then all of them.
pub(super) fn write<'a>(
    with_zeros: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
    strings: impl Iterator<Item = &'a [u8]>,
) {
    let mut list = Vec::new();
    let (mut n, mut last) = (0, 0);
    for (string, number) in strings.zip(1..) {
        if memchr::memchr(0, string).is_some() {
            n += 1;
            varint::put(&mut list, number - last);
            varint::put(&mut list, string.len() as u64);
            last = number;
        }
        bytes.extend_from_slice(string);
        bytes.push(0);
    }
    varint::put(with_zeros, n);
    with_zeros.extend_from_slice(&list);
}

/// A batch's distinct strings: bytes, not necessarily UTF-8, in the order of their first use.
///
/// They are numbered from 1; 0 stands for an absent value. Addresses are strings of 4 or 16 bytes.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    bytes: Bytes,
    /// Where each string and its zero byte end, with 0 before the first; ascending, and the last is the
    /// length of `bytes`.
    ends: Vec<u32>,
}

impl Strings {
    pub(super) fn read(n: u32, with_zeros: &[u8], bytes: Bytes) -> Result<Self, Flaw> {
        if n as usize > bytes.len() {
            return Err(Flaw("it has fewer bytes than strings"));
        }
        let mut input = Input::new(with_zeros);
        let mut n_with_zeros = input.varint()?;
        let mut next = u64::MAX;
        if n_with_zeros > 0 {
            next = input.varint()?;
        }
        let mut ends = Vec::with_capacity(n as usize + 1);
        ends.push(0);
        let mut start = 0usize;
        for number in 1..=n {
            let rest = bytes.get(start..).unwrap_or_default();
            let length = if u64::from(number) == next {
                let length = input.varint()? as usize;
                n_with_zeros -= 1;
                next = if n_with_zeros > 0 { next.saturating_add(input.varint()?) } else { u64::MAX };
                if rest.get(length) != Some(&0) {
                    return Err(Flaw("a string does not end where it should"));
                }
                length
            } else {
                memchr::memchr(0, rest).ok_or(Flaw("a string does not end"))?
            };
            if length > MAX_STRING_BYTES as usize {
                return Err(Flaw("a string is too long"));
            }
            start += length + 1;
            ends.push(start as u32);
        }
        if n_with_zeros > 0 || start != bytes.len() {
            return Err(Flaw("its strings do not add up"));
        }
        input.end()?;
        Ok(Self { bytes, ends })
    }

    /// How many there are: valid numbers are `1..=len`.
    pub fn len(&self) -> u32 {
        self.ends.len().saturating_sub(1) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The string with this number; `None` for 0 and for numbers there are not.
    pub fn get(&self, number: u32) -> Option<&[u8]> {
        self.bytes.get(self.range(number)?)
    }

    /// The same without copying, sharing the batch's memory.
    pub fn shared(&self, number: u32) -> Option<Bytes> {
        let range = self.range(number)?;
        (range.end <= self.bytes.len()).then(|| self.bytes.slice(range))
    }

    /// All of them with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (1..=self.len()).filter_map(|number| Some((number, self.get(number)?)))
    }

    /// All strings end to end, each followed by a zero byte, for a search over everything at once;
    /// [`Strings::at`] tells whose a byte is.
    pub fn concatenated(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the string that holds this byte of [`Strings::concatenated`].
    pub fn at(&self, offset: usize) -> u32 {
        self.ends.partition_point(|&end| end as usize <= offset) as u32
    }

    /// Where the string with this number lies in [`Strings::concatenated`].
    pub fn range(&self, number: u32) -> Option<std::ops::Range<usize>> {
        let before = (number as usize).checked_sub(1)?;
        Some(*self.ends.get(before)? as usize..(*self.ends.get(number as usize)? as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn round_trip(strings: &[&[u8]]) -> Strings {
        let (mut with_zeros, mut bytes) = (Vec::new(), Vec::new());
        write(&mut with_zeros, &mut bytes, strings.iter().copied());
        for end in 0..with_zeros.len() {
            let cut = with_zeros.get(..end).unwrap();
            assert!(
                Strings::read(strings.len() as u32, cut, Bytes::from(bytes.clone())).is_err(),
                "cut at {end}"
            );
        }
        Strings::read(strings.len() as u32, &with_zeros, bytes.into()).unwrap()
    }

    #[test]
    fn a_byte_leads_to_its_string() {
        let strings = round_trip(&[b"ab", b"", b"\0c\0", b""]);
        assert_eq!(strings.len(), 4);
        assert_eq!(strings.concatenated(), b"ab\0\0\0c\0\0\0");
        assert_eq!((0..9).map(|i| strings.at(i)).collect::<Vec<_>>(), [1, 1, 1, 2, 3, 3, 3, 3, 4]);
        assert_eq!(strings.get(0), None);
        assert_eq!(strings.get(1), Some(&b"ab"[..]));
        assert_eq!(strings.get(2), Some(&b""[..]));
        assert_eq!(strings.get(3), Some(&b"\0c\0"[..]));
        assert_eq!(strings.get(4), Some(&b""[..]));
        assert_eq!(strings.get(5), None);
        assert_eq!(strings.iter().count(), 4);
        assert!(round_trip(&[]).is_empty());
    }

    #[test]
    fn strings_must_add_up() {
        let read = |n, with_zeros: &[u8], bytes: &'static [u8]| {
            Strings::read(n, with_zeros, Bytes::from_static(bytes))
        };
        assert!(read(1, &[0], b"abc\0").is_ok());
        assert!(read(1, &[0], b"abc").is_err());
        assert!(read(1, &[0], b"a\0b\0").is_err());
        assert!(read(2, &[0], b"a\0").is_err());
        assert!(read(1, &[0, 0], b"a\0").is_err());
        assert!(read(1, &[1, 1, 3], b"a\0b\0").is_ok());
        assert!(read(1, &[1, 1, 2], b"a\0b\0").is_err());
        assert!(read(1, &[1, 2, 1], b"a\0b\0").is_err());
        assert!(read(1, &[1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], b"a\0b\0").is_err());
        assert!(read(u32::MAX, &[0], b"\0").is_err());
    }
}
