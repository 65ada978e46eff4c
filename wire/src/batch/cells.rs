//! The body of a column of numbers: a coding, then what that coding needs. A single number stands alone, and of
//! none nothing is written.
//!
//! | coding | then |
//! |---|---|
//! | 0 constant | the number that every row has |
//! | 1 plain | each row's number |
//! | 2 differences | each row's number less the one before it, zigzag |
//! | 3 fixed | how many bytes (1 to 8), then each row's number in so many, little endian |
//! | 4, 5 packed | each row's number in 1 or 2 bits, the first row's lowest |
//!
//! Numbers are varints. A reader that meets another coding in a column it knows refuses the batch.
//!
//! A column with a base (see [`super::directory`]) holds only the rows that differ from what the base
//! predicts: how many, how far each is after the one before it, and their numbers as above; nothing if none does.

use super::bits;
use super::error::Flaw;
use super::varint::{self, Input, unzigzag, zigzag};

const CONSTANT: u8 = 0;
const PLAIN: u8 = 1;
const DIFFERENCES: u8 = 2;
const FIXED: u8 = 3;
/// One bit a row; the next coding is two.
const PACKED: u8 = 4;
/// Up to so many rows are packed; of more rows of small numbers zstd makes less.
const PACKED_ROWS: usize = 64;

/// Stands for "no row" among the rows that predict others.
pub(super) const NO_ROW: u32 = u32::MAX;

/// Writes a number for each row, in the coding that needs the fewest bytes.
pub(super) fn write(out: &mut Vec<u8>, cells: &[u64]) {
    if let &[] | &[_] = cells {
        return cells.iter().for_each(|&cell| varint::put(out, cell));
    }
    let mut last = cells.first().copied().unwrap_or_default();
    let (mut plain, mut differences, mut bits, mut same) = (0, 0, 0, true);
    for &cell in cells {
        plain += varint::width(cell);
        differences += varint::width(difference(cell, last));
        bits |= cell;
        same &= cell == last;
        last = cell;
    }
    let width = (8 - bits.leading_zeros() as usize / 8).max(1);
    if same {
        out.push(CONSTANT);
        varint::put(out, last);
    } else if bits < 4 && cells.len() <= PACKED_ROWS {
        let n_bits = if bits < 2 { 1 } else { 2 };
        out.push(PACKED + n_bits - 1);
        bits::write(out, cells.iter().copied(), n_bits);
    } else if differences < plain && differences < cells.len() * width {
        out.push(DIFFERENCES);
        let mut last = 0;
        for &cell in cells {
            varint::put(out, difference(cell, last));
            last = cell;
        }
    } else if cells.len() * width < plain {
        out.extend_from_slice(&[FIXED, width as u8]);
        for cell in cells {
            out.extend_from_slice(cell.to_le_bytes().get(..width).unwrap_or_default());
        }
    } else {
        out.push(PLAIN);
        cells.iter().for_each(|&cell| varint::put(out, cell));
    }
}

/// Writes only the rows that differ from what their source rows say.
pub(super) fn write_exceptions(out: &mut Vec<u8>, rows: &[u32], codes: &[u64]) {
    if rows.is_empty() {
        return;
    }
    varint::put(out, rows.len() as u64);
    let mut next = 0;
    for &row in rows {
        varint::put(out, u64::from(row - next));
        next = row + 1;
    }
    write(out, codes);
}

/// Hands over each number of so many bytes, 1 to 8, little endian. One and two bytes are what most columns have.
fn fixed(bytes: &[u8], width: usize, mut each: impl FnMut(u64) -> Result<(), Flaw>) -> Result<(), Flaw> {
    match width {
        1 => bytes.iter().try_for_each(|&byte| each(u64::from(byte))),
        2 => bytes.as_chunks().0.iter().try_for_each(|&pair| each(u64::from(u16::from_le_bytes(pair)))),
        _ => bytes.chunks_exact(width).try_for_each(|bytes| {
            let mut cell = [0; 8];
            cell.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            each(u64::from_le_bytes(cell))
        }),
    }
}

