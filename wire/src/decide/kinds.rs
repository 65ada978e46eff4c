//! Which kinds of event a kernel decides on, and what they may have.

use crate::event::Kind;
use crate::field::{Field, Place};

/// Every kind that this version knows.
pub(super) fn known() -> impl Iterator<Item = Kind> {
    Kind::known().map(|info| info.kind)
}

/// Whether events of this kind are shipped whatever a collection says: the life of processes, as every other event
/// names its process by it, that of containers, and what a sensor says of itself.
pub fn is_always_shipped(kind: Kind) -> bool {
    let is_life = matches!(kind, Kind::FORK | Kind::EXEC | Kind::EXIT);
    is_life || matches!(kind, Kind::CONTAINER_START | Kind::CONTAINER_STOP) || is_own(kind)
}

/// Whether an event of this kind can have this field.
pub(super) fn may_have(kind: Kind, field: Field) -> bool {
    match field.place() {
        Place::Event => kind.info().is_some_and(|info| info.columns.contains(&field)),
        Place::Subject => !is_own(kind),
        _ => true,
    }
}

/// Whether it is a sensor's own: those have no subject.
fn is_own(kind: Kind) -> bool {
    kind.info().is_some_and(|info| info.category == "sensor")
}
