//! Batches for tests, built by hand.

use bytes::Bytes;
use uuid::Uuid;

use super::Outer;
use crate::batch::{Batch, Boundary, Builder, Sealed};
use crate::event::{Event, Kind, Row};
use crate::field::Field;
use crate::id::{BootId, Epoch, HostId, Lane};
use crate::ledger::Ledger;
use crate::time::{BootTime, Clock, WallTime};
use crate::value::Value;

/// Seals what was built, as the first batch of a stream.
pub(crate) fn seal(builder: &mut Builder) -> Sealed {
    builder.seal(Boundary {
        epoch: Epoch::new(Uuid::nil()),
        lane: Lane::Critical,
        first_seq: 0,
        boot: BootId::new(Uuid::nil()),
        sealed: BootTime::default(),
        clock: Clock::default(),
        ledger: Ledger::default(),
        collection: [0; 16],
    })
}

/// One event, without a subject, for each of these rows.
pub(crate) fn events(kind: Kind, rows: impl IntoIterator<Item = Vec<(Field, Value)>>) -> Batch {
    let mut builder = Builder::new();
    for values in rows {
        let row = values.into_iter().fold(Row::default(), |row, (field, value)| row.with(field, value));
        builder.push(&Event { time: BootTime::default(), kind, row }, None);
    }
    Batch::open(&seal(&mut builder)).expect("a batch that was just built")
}

/// The host web-1.
pub(crate) fn host() -> Outer {
    Outer {
        host: HostId::new(Uuid::nil()),
        host_name: Bytes::from_static(b"web-1"),
        host_tags: vec![Bytes::from_static(b"env=prod")],
        received: WallTime::default(),
    }
}
