//! A condition on one field's value.

use std::ops::RangeInclusive;

use super::TextTest;
use super::address::AddressTest;
use crate::value::Value;

/// A condition on a value that is there; an absent one passes none.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// Any value.
    Exists,
    /// The text test with this number, for keywords; for lists, on any item.
    Text(usize),
    /// Within one of these, for numbers and (in ns since 1970) times.
    Numbers(Vec<RangeInclusive<i128>>),
    /// All of these bits are set, for bit masks.
    Bits(u64),
    /// This truth.
    Bool(bool),
    /// An address or a network.
    Address(AddressTest),
}

impl Test {
    /// Whether a value passes. `scratch` may hold anything.
    pub(super) fn matches(&self, value: &Value, texts: &[TextTest], scratch: &mut Vec<u8>) -> bool {
        match (self, value) {
            (Test::Exists, Value::List(items)) => !items.is_empty(),
            (Test::Exists, _) => true,
            (Test::Text(n), Value::Keyword(text)) => {
                texts.get(*n).is_some_and(|test| test.matches(text, scratch))
            }
            (Test::Text(n), Value::List(items)) => {
                texts.get(*n).is_some_and(|test| items.iter().any(|item| test.matches(item, scratch)))
            }
            (test, Value::Uint(n)) => test.matches_number(i128::from(*n)),
            (test, Value::Int(n)) => test.matches_number(i128::from(*n)),
            (test, Value::Time(t)) => test.matches_number(i128::from(t.unix_ns())),
            (Test::Bool(want), Value::Bool(found)) => want == found,
            (Test::Address(test), Value::Ip(address)) => test.matches(*address),
            _ => false,
        }
    }

    /// Whether a number, or a time in ns since 1970, passes.
    pub(super) fn matches_number(&self, number: i128) -> bool {
        match self {
            Test::Exists => true,
            Test::Numbers(ranges) => ranges.iter().any(|range| range.contains(&number)),
            Test::Bits(bits) => u64::try_from(number).is_ok_and(|number| number & bits == *bits),
            _ => false,
        }
    }

    /// The only number that passes, if there is only one.
    pub(super) fn single(&self) -> Option<u64> {
        match self {
            Test::Numbers(ranges) => match ranges.as_slice() {
                [range] if range.start() == range.end() => u64::try_from(*range.start()).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// One test that passes what either passes, where there is such a test.
    pub(super) fn or(&mut self, other: Test) -> Result<(), Test> {
        match (self, other) {
            (Test::Numbers(ranges), Test::Numbers(more)) => ranges.extend(more),
            (Test::Address(test), Test::Address(more)) => {
                test.addresses.extend(more.addresses);
                test.networks.extend(more.networks);
            }
            (_, other) => return Err(other),
        }
        Ok(())
    }
}
