//! Records: events and findings on their way to others' systems, in the schema that those speak. Pure.
//!
//! A [`Renderer`] makes records of one batch's events, [`finding`] of a finding; [`headers`] says what a broker is told beside. What
//! stands where in a schema is said in the rooms [`crate::ocsf`] and [`crate::ecs`], and of our own JSON in [`native`].
//!
//! | module | holds |
//! |---|---|
//! | [`mod@format`] | the schemas that records come in |
//! | [`group`] | what records are sorted under |
//! | [`name`] | the group and the type of a kind of events |
//! | [`facts`] | what is known of a host beside its name |
//! | [`by_kind`] | tables with a line for each kind of events |
//! | [`located`] | an event of a batch, with its place and its name |
//! | [`renderer`] | from a batch's events to records |
//! | [`mod@finding`] | a finding as it stands in the store, and its record |
//! | [`native`] | our own JSON, as the search prints it |
//! | [`header`] | what a broker is told beside: CloudEvents' headers |

use std::borrow::Cow;

use wire::id::HostId;
use wire::time::WallTime;

pub mod by_kind;
pub mod facts;
pub mod finding;
pub mod format;
pub mod group;
pub mod header;
pub mod located;
pub mod name;
pub mod native;
pub mod renderer;

pub use by_kind::ByKind;
pub use facts::HostFacts;
pub use finding::{Finding, finding};
pub use format::Format;
pub use group::Group;
pub use header::headers;
pub use located::Located;
pub use renderer::{MAX_RECORD_BYTES, Renderer};

/// An event or a finding, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRecord {
    /// What it is known by, for those who drop what comes twice: `event.id`; of a finding its id and how often it was found.
    pub id: String,
    /// What it belongs to.
    pub group: Group,
    /// The host it is about: what happened on one host stays in order.
    pub key: HostId,
    /// When it happened: `@timestamp`; of a finding when it was found last.
    pub time: WallTime,
    /// What it is: `vedette.process.exec`, `vedette.finding.tamper`, …
    pub class: Cow<'static, str>,
    /// One JSON object, without a line's end.
    pub value: Vec<u8>,
}
