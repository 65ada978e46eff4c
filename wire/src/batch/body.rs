//! A column's body: from a builder's cells to bytes, and from bytes to a typed vector.
//!
//! - Numbers (and times and truths): where rows hold the greatest number there is (the directory tells), how
//!   many and which, as differences; then each row's value plus one, 0 where absent, as [`super::cells`].
//! - Strings and addresses: each row's string: 0 absent, 1 the next one not used before, else its number
//!   plus one. Strings are numbered in the order in which the columns, as laid out, first use them; the
//!   directory tells how many each is the first to use.
//! - Lists: how many distinct ones, the length of each, their items like strings; then each row's list
//!   like a string.
//!
//! The rows of a column with a base are written as exceptions.

use super::bitmap::Bitmap;
use super::cells::{self, Predicted};
use super::column::{Column, Numbers};
use super::error::Flaw;
use super::interner::Interner;
use super::list::Lists;
use super::pending::Pending;
use super::varint::{self, Input, unzigzag};
use crate::limits::MAX_LIST_ITEMS;
use crate::time::WallTime;
use crate::value::FieldType;

/// Numbers given in the order of first use.
#[derive(Default)]
pub(super) struct FirstUse {
    /// By a string's number while building: its number in the batch, 0 if not used yet.
    numbers: Vec<u32>,
    /// The strings in their new order, by their old numbers.
    pub(super) order: Vec<u32>,
}

impl FirstUse {
    pub(super) fn reset(&mut self, n: usize) {
        self.numbers.clear();
        self.numbers.resize(n + 1, 0);
        self.order.clear();
    }

    /// The number of the next string that is used for the first time.
    pub(super) fn next(&self) -> u32 {
        self.order.len() as u32 + 1
    }

    /// What is written for an old number: 0 absent, 1 next, else its new number plus one.
    fn code(&mut self, old: u64) -> u64 {
        let next = self.next();
        match self.numbers.get_mut(old as usize) {
            _ if old == 0 => 0,
            Some(new) if *new != 0 => u64::from(*new) + 1,
            Some(new) => {
                *new = next;
                self.order.push(old as u32);
                1
            }
            None => 0,
        }
    }
}

/// What [`FirstUse`] wrote, read.
struct Resolve {
    next: u32,
    last: u32,
}

impl Resolve {
    fn number(&mut self, code: u64) -> Result<u32, Flaw> {
        let number = match code {
            0 => return Ok(0),
            1 => {
                let number = self.next;
                self.next = number.saturating_add(1);
                u64::from(number)
            }
            _ => code - 1,
        };
        if number == 0 || number > u64::from(self.last) {
            return Err(Flaw("it names a string there is not"));
        }
        Ok(number as u32)
    }
}

/// Which rows a column must write, and what predicts the others.
pub(super) struct Prediction {
    pub(super) base: u32,
    pub(super) exceptions: Vec<u32>,
}

/// Writes a column's body.
pub(super) fn write(
    out: &mut Vec<u8>,
    column: &Pending,
    prediction: Option<&Prediction>,
    strings: &mut FirstUse,
    lists: &Interner,
) {
    match column.field.field_type() {
        FieldType::Keyword | FieldType::Ip => {
            write_rows(out, &column.cells, prediction, |cell| strings.code(cell));
        }
        FieldType::KeywordList => write_lists(out, column, prediction, strings, lists),
        FieldType::Uint | FieldType::Int | FieldType::Bool | FieldType::Time => {
            if !column.escapes.is_empty() {
                varint::put(out, column.escapes.len() as u64);
                let mut last = 0;
                for &row in &column.escapes {
                    varint::put(out, u64::from(row - last));
                    last = row;
                }
            }
            write_rows(out, &column.cells, prediction, |cell| cell);
        }
    }
}

fn write_rows(
    out: &mut Vec<u8>,
    cells: &[u64],
    prediction: Option<&Prediction>,
    mut code: impl FnMut(u64) -> u64,
) {
    match prediction {
        None => cells::write(out, &cells.iter().map(|&cell| code(cell)).collect::<Vec<_>>()),
        Some(Prediction { exceptions, .. }) => {
            let cell = |&row: &u32| cells.get(row as usize).copied().unwrap_or_default();
            let codes: Vec<u64> = exceptions.iter().map(|row| code(cell(row))).collect();
            cells::write_exceptions(out, exceptions, &codes);
        }
    }
}

fn write_lists(
    out: &mut Vec<u8>,
    column: &Pending,
    prediction: Option<&Prediction>,
    strings: &mut FirstUse,
    lists: &Interner,
) {
    let mut used = FirstUse::default();
    used.reset(lists.len());
    let mut rows = Vec::new();
    write_rows(&mut rows, &column.cells, prediction, |cell| used.code(cell));
    varint::put(out, used.order.len() as u64);
    for &list in &used.order {
        varint::put(out, lists.get(list).len() as u64 / 4);
    }
    for &list in &used.order {
        for item in lists.get(list).as_chunks().0 {
            varint::put(out, strings.code(u64::from(u32::from_le_bytes(*item))));
        }
    }
    out.extend_from_slice(&rows);
}

