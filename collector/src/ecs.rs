//! Events and findings as the Elastic Common Schema has them, version 8. Pure.
//!
//! Most of our fields bear ECS's names already (`wire::field`); here is what is written otherwise, nested and typed as ECS wants it.
//! What ECS has no field for stands below `vedette`, under our name.
//!
//! | module | holds |
//! |---|---|
//! | [`kinds`] | `event.kind`, `event.category` and `event.type` of every kind of events |
//! | [`table`] | where our fields stand |
//! | [`host`] | what all events of a batch share |
//! | [`event`] | an event, put together |
//! | [`finding`] | a finding of the collector's |

pub mod event;
pub mod finding;
pub mod host;
pub mod kinds;
pub mod table;

pub use event::Renderer;

/// The version of the schema.
pub const VERSION: &str = "8.17.0";
