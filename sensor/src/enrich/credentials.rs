//! Changes of credentials and of namespaces.

use bytes::Bytes;
use wire::event::Row;
use wire::field::Field;
use wire::value::Value;

use super::set_outcome;
use crate::record::{Credentials, Ids, Move};

/// Fields of one state: effective user, real user, effective group, effective capabilities.
type Fields = [Field; 4];

const BEFORE: Fields = [
    Field::ProcessOldUserId,
    Field::ProcessOldRealUserId,
    Field::ProcessOldGroupId,
    Field::ProcessOldCapabilities,
];
const AFTER: Fields = [
    Field::ProcessNewUserId,
    Field::ProcessNewRealUserId,
    Field::ProcessNewGroupId,
    Field::ProcessNewCapabilities,
];

/// The values of a change of credentials.
pub(super) fn row(changed: &Credentials) -> Row {
    let mut row = Row::default();
    set_outcome(&mut row, changed.error);
    row.set(Field::EventSource, if changed.before.is_some() { "kernel" } else { "syscall" });
    if let Some(before) = changed.before {
        set(&mut row, BEFORE, before);
    }
    set(&mut row, AFTER, changed.after);
    row
}

fn set(row: &mut Row, fields: Fields, ids: Ids) {
    let values = [ids.euid.into(), ids.uid.into(), ids.egid.into(), ids.capabilities];
    fields.into_iter().zip(values).for_each(|(field, value): (Field, u64)| row.set(field, value));
}

/// The values of a change of namespaces.
pub(super) fn place_row(moved: &Move) -> Row {
    let after = moved.after;
    let mut row = Row::default()
        .with(Field::EventSource, if moved.before.is_some() { "kernel" } else { "syscall" })
        .with(Field::NamespaceMnt, u64::from(after.mnt))
        .with(Field::NamespacePid, u64::from(after.pid))
        .with(Field::NamespaceNet, u64::from(after.net))
        .with(Field::NamespaceUser, u64::from(after.user));
    let changed: Vec<Bytes> =
        moved.changed().into_iter().map(|kind| Bytes::from_static(kind.as_bytes())).collect();
    if !changed.is_empty() {
        row.set(Field::NamespaceChanged, Value::List(changed));
    }
    row
}
