//! Batches for these tests, built by hand, and what is made of them.

use bytes::Bytes;
use serde_json::Value as Json;
use uuid::Uuid;
use vedette_collector::record::{ExportRecord, Format, HostFacts, Renderer};
use wire::batch::{Batch, Boundary, Builder};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::flat::Outer;
use wire::id::{BootId, Epoch, HostId, Lane, ProcessKey};
use wire::ledger::Ledger;
use wire::subject::{Subject, SubjectNumber};
use wire::time::{BootTime, Clock, WallTime};
use wire::value::Value;

use crate::strict::Strict;

/// Seals what was built, as a batch of a boot that began on 2023-11-14 at 22:13:20.
pub(crate) fn seal(builder: &mut Builder) -> Batch {
    let sealed = builder.seal(Boundary {
        epoch: Epoch::new(Uuid::from_u128(0x0199_c1de_93b4_7f00_8000_0000_0000_0001)),
        lane: Lane::Critical,
        first_seq: 1_000,
        boot: BootId::new(Uuid::from_u128(0x5c1e_77ab_40de_4a11_8000_0000_0000_0001)),
        sealed: BootTime::from_ns(20_000_000_000),
        clock: Clock {
            boot_to_wall_ns: 1_700_000_000_000_000_000,
            offset_ns: 2_500_000,
            uncertainty_ns: 100_000,
        },
        ledger: Ledger::default(),
        collection: [0xab; 16],
    });
    Batch::validate(&sealed).unwrap()
}

/// The host web-1.
pub(crate) fn outer() -> Outer {
    Outer {
        host: HostId::new(Uuid::from_u128(0x0197_c1de_93b4_7f00_8000_0000_0000_0001)),
        host_name: Bytes::from_static(b"web-1"),
        host_tags: vec![Bytes::from_static(b"env=prod")],
        received: WallTime::from_unix_ns(1_700_000_021_000_000_000),
    }
}

/// What it tells of itself.
pub(crate) fn facts() -> HostFacts {
    HostFacts {
        kernel: "6.12.0-amd64".to_owned(),
        arch: "x86_64".to_owned(),
        sensor_version: "0.1.0".to_owned(),
        address: Some("10.20.0.7:51234".to_owned()),
    }
}

/// A process that started so many seconds after the boot.
pub(crate) fn process(second: u64, pid: u32, parent: Option<SubjectNumber>, row: Row) -> Subject {
    let key = ProcessKey { start: BootTime::from_ns(second * 1_000_000_000 + 1), pid };
    Subject { key, image: 1, parent, is_new: true, row }
}

/// An event ten seconds after the boot.
pub(crate) fn event(kind: Kind, row: Row) -> Event {
    Event { time: BootTime::from_ns(10_123_456_789), kind, row }
}

/// A list of texts.
pub(crate) fn list(texts: &[&'static str]) -> Value {
    Value::List(texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect())
}

/// A batch with one event of a process without a parent.
pub(crate) fn of_one(kind: Kind, event_row: Row, subject_row: Row) -> Batch {
    let mut builder = Builder::new();
    let subject = builder.subject(&process(5, 77, None, subject_row));
    builder.push(&event(kind, event_row), Some(subject));
    seal(&mut builder)
}

/// All records of a batch.
pub(crate) fn records(format: Format, batch: &Batch) -> Vec<ExportRecord> {
    let (outer, facts) = (outer(), facts());
    let mut renderer = Renderer::new(format, batch, &outer, &facts);
    (0..batch.n_events()).map(|number| renderer.event(number).unwrap().unwrap()).collect()
}

/// The value of a record, in which no key comes twice.
pub(crate) fn json(record: &ExportRecord) -> Json {
    let wrong = |error| panic!("{error}: {}", String::from_utf8_lossy(&record.value));
    serde_json::from_slice::<Strict>(&record.value).unwrap_or_else(wrong);
    serde_json::from_slice(&record.value).unwrap()
}

/// The record of the only event of a batch, in OCSF.
pub(crate) fn only(batch: &Batch) -> Json {
    let records = records(Format::Ocsf, batch);
    assert_eq!(records.len(), 1);
    json(&records[0])
}

/// A row of these.
pub(crate) fn row<const N: usize>(values: [(Field, Value); N]) -> Row {
    values.into_iter().fold(Row::default(), |row, (field, value)| row.with(field, value))
}