/// The rows of a column: how many, and what predicts each where it has a base; and what else the directory says.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) n_rows: usize,
    /// The strings that the column is the first to use begin here.
    pub(super) first_new: u32,
    pub(super) has_escapes: bool,
    pub(super) predicted: Option<Predicted<'a>>,
}

impl Rows<'_> {
    fn read<T: Copy + Default + TryFrom<u64>>(
        self,
        input: &mut Input<'_>,
        each: impl FnMut(u64) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        match self.predicted {
            None => cells::read(input, self.n_rows, each),
            Some(predicted) => cells::read_predicted(input, predicted, each),
        }
    }
}

/// Reads a column's body.
pub(super) fn read(
    field_type: FieldType,
    body: &[u8],
    rows: Rows<'_>,
    n_strings: u32,
) -> Result<Column, Flaw> {
    let mut input = Input::new(body);
    let column = match field_type {
        FieldType::Keyword => Column::Keyword(read_strings(&mut input, rows, n_strings)?),
        FieldType::Ip => Column::Ip(read_strings(&mut input, rows, n_strings)?),
        FieldType::KeywordList => Column::List(read_lists(&mut input, rows, n_strings)?),
        FieldType::Uint => Column::Uint(read_numbers(&mut input, rows, |n| n)?),
        FieldType::Int => Column::Int(read_numbers(&mut input, rows, unzigzag)?),
        FieldType::Bool => Column::Bool(read_numbers(&mut input, rows, |n| n != 0)?),
        FieldType::Time => {
            Column::Time(read_numbers(&mut input, rows, |n| WallTime::from_unix_ns(unzigzag(n)))?)
        }
    };
    input.end()?;
    Ok(column)
}

fn read_strings(input: &mut Input<'_>, rows: Rows<'_>, n_strings: u32) -> Result<Vec<u32>, Flaw> {
    let mut resolve = Resolve { next: rows.first_new, last: n_strings };
    rows.read(input, |code| resolve.number(code))
}

fn read_lists(input: &mut Input<'_>, rows: Rows<'_>, n_strings: u32) -> Result<Lists, Flaw> {
    let n_lists = input.varint()? as usize;
    let mut resolve = Resolve { next: rows.first_new, last: n_strings };
    if n_lists > rows.n_rows || n_lists > input.len() {
        return Err(Flaw("it has more distinct lists than rows"));
    }
    let mut ends = Vec::with_capacity(n_lists + 1);
    let mut end = 0u64;
    ends.push(0);
    for _ in 0..n_lists {
        let length = input.varint()?;
        end += length;
        if length > u64::from(MAX_LIST_ITEMS) || end > input.len() as u64 {
            return Err(Flaw("a list has too many items"));
        }
        ends.push(end as u32);
    }
    if end > input.len() as u64 {
        return Err(Flaw("it ends too early"));
    }
    let mut items = Vec::with_capacity(end as usize);
    for _ in 0..end {
        match resolve.number(input.varint()?)? {
            0 => return Err(Flaw("an item of a list is absent")),
            number => items.push(number),
        }
    }
    let mut lists = Resolve { next: 1, last: n_lists as u32 };
    let rows = rows.read(input, |code| lists.number(code))?;
    Ok(Lists::new(rows, ends, items))
}

fn read_numbers<T: Copy + Default>(
    input: &mut Input<'_>,
    rows: Rows<'_>,
    value: impl Fn(u64) -> T,
) -> Result<Numbers<T>, Flaw> {
    let n_escapes = if rows.has_escapes { input.varint()? } else { 0 };
    if n_escapes > rows.n_rows as u64 || n_escapes > input.len() as u64 {
        return Err(Flaw("it has more exceptions than rows"));
    }
    let mut escapes = Vec::with_capacity(n_escapes as usize);
    let mut row = 0u64;
    for _ in 0..n_escapes {
        row = row.saturating_add(input.varint()?);
        if row >= rows.n_rows as u64 {
            return Err(Flaw("an exception is beyond its rows"));
        }
        escapes.push(row as usize);
    }
    let cells: Vec<u64> = rows.read(input, Ok)?;
    let mut values: Vec<T> =
        cells.iter().map(|&cell| if cell == 0 { T::default() } else { value(cell - 1) }).collect();
    let mut present = cells.contains(&0).then(|| Bitmap::from_rows(cells.iter().map(|&cell| cell != 0)));
    for row in escapes {
        if let (Some(slot), Some(present)) = (values.get_mut(row), present.as_mut()) {
            *slot = value(u64::MAX);
            present.set(row);
        }
    }
    Ok(Numbers { values, present })
}
