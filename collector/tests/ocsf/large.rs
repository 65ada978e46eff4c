//! An event that is too long for a broker is cut, and says so.

use bytes::Bytes;
use vedette_collector::record::{Format, MAX_RECORD_BYTES};
use wire::batch::{Batch, Builder};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::value::Value;

use crate::schema::check;
use crate::world::{event, json, process, records, row, seal};

#[test]
fn a_record_that_is_too_long_is_cut_and_still_valid() {
    for format in Format::ALL {
        let mut records = records(format, &long());
        let (last, first) = (records.pop().unwrap(), records.pop().unwrap());
        assert!(first.value.len() <= MAX_RECORD_BYTES, "{format}: {} bytes", first.value.len());
        let cut = json(&first);
        let whole_bytes = match format {
            Format::Ocsf => &cut["metadata"]["untruncated_size"],
            Format::Ecs => &cut["vedette"]["untruncated_bytes"],
            Format::Native => &cut["event"]["truncated"]["bytes"],
        };
        assert!(whole_bytes.as_u64().unwrap() > MAX_RECORD_BYTES as u64, "{format}: {whole_bytes}");
        if format == Format::Ocsf {
            assert_eq!(cut["metadata"]["is_truncated"], true);
            check(&cut);
        }
        // What was cut does not cut the events after it.
        assert!(last.value.len() > 60_000, "{format}: {} bytes", last.value.len());
    }
}

#[test]
fn many_long_processes_do_not_pile_up() {
    let mut builder = Builder::new();
    for pid in 0..400 {
        let subject = builder.subject(&process(u64::from(pid), pid, None, arguments()));
        builder.push(&event(Kind::EXEC, Row::default()), Some(subject));
    }
    let records = records(Format::Ocsf, &seal(&mut builder));
    let n_bytes: usize = records.iter().map(|record| record.value.len()).sum();
    assert!(n_bytes > 32 << 20, "only {n_bytes} bytes: what is kept was never given up");
    check(&json(&records[399]));
}

/// An argument of 60,000 bytes that JSON shows with six for each, and as many as fit into a list.
fn arguments() -> Row {
    row([(Field::ProcessArgs, Value::List(vec![Bytes::from(vec![b'x'; 60_000]); 2]))])
}

/// An event with too many bytes, and one with fewer, of the same process.
fn long() -> Batch {
    let mut builder = Builder::new();
    let control = Value::List(vec![Bytes::from(vec![1; 60_000]); 4]);
    let long = builder.subject(&process(1, 1, None, row([(Field::ProcessArgs, control)])));
    builder.push(&event(Kind::EXEC, Row::default()), Some(long));
    let shorter = builder.subject(&process(2, 2, None, arguments()));
    builder.push(&event(Kind::EXEC, Row::default()), Some(shorter));
    seal(&mut builder)
}
