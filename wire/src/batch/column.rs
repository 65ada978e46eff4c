//! A column: one field's values over the rows of a table, as a typed vector.

use std::net::IpAddr;

use super::bitmap::Bitmap;
use super::list::Lists;
use super::strings::Strings;
use crate::time::WallTime;
use crate::value::{FieldType, Value};

/// One field's values over the rows of a group or of the subject table, in their order.
#[derive(Clone, Debug)]
pub enum Column {
    /// [`FieldType::Keyword`]: string numbers, 0 where absent.
    Keyword(Vec<u32>),
    /// [`FieldType::KeywordList`].
    List(Lists),
    /// [`FieldType::Uint`].
    Uint(Numbers<u64>),
    /// [`FieldType::Int`].
    Int(Numbers<i64>),
    /// [`FieldType::Bool`].
    Bool(Numbers<bool>),
    /// [`FieldType::Ip`]: string numbers of 4 or 16 bytes, 0 where absent.
    Ip(Vec<u32>),
    /// [`FieldType::Time`].
    Time(Numbers<WallTime>),
}

/// Values of a plain type, with which of them are there.
#[derive(Clone, Debug, Default)]
pub struct Numbers<T> {
    /// One for each row; the type's default where absent.
    pub values: Vec<T>,
    /// Which rows have a value; `None` if all have.
    pub present: Option<Bitmap>,
}

impl<T: Copy> Numbers<T> {
    /// The row's value, if it has one.
    pub fn get(&self, row: usize) -> Option<T> {
        let value = *self.values.get(row)?;
        self.present.as_ref().is_none_or(|present| present.get(row)).then_some(value)
    }

    /// Every row's value.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> {
        (0..self.values.len()).map(|row| self.get(row))
    }
}

impl Column {
    /// The type of field it belongs to.
    pub fn field_type(&self) -> FieldType {
        match self {
            Column::Keyword(_) => FieldType::Keyword,
            Column::List(_) => FieldType::KeywordList,
            Column::Uint(_) => FieldType::Uint,
            Column::Int(_) => FieldType::Int,
            Column::Bool(_) => FieldType::Bool,
            Column::Ip(_) => FieldType::Ip,
            Column::Time(_) => FieldType::Time,
        }
    }

    /// How many rows it has.
    pub fn n_rows(&self) -> usize {
        match self {
            Column::Keyword(numbers) | Column::Ip(numbers) => numbers.len(),
            Column::List(lists) => lists.n_rows(),
            Column::Uint(numbers) => numbers.values.len(),
            Column::Int(numbers) => numbers.values.len(),
            Column::Bool(numbers) => numbers.values.len(),
            Column::Time(numbers) => numbers.values.len(),
        }
    }

    /// One row's value, materialised; `None` where absent.
    pub fn value(&self, row: usize, strings: &Strings) -> Option<Value> {
        Some(match self {
            Column::Keyword(numbers) => Value::Keyword(strings.shared(*numbers.get(row)?)?),
            Column::Ip(numbers) => Value::Ip(address(strings.get(*numbers.get(row)?)?)?),
            Column::List(lists) => {
                let items = lists.row(row)?;
                Value::List(items.iter().filter_map(|&number| strings.shared(number)).collect())
            }
            Column::Uint(numbers) => Value::Uint(numbers.get(row)?),
            Column::Int(numbers) => Value::Int(numbers.get(row)?),
            Column::Bool(numbers) => Value::Bool(numbers.get(row)?),
            Column::Time(numbers) => Value::Time(numbers.get(row)?),
        })
    }
}

/// The address that 4 or 16 bytes stand for; `None` for any other number of bytes.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
