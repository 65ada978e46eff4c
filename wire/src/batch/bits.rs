//! Small numbers, several to a byte, the first in the lowest bits.

use super::error::Flaw;
use super::varint::Input;

/// Appends numbers of `n_bits` (1, 2 or 4) each.
pub(super) fn write(out: &mut Vec<u8>, numbers: impl Iterator<Item = u64>, n_bits: u8) {
    let (mut byte, mut filled) = (0, 0);
    for number in numbers {
        byte |= (number as u8) << filled;
        filled += n_bits;
        if filled == 8 {
            out.push(byte);
            (byte, filled) = (0, 0);
        }
    }
    if filled > 0 {
        out.push(byte);
    }
}

/// Reads what [`write()`] wrote.
pub(super) fn read<T>(
    input: &mut Input<'_>,
    n: usize,
    n_bits: u8,
    mut each: impl FnMut(u64) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    let per_byte = 8 / usize::from(n_bits);
    let bytes = input.bytes(n.div_ceil(per_byte))?;
    let mut numbers = Vec::with_capacity(n);
    for (byte, at) in bytes.iter().zip((0..n).step_by(per_byte)) {
        let mut rest = *byte;
        for _ in at..n.min(at + per_byte) {
            numbers.push(each(u64::from(rest & ((1 << n_bits) - 1)))?);
            rest >>= n_bits;
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for n_bits in [1, 2, 4] {
            for n in 0..20 {
                let numbers: Vec<u64> = (0..n).map(|n| n * 7 % (1 << n_bits)).collect();
                let mut out = Vec::new();
                write(&mut out, numbers.iter().copied(), n_bits);
                assert_eq!(out.len(), (n as usize * usize::from(n_bits)).div_ceil(8));
                assert_eq!(read(&mut Input::new(&out), n as usize, n_bits, Ok), Ok(numbers));
                assert!(read(&mut Input::new(&out), 8 * out.len() + 1, n_bits, Ok).is_err());
            }
        }
    }
}
