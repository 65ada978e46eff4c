//! Numbers as postcard writes them: LEB128, seven bits a byte, the lowest first.

use super::error::Flaw;

/// Appends `n`.
pub(super) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes [`put`] appends for `n`.
pub(super) fn width(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

/// A signed number as an unsigned one, small ones staying small.
pub(super) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The reverse of [`zigzag`].
pub(super) fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        let (&first, rest) = self.0.split_first().ok_or(Flaw("it ends too early"))?;
        self.0 = rest;
        Ok(first)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Flaw> {
        match *self.0 {
            [a, ref rest @ ..] if a < 0x80 => {
                self.0 = rest;
                Ok(u64::from(a))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.0 = rest;
                Ok(u64::from(a & 0x7f) | u64::from(b) << 7)
            }
            _ => self.long_varint(),
        }
    }

    pub(super) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Flaw("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Everything must have been read.
    pub(super) fn end(self) -> Result<(), Flaw> {
        if self.0.is_empty() { Ok(()) } else { Err(Flaw("bytes follow its end")) }
    }

    fn long_varint(&mut self) -> Result<u64, Flaw> {
        let mut n = 0;
        for (i, &byte) in self.0.iter().take(10).enumerate() {
            if i == 9 && byte > 1 {
                return Err(Flaw("a number is over 64 bits"));
            }
            n |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.0 = self.0.get(i + 1..).unwrap_or_default();
                return Ok(n);
            }
        }
        Err(Flaw("it ends too early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postcard_writes_them() {
        for n in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]) {
            let mut out = Vec::new();
            put(&mut out, n);
            assert_eq!(out, postcard::to_allocvec(&n).expect("a number can be encoded"));
            assert_eq!(out.len(), width(n));
            let mut input = Input::new(&out);
            assert_eq!(input.varint(), Ok(n));
            assert_eq!(input.end(), Ok(()));
        }
    }

    #[test]
    fn signs_alternate() {
        assert_eq!([0, -1, 1, -2, i64::MAX, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
        assert!([0, -1, 1, i64::MAX, i64::MIN].into_iter().all(|n| unzigzag(zigzag(n)) == n));
    }

    #[test]
    fn too_many_bits_are_refused() {
        assert!(Input::new(&[0xff; 10]).varint().is_err());
        assert!(Input::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint().is_err());
        assert!(Input::new(&[0x80, 0x80]).varint().is_err());
    }
}
