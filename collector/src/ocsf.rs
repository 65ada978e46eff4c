//! Events and findings as the Open Cybersecurity Schema Framework has them, version 1.8.0. Pure.
//!
//! What becomes of an event is data: one table for each category of events ([`kinds`]), which says for each kind its class, its
//! activity and where its fields stand. A kind without a line there does not compile. `docs/ocsf.md` is written from the same
//! tables. What OCSF has no attribute for stands in `unmapped`, under our own name.
//!
//! | module | holds |
//! |---|---|
//! | [`class`] | the classes that events become |
//! | [`codes`] | OCSF's numbers and words for our texts |
//! | [`mapping`] | what becomes of a kind of events: class, activities, whose deed it is |
//! | [`kinds`] | that of every kind, one file a category |
//! | [`object`] | files, endpoints, connections: attributes that several kinds share |
//! | [`process`] | the process object, written once for each subject of a batch |
//! | [`device`] | what all events of a batch share: device, metadata |
//! | [`roles`] | who did it, and to which process |
//! | [`verdict`] | what rules decided (the security_control profile) |
//! | [`observable`] | the values that people pivot on |
//! | [`head`] | what every event and finding begins and ends with |
//! | [`event`] | an event, put together |
//! | [`finding`] | a finding of the collector's |
//! | [`reference`](mod@reference) | the text of `docs/ocsf.md` |

pub mod class;
pub mod codes;
pub mod device;
pub mod event;
pub mod finding;
pub mod head;
pub mod kinds;
pub mod mapping;
pub mod object;
pub mod observable;
pub mod process;
pub mod reference;
pub mod roles;
pub mod verdict;

pub use event::Renderer;

/// The version of the schema.
pub const VERSION: &str = "1.8.0";
