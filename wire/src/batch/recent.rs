//! Numbers that come back soon: a process that did one thing mostly did the one before it, too.
//!
//! Each number is written as 0 for 0, as 1 to 32 for its place among the last numbers used (the
//! last first), or as 33 plus, zigzag, how far it is beyond the one after the greatest used so far;
//! in [`super::cells`].

use super::cells;
use super::error::Flaw;
use super::varint::{Input, unzigzag, zigzag};

const N_RECENT: usize = 32;
const OTHER: u64 = N_RECENT as u64 + 1;

/// Writes a number for each row; all are at most `u32::MAX`.
pub(super) fn write(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    let mut recent = Recent::default();
    let codes: Vec<u64> = numbers
        .map(|number| {
            let place = recent.last.iter().position(|&other| other == number);
            match place {
                _ if number == 0 => 0,
                Some(place) => {
                    recent.promote(place, number);
                    place as u64 + 1
                }
                None => {
                    let beyond = i64::from(number) - i64::from(recent.greatest) - 1;
                    recent.promote(N_RECENT - 1, number);
                    OTHER + zigzag(beyond)
                }
            }
        })
        .collect();
    cells::write(out, &codes);
}

/// Reads what [`write`] wrote; numbers over `most` are refused.
pub(super) fn read(bytes: &[u8], n_rows: usize, most: u32) -> Result<Vec<u32>, Flaw> {
    let mut recent = Recent::default();
    let mut input = Input::new(bytes);
    let numbers = cells::read(&mut input, n_rows, |code| {
        if code == 0 {
            return Ok(0);
        }
        let place = code as usize - 1;
        let number = match recent.last.get(place) {
            // Most numbers are the last once more.
            Some(&number) if place == 0 => number,
            Some(&number) => {
                recent.promote(place, number);
                number
            }
            None => {
                let number = unzigzag(code - OTHER).saturating_add(i64::from(recent.greatest) + 1);
                let number = u32::try_from(number).map_err(|_| Flaw("it names a subject there is not"))?;
                recent.promote(N_RECENT - 1, number);
                number
            }
        };
        if number == 0 || number > most { Err(Flaw("it names a subject there is not")) } else { Ok(number) }
    })?;
    input.end()?;
    Ok(numbers)
}

#[derive(Default)]
struct Recent {
    last: [u32; N_RECENT],
    greatest: u32,
}

impl Recent {
    /// Puts a number first that was at `place`.
    fn promote(&mut self, place: usize, number: u32) {
        let place = place.min(N_RECENT - 1);
        self.last.copy_within(..place, 1);
        if let Some(first) = self.last.first_mut() {
            *first = number;
        }
        self.greatest = self.greatest.max(number);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(numbers: &[u32]) -> usize {
        let mut out = Vec::new();
        write(&mut out, numbers.iter().copied());
        assert_eq!(read(&out, numbers.len(), numbers.iter().copied().max().unwrap_or(0)).unwrap(), numbers);
        out.len()
    }

    #[test]
    fn what_comes_back_takes_a_byte() {
        let daemons: Vec<u32> = (0..1000).map(|n| 10_000 + n % 30).collect();
        assert!(check(&daemons) < 1100);
        assert_eq!(check(&(1..=1000).collect::<Vec<_>>()), 2, "each the next after the greatest");
        check(&[u32::MAX, 0, 1, u32::MAX, 0, 1]);
        check(&(0..5000).map(|n| n * 7919 % 300).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_there_are_not_are_refused() {
        let mut out = Vec::new();
        write(&mut out, [1, 2, 3].into_iter());
        assert!(read(&out, 3, 2).is_err());
        for code in [2, 32, 33 + zigzag(-1), 33 + zigzag(-2), u64::MAX, u64::MAX - 1, 1 << 40] {
            let mut out = Vec::new();
            cells::write(&mut out, &[code]);
            assert!(read(&out, 1, 10).is_err(), "{code}");
        }
    }
}
