//! The order of results.

use wire::id::EventId;
use wire::time::WallTime;

/// An event's place in the order of results: by its indexed time, then by its id. The greatest comes first.
///
/// The indexed time is `@timestamp`, or the time of receipt where the two are more than a day apart
/// ([`wire::time::indexed_time`]). No two events share a position, and an event keeps its own for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The indexed time.
    pub time: WallTime,
    /// The event.
    pub id: EventId,
}
