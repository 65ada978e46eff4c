//! Events standing alone: what tail, export and the API show of a batch's events.

use bytes::Bytes;

use crate::field::Field;
use crate::id::HostId;
use crate::time::WallTime;
use crate::value::Value;

#[cfg(test)]
pub(crate) mod arbitrary;
pub(crate) mod capability;
mod computed;
#[cfg(test)]
pub(crate) mod fixture;
mod flatten;
mod json;

pub use capability::names as capability_names;
pub use computed::{event_id, of_kind};
pub(crate) use computed::{network_type, of_header};
pub use flatten::{Flattener, flatten, subject_row};
pub use json::{escape, shown};

/// What is known of a batch that it does not hold itself: who sent it (from the certificate and the enrolment,
/// never from a message) and when it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The host.
    pub host: HostId,
    /// Its name when it connected.
    pub host_name: Bytes,
    /// The tags given at enrolment, as `key=value`.
    pub host_tags: Vec<Bytes>,
    /// When the collector received the batch.
    pub received: WallTime,
}

impl Outer {
    /// The value of a field that is the same for all events of a batch and known from outside it.
    pub(crate) fn value(&self, field: Field) -> Option<Value> {
        match field {
            Field::HostId => Some(Value::Keyword(self.host.to_string().into())),
            Field::HostName => Some(Value::Keyword(self.host_name.clone())),
            Field::HostTags if self.host_tags.is_empty() => None,
            Field::HostTags => Some(Value::List(self.host_tags.clone())),
            Field::EventIngested => Some(Value::Time(self.received)),
            _ => None,
        }
    }
}
