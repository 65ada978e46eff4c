//! Search: from a query's text to events, newest first.
//!
//! What is decided is decided in pure files; [`engine`] alone talks to the store.
//!
//! | file | holds |
//! |---|---|
//! | [`request`] | what is asked, and its checking |
//! | `when` | times as people write them |
//! | [`fleet`] | the hosts' names and tags, as searches see them |
//! | `terms` | the terms that a segment must have to be looked at |
//! | [`position`] | the order of results, and `cursor`: where a search goes on |
//! | `newest` | the newest of what was found |
//! | `frontier` | which segments come next, and when no more can matter |
//! | `slices` | which bytes of which segments are read together |
//! | `examine` | one batch, looked through |
//! | `survey` | everything about what was found at once |
//! | `gather` | what is kept of what was found: events, `histogram`, `top` values |
//! | [`engine`] | the driver: connections, threads, deadlines |
//!
//! A search meets every batch that was stored when it began exactly once, although the merger moves batches
//! meanwhile (see [`crate::store::candidates`]).

mod cursor;
pub mod engine;
mod examine;
pub mod fleet;
mod frontier;
mod gather;
mod histogram;
mod newest;
pub mod position;
pub mod request;
mod slices;
mod survey;
mod terms;
mod top;
mod when;

pub use engine::{Answer, Engine, Failure, Outcome, Progress, Stats};
pub use fleet::Fleet;
pub use histogram::Bucket;
pub use position::Position;
pub use request::{Gathering, Request, RequestError, Search};
pub use survey::Survey;
pub use top::Top;
pub use when::parse as moment;