/// Reads what [`write`] wrote for this many rows; `each` turns what is written into what it stands for.
pub(super) fn read<T: Copy>(
    input: &mut Input<'_>,
    n_rows: usize,
    mut each: impl FnMut(u64) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    match n_rows {
        0 => return Ok(Vec::new()),
        1 => return Ok(vec![each(input.varint()?)?]),
        _ => {}
    }
    let coding = input.byte()?;
    if let PACKED..=5 = coding {
        let n_bits = coding - PACKED + 1;
        return bits::read(input, n_rows, n_bits, each);
    }
    if coding == CONSTANT {
        let cell = input.varint()?;
        let mut cells = Vec::with_capacity(n_rows);
        for _ in 0..n_rows {
            cells.push(each(cell)?);
        }
        return Ok(cells);
    }
    // Room for the rows only once it is sure that the input can hold them.
    if n_rows > input.len() {
        return Err(Flaw("it has fewer values than rows"));
    }
    let mut cells = Vec::with_capacity(n_rows);
    match coding {
        PLAIN => {
            for _ in 0..n_rows {
                cells.push(each(input.varint()?)?);
            }
        }
        DIFFERENCES => {
            let mut last = 0u64;
            for _ in 0..n_rows {
                last = last.wrapping_add(unzigzag(input.varint()?) as u64);
                cells.push(each(last)?);
            }
        }
        FIXED => {
            let width = usize::from(input.byte()?);
            if !(1..=8).contains(&width) {
                return Err(Flaw("a width is not from 1 to 8 bytes"));
            }
            fixed(input.bytes(n_rows * width)?, width, |cell| {
                cells.push(each(cell)?);
                Ok(())
            })?;
        }
        _ => return Err(Flaw("its coding is unknown: the sender is newer")),
    }
    Ok(cells)
}

/// What predicts the rows of a column.
#[derive(Clone, Copy)]
pub(super) enum Predicted<'a> {
    /// For each row another one of the same column, before it.
    Rows(&'a [u32]),
    /// For each row a number.
    Numbers(&'a [u64]),
}

impl Predicted<'_> {
    fn len(self) -> usize {
        match self {
            Predicted::Rows(rows) => rows.len(),
            Predicted::Numbers(numbers) => numbers.len(),
        }
    }
}

/// Reads what [`write_exceptions`] wrote; every other row is as predicted.
pub(super) fn read_predicted<T: Copy + Default + TryFrom<u64>>(
    input: &mut Input<'_>,
    predicted: Predicted<'_>,
    each: impl FnMut(u64) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    let n_exceptions = if input.is_empty() { 0 } else { input.varint()? };
    if n_exceptions > predicted.len() as u64 || n_exceptions > input.len() as u64 {
        return Err(Flaw("it has more exceptions than rows"));
    }
    let mut exceptions = Vec::with_capacity(n_exceptions as usize);
    let mut row = 0u64;
    for _ in 0..n_exceptions {
        row = row.saturating_add(input.varint()?);
        if row >= predicted.len() as u64 {
            return Err(Flaw("an exception is beyond its rows"));
        }
        exceptions.push(row as usize);
        row += 1;
    }
    let values = read(input, exceptions.len(), each)?;
    let mut cells: Vec<T> = Vec::with_capacity(predicted.len());
    let mut exceptions = exceptions.into_iter().zip(values);
    let (mut next, mut value) = exceptions.next().unwrap_or((usize::MAX, T::default()));
    for row in 0..predicted.len() {
        if row == next {
            cells.push(value);
            (next, value) = exceptions.next().unwrap_or((usize::MAX, T::default()));
            continue;
        }
        let cell = match predicted {
            Predicted::Rows(rows) => rows.get(row).and_then(|&row| cells.get(row as usize).copied()),
            Predicted::Numbers(numbers) => numbers.get(row).and_then(|&number| T::try_from(number).ok()),
        };
        cells.push(cell.unwrap_or_default());
    }
    Ok(cells)
}

