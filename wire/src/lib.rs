//! What crosses the network between sensor and collector, and what it means.
//!
//! Everything here is pure: no sockets, no files, no database, no clock; the time is a parameter.
//! This crate must never import tokio, sqlx, aya or any other crate of this workspace.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | hosts, boots, epochs, lanes, streams, processes, events |
//! | [`time`] | the boot clock, the wall clock, and the correction between them |
//! | [`authority`] | how a fleet moves to its next certificate authority |
//! | [`enrolment`] | how a host gets its certificate and keeps it |
//! | [`field`] | the names of the query language, once |
//! | [`value`] | what a field can hold |
//! | [`event`] | the kinds of events, one file per category, and an event standing alone |
//! | [`subject`] | the process an event is about |
//! | [`batch`] | the unit of shipping, storing and searching: header, payload, digest chain |
//! | `sample` | generated host activity, for benchmarks and the dictionary (feature `sample`) |
//! | [`ledger`] | the counters that account for every record |
//! | [`query`] | the query language: text to tree, with errors that point |
//! | [`predicate`] | what a query means: over columns, over one event, and which terms can find it |
//! | [`decide`] | what a kernel can decide of a query, as rows of its tables |
//! | [`rule`] | rules: the query language with an action, and what can be wrong with one |
//! | [`term`] | the hashes that batches are found by |
//! | [`flat`] | events standing alone, and their JSON |
//! | [`frame`] | what is said on a connection between sensor and collector |
//! | [`home`] | where a host keeps its state |
//! | [`settings`] | what can be wrong with a program's settings |
//! | [`cause`] | an error with what caused it, in one line |
//! | [`limits`] | hard bounds on everything that comes from elsewhere |

pub mod authority;
pub mod batch;
pub mod cause;
pub mod decide;
pub mod enrolment;
pub mod event;
pub mod field;
pub mod flat;
pub mod frame;
pub mod home;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod predicate;
pub mod query;
pub mod rule;
#[cfg(feature = "sample")]
pub mod sample;
pub mod settings;
pub mod subject;
pub mod term;
pub mod time;
pub mod value;
