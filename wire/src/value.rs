//! What a field can hold, owned and borrowed.

use std::net::IpAddr;

use bytes::Bytes;

use crate::time::WallTime;

/// The type of a field: what its column holds and which comparisons make sense.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FieldType {
    /// Bytes, compared whole or with wildcards. Not necessarily UTF-8.
    Keyword,
    /// A list of such byte strings; it matches when any of them does.
    KeywordList,
    /// A number from 0.
    Uint,
    /// A number of either sign.
    Int,
    /// True or false.
    Bool,
    /// An IPv4 or IPv6 address; IPv4-mapped forms are normalised before they get here.
    Ip,
    /// A wall-clock time.
    Time,
}

/// One field's value, owned.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// [`FieldType::Keyword`].
    Keyword(Bytes),
    /// [`FieldType::KeywordList`].
    List(Vec<Bytes>),
    /// [`FieldType::Uint`].
    Uint(u64),
    /// [`FieldType::Int`].
    Int(i64),
    /// [`FieldType::Bool`].
    Bool(bool),
    /// [`FieldType::Ip`].
    Ip(IpAddr),
    /// [`FieldType::Time`].
    Time(WallTime),
}

impl Value {
    /// The type of field this value belongs in.
    pub fn field_type(&self) -> FieldType {
        match self {
            Value::Keyword(_) => FieldType::Keyword,
            Value::List(_) => FieldType::KeywordList,
            Value::Uint(_) => FieldType::Uint,
            Value::Int(_) => FieldType::Int,
            Value::Bool(_) => FieldType::Bool,
            Value::Ip(_) => FieldType::Ip,
            Value::Time(_) => FieldType::Time,
        }
    }
}

impl From<&'static str> for Value {
    fn from(s: &'static str) -> Self {
        Value::Keyword(Bytes::from_static(s.as_bytes()))
    }
}

impl From<Bytes> for Value {
    fn from(b: Bytes) -> Self {
        Value::Keyword(b)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Value::Uint(n)
    }
}

impl From<IpAddr> for Value {
    fn from(ip: IpAddr) -> Self {
        Value::Ip(ip)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