/// For each row the last row before it with the same number, else [`NO_ROW`]; all numbers are at most `most`.
pub(super) fn last_alike<T: Copy + Into<u64>>(cells: &[T], most: usize, n_rows: usize) -> Vec<u32> {
    let mut last = vec![NO_ROW; most + 1];
    let mut rows = Vec::with_capacity(n_rows);
    let cells = cells.iter().map(|&cell| cell.into()).chain(std::iter::repeat(0));
    for (row, cell) in cells.take(n_rows).enumerate() {
        rows.push(last.get_mut(cell as usize).map_or(NO_ROW, |last| std::mem::replace(last, row as u32)));
    }
    rows
}

fn difference(cell: u64, last: u64) -> u64 {
    zigzag(cell.wrapping_sub(last) as i64)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn coding_of(cells: &[u64]) -> (u8, usize) {
        let mut out = Vec::new();
        write(&mut out, cells);
        let mut input = Input::new(&out);
        assert_eq!(read(&mut input, cells.len(), Ok).unwrap(), cells);
        assert_eq!(input.end(), Ok(()));
        for end in 0..out.len() {
            assert!(read(&mut Input::new(out.get(..end).unwrap()), cells.len(), Ok).is_err(), "cut at {end}");
        }
        (*out.first().unwrap(), out.len())
    }

    #[test]
    fn the_shortest_coding_is_taken() {
        assert_eq!(coding_of(&[300, 300]), (CONSTANT, 3));
        assert_eq!(coding_of(&[u64::MAX; 100]), (CONSTANT, 11));
        assert_eq!(coding_of(&[1, 5, 2, 9]), (PLAIN, 5));
        assert_eq!(coding_of(&[0, 1, 1, 0, 1, 0, 1, 1, 1]), (PACKED, 3));
        assert_eq!(coding_of(&[3, 1, 2, 0, 2]), (PACKED + 1, 3));
        assert_eq!(coding_of(&[[1; 64], [0; 64]].concat()), (PLAIN, 129));
        assert_eq!(coding_of(&[1 << 40, (1 << 40) + 5, (1 << 40) + 3]), (DIFFERENCES, 9));
        assert_eq!(coding_of(&[0x8123_4567, 0xffee_ddcc, 0x9000_0001, 0xf123_4567]).0, FIXED);
        assert_eq!(coding_of(&[0, u64::MAX, 1 << 63, 1, u64::MAX / 3]).0, PLAIN);
    }

    #[test]
    fn none_and_one_need_no_coding() {
        let mut out = Vec::new();
        write(&mut out, &[]);
        assert!(out.is_empty());
        write(&mut out, &[u64::MAX]);
        assert_eq!(read(&mut Input::new(&out), 1, Ok).unwrap(), [u64::MAX]);
        assert!(read(&mut Input::new(&[]), 1, Ok).is_err());
    }

    #[test]
    fn only_what_was_not_predicted_is_written() {
        let sources = last_alike(&[7u32, 8, 7, 7, 8], 8, 6);
        assert_eq!(sources, [NO_ROW, NO_ROW, 0, 2, 1, NO_ROW]);
        let mut out = Vec::new();
        write_exceptions(&mut out, &[0, 3], &[50, 60]);
        let read = |sources: &[u32]| read_predicted(&mut Input::new(&out), Predicted::Rows(sources), Ok);
        assert_eq!(read(&sources).unwrap(), [50, 0, 50, 60, 0, 0]);
        assert!(read(&[NO_ROW; 3]).is_err());
        // A row can only be predicted from one before it, whatever a batch claims.
        assert_eq!(read(&[4; 5]).unwrap(), [50, 0, 0, 60, 0]);
        let numbers = read_predicted(&mut Input::new(&out), Predicted::Numbers(&[1, 2, 3, 4, 5]), Ok);
        assert_eq!(numbers.unwrap(), [50, 2, 3, 60, 5]);
    }
}
