//! A table while its batch is built: the columns its rows have so far.

use std::net::IpAddr;

use super::interner::Interner;
use super::predict;
use super::varint::zigzag;
use crate::event::Row;
use crate::field::Field;
use crate::limits::{MAX_LIST_BYTES, MAX_LIST_ITEMS, MAX_STRING_BYTES};
use crate::value::{FieldType, Value};

/// What all tables of a batch draw their numbers from.
#[derive(Default)]
pub(super) struct Pools {
    pub(super) strings: Interner,
    /// Distinct lists, each as the numbers of its strings in little-endian bytes.
    pub(super) lists: Interner,
    /// What the distinct lists' items have together, in bytes, as the limits count them.
    pub(super) n_list_bytes: usize,
    scratch: Vec<u8>,
}

/// Rows so far.
#[derive(Default)]
pub(super) struct Table {
    pub(super) n_rows: usize,
    pub(super) columns: Vec<Pending>,
    /// By field number: the column's place in `columns`, plus one.
    places: Vec<u16>,
}

/// One column so far.
pub(super) struct Pending {
    pub(super) field: Field,
    /// For each row what it holds: 0 absent; else a string's or list's number, or a value plus one.
    /// Shorter than the table where the last rows have no value.
    pub(super) cells: Vec<u64>,
    /// The rows whose value is the one number that plus one would make 0; their cell is 0.
    pub(super) escapes: Vec<u32>,
}

impl Pools {
    pub(super) fn clear(&mut self) {
        self.strings.clear();
        self.lists.clear();
        self.n_list_bytes = 0;
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.strings.n_bytes() + self.lists.n_bytes() / 4
    }

    /// The bytes of a list's items, one more for each.
    pub(super) fn item_bytes(&self, list: &[u8]) -> u64 {
        let items = list.as_chunks().0.iter();
        items.map(|item| self.strings.get(u32::from_le_bytes(*item)).len() as u64 + 1).sum()
    }

    fn string(&mut self, string: &[u8]) -> u64 {
        let kept = string.get(..MAX_STRING_BYTES as usize).unwrap_or(string);
        u64::from(self.strings.number(kept))
    }

    /// The cell for a value; `None` for the number that has none.
    fn cell(&mut self, value: &Value) -> Option<u64> {
        let number = match value {
            Value::Keyword(string) => return Some(self.string(string)),
            Value::Ip(IpAddr::V4(ip)) => return Some(self.string(&ip.octets())),
            Value::Ip(IpAddr::V6(ip)) => return Some(self.string(&ip.octets())),
            Value::List(items) => {
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                let mut n_bytes = 0;
                for item in items.iter().take(MAX_LIST_ITEMS as usize) {
                    let n_item_bytes = item.len().min(MAX_STRING_BYTES as usize) + 1;
                    if n_bytes + n_item_bytes > MAX_LIST_BYTES as usize {
                        break;
                    }
                    n_bytes += n_item_bytes;
                    scratch.extend_from_slice(&(self.string(item) as u32).to_le_bytes());
                }
                let n_lists = self.lists.len();
                let number = self.lists.number(&scratch);
                if self.lists.len() > n_lists {
                    self.n_list_bytes += n_bytes;
                }
                self.scratch = scratch;
                return Some(u64::from(number));
            }
            Value::Uint(n) => *n,
            Value::Int(n) => zigzag(*n),
            Value::Bool(b) => u64::from(*b),
            Value::Time(t) => zigzag(t.unix_ns()),
        };
        number.checked_add(1)
    }
}

impl Pending {
    /// Whether its cells are strings, or lists of them.
    pub(super) fn has_strings(&self) -> bool {
        matches!(self.field.field_type(), FieldType::Keyword | FieldType::KeywordList | FieldType::Ip)
    }
}

impl Table {
    pub(super) fn push(&mut self, row: &Row, pools: &mut Pools) {
        for (field, value) in row.iter() {
            let cell = pools.cell(value);
            let n_rows = self.n_rows;
            let column = self.column(field);
            column.cells.resize(n_rows, 0);
            column.cells.push(cell.unwrap_or_default());
            if cell.is_none() {
                column.escapes.push(n_rows as u32);
            }
        }
        self.n_rows += 1;
    }

    /// Sets a value of a row that is there.
    pub(super) fn set(&mut self, row: usize, field: Field, value: &Value, pools: &mut Pools) {
        let cell = pools.cell(value);
        let column = self.column(field);
        if column.cells.len() <= row {
            column.cells.resize(row + 1, 0);
        }
        if let Some(slot) = column.cells.get_mut(row) {
            *slot = cell.unwrap_or_default();
        }
        column.escapes.retain(|at| *at as usize != row);
        if cell.is_none() {
            let at = column.escapes.partition_point(|at| (*at as usize) < row);
            column.escapes.insert(at, row as u32);
        }
    }

    pub(super) fn clear(&mut self) {
        self.n_rows = 0;
        for column in &mut self.columns {
            column.cells.clear();
            column.escapes.clear();
        }
    }

    /// Fills every column to the last row and puts them into their order; those without any value stay empty.
    pub(super) fn finish(&mut self) {
        self.columns.sort_by_key(|column| predict::order(column.field));
        for (place, column) in self.columns.iter_mut().enumerate() {
            if let Some(known) = self.places.get_mut(usize::from(column.field.number())) {
                *known = place as u16 + 1;
            }
            if !column.cells.is_empty() {
                column.cells.resize(self.n_rows, 0);
            }
        }
    }

    fn column(&mut self, field: Field) -> &mut Pending {
        let number = usize::from(field.number());
        if self.places.len() <= number {
            self.places.resize(number + 1, 0);
        }
        let known = self.places.get(number).copied().unwrap_or_default();
        let place = if known == 0 {
            self.columns.push(Pending { field, cells: Vec::new(), escapes: Vec::new() });
            let place = self.columns.len();
            if let Some(slot) = self.places.get_mut(number) {
                *slot = place as u16;
            }
            place
        } else {
            usize::from(known)
        };
        self.columns.get_mut(place - 1).expect("a column's place is where it was put")
    }
}
