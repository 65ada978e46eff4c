//! The kinds of events, and the rows they are made of.
//!
//! A kind is a number on the wire; what this version knows about it (category, action, lane, the
//! columns it uses) stands in one file per category. System calls are a kind each. A number that is not known is still a value:
//! such events are stored, counted and shown by their number.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::Field;
use crate::id::Lane;
use crate::time::BootTime;
use crate::value::Value;

mod container;
mod dns;
mod escape;
mod file;
mod kernel;
mod network;
mod process;
mod sensor;
pub mod syscall;

/// What happened: `event.category` and `event.action`, as a number that is never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(u16);

/// What this version knows about a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// The kind.
    pub kind: Kind,
    /// `event.category`.
    pub category: &'static str,
    /// `event.action`.
    pub action: &'static str,
    /// The lane it travels in.
    pub lane: Lane,
    /// The event columns a sensor of this version fills (each may be absent in one event).
    pub columns: &'static [Field],
}

/// What this version knows of every kind but the system calls: one table a category. Constant, so that whoever has something to
/// say of every kind can have the compiler check that he does.
pub const CATEGORIES: [&[KindInfo]; 8] = [
    process::KINDS,
    file::KINDS,
    network::KINDS,
    dns::KINDS,
    kernel::KINDS,
    container::KINDS,
    escape::KINDS,
    sensor::KINDS,
];

impl Kind {
    /// The kind with this number, known or not.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Every kind this version knows, by category.
    pub fn known() -> impl Iterator<Item = &'static KindInfo> {
        CATEGORIES.into_iter().chain([syscall::KINDS.as_slice()]).flatten()
    }

    /// What this version knows about it, if anything.
    pub fn info(self) -> Option<&'static KindInfo> {
        match self.is_call() {
            true => syscall::info(self),
            false => Self::known().find(|info| info.kind == self),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info() {
            Some(info) => write!(f, "{}.{}", info.category, info.action),
            None => write!(f, "kind-{}", self.0),
        }
    }
}

/// Fields and their values, sorted by field, each at most once. An absent field has no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(Vec<(Field, Value)>);

impl Row {
    /// Sets a field, replacing what it had.
    ///
    /// # Panics
    /// In debug builds, when the value is not of the field's type.
    pub fn set(&mut self, field: Field, value: impl Into<Value>) {
        let value = value.into();
        debug_assert_eq!(field.field_type(), value.field_type(), "value of the wrong type for {field}");
        match self.0.binary_search_by_key(&field, |(f, _)| *f) {
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (field, value)),
        }
    }

    /// The same row with one more field.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    /// The field's value, if it has one.
    pub fn get(&self, field: Field) -> Option<&Value> {
        let at = self.0.binary_search_by_key(&field, |(f, _)| *f).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Leaves only the fields that are wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(Field) -> bool) {
        self.0.retain(|(field, _)| wanted(*field));
    }

    /// Its fields in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// Whether no field has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One event on its way into a batch: what the kernel saw, with its subject beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the hook ran.
    pub time: BootTime,
    /// What happened.
    pub kind: Kind,
    /// The values of the kind's columns (only fields whose place is [`crate::field::Place::Event`]).
    pub row: Row,
}

/// An event standing alone, with every field filled in: the batch's, the subject's, the parent's,
/// the ancestors' and the computed ones. What tail, export and the API show, and what the
/// predicate's evaluator over single events reads.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FlatEvent {
    /// All fields that have a value.
    pub row: Row,
}
