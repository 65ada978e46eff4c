//! Any bytes, as records of the kernel, through the whole of the sensor that is pure: decoded, understood, redacted, sealed,
//! and read back as whoever searches reads them.

use uuid::Uuid;
use vedette_sensor::account::Start;
use vedette_sensor::enrich::Origin;
use vedette_sensor::escape::Host;
use vedette_sensor::pipeline::{Pipeline, PipelineConfig};
use vedette_sensor::record::Record;
use vedette_sensor::redact::{Redaction, Redactor};
use vedette_sensor::seal::Bounds;
use vedette_sensor::table::Limits;
use vedette_sensor::user::Names;
use wire::batch::Batch;
use wire::flat::{Outer, flatten};
use wire::id::{BootId, Epoch, HostId};
use wire::time::{BootTime, WallTime};

/// The most records of one input.
const MAX_RECORDS: usize = 64;

/// The records of an input: each is its length in two bytes, little endian, and so many bytes.
pub(crate) fn records(mut input: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        records.push(record);
        input = rest;
    }
    records.truncate(MAX_RECORDS);
    records
}

/// An input of these records.
pub(crate) fn input<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut input = Vec::new();
    for record in records {
        let record = record.get(..usize::from(u16::MAX)).unwrap_or(record);
        input.extend((record.len() as u16).to_le_bytes());
        input.extend(record);
    }
    input
}

/// Feeds an input; gives how many events came of it.
///
/// # Panics
/// When a batch cannot be read back, or its ledger does not explain every record.
pub(crate) fn feed(input: &[u8]) -> usize {
    let host = HostId::new(Uuid::from_u128(1));
    let config = PipelineConfig {
        origin: Origin { host, boot: BootId::new(Uuid::from_u128(2)) },
        epoch: Epoch::new(Uuid::from_u128(3)),
        start: Start::Fresh,
        limits: Limits { hash_file_bytes: 1 << 20, container_names: true, ..Limits::default() },
        bounds: Bounds::default(),
        collection: [7; 16],
        redactor: Redactor::new(&Redaction::default()).expect("the built-in patterns are right"),
        host: Host { mnt: 1, pid: 2 },
    };
    let names = Names::default();
    let at = |seconds: u64| BootTime::from_ns(seconds * 1_000_000_000);
    let mut pipeline = Pipeline::new(config, at(0));
    for record in records(input) {
        let Ok(record) = Record::decode(record) else { continue };
        // The sensor takes it again after its process came; here it comes at once.
        let _ = pipeline.is_early(&record);
        pipeline.take(&record, &names, at(1));
    }
    // What was asked for is answered by nobody; gaps are given up, streams of DNS end.
    for seconds in [2, 30, 90] {
        pipeline.tick(&names, at(seconds));
        pipeline.heartbeat(&names, at(seconds));
    }
    pipeline.seal_all(&names, at(100));
    let outer = Outer {
        host,
        host_name: bytes::Bytes::from_static(b"host"),
        host_tags: Vec::new(),
        received: WallTime::default(),
    };
    let mut n_events = 0;
    while let Some(ready) = pipeline.next_batch() {
        let batch = Batch::validate(&ready.batch.sealed).expect("a batch of our own is valid");
        let header = batch.header();
        let stored = header.first_seq.saturating_add(u64::from(header.n_events));
        assert_eq!(header.ledger.residue(stored, 0), 0, "{:?} after {stored}", header.ledger);
        for number in 0..batch.n_events() {
            let event = flatten(&batch, &outer, number).expect("an event of our own can be read");
            if let Some(event) = event {
                serde_json::to_vec(&event.to_json()).expect("JSON has a text for it");
                n_events += 1;
            }
        }
    }
    n_events
}
