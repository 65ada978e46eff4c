//! How fields become attributes of somebody else's JSON: tables, and the one writer that follows them. Pure.
//!
//! A schema's mapping is data: [`Attribute`]s that name their fields, so that what is written, what is left for the
//! schema's catch-all object, and the reference in `docs/` come from the same tables. Nothing is built up in memory on the way:
//! values go straight into the bytes of a record, and what many records share is written once and spliced.
//!
//! | module | holds |
//! |---|---|
//! | [`attribute`] | an attribute, and where its value comes from |
//! | [`field_set`] | which fields a table has a place for |
//! | [`form`] | in which form a value stands there |
//! | [`writer`] | JSON, as it is written |
//! | [`follow`](mod@follow) | writes what a table says |
//! | [`nested`](mod@nested) | writes a row as nested objects |
//! | [`rest`](mod@rest) | writes what no table has a place for |

pub mod attribute;
pub mod field_set;
pub mod follow;
pub mod form;
pub mod nested;
pub mod rest;
pub mod writer;

pub use attribute::{Attribute, From};
pub use field_set::FieldSet;
pub use follow::{Given, follow, is_of_events};
pub use form::{Codes, Form};
pub use nested::nested;
pub use rest::{is_left, rest, rest_of_subject};
pub use writer::Writer;
