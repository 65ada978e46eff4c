//! Batches of every released version are read as on the day they were written.
//!
//! `tests/golden/vN/*.batch` hold a header's length (u32, little endian), the header and the payload;
//! `*.txt` what is in them. They are never made again. `UPDATE_GOLDEN=1` writes those that are missing.
//!
//! What is compared with today's encoder is the payload before compression: another version of zstd
//! may compress the same bytes otherwise.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write;
use std::path::PathBuf;

use bytes::Bytes;
use wire::batch::{Batch, Boundary, Builder, Header, Sealed, decompressed, restored};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::sample::{Host, Mix};
use wire::subject::SubjectNumber;
use wire::value::Value;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

/// The committed batch, or, where there is none and updating is asked for, this one.
fn golden(name: &str, make: impl FnOnce() -> Sealed) -> Sealed {
    let path = path(&format!("{name}.batch"));
    if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        let sealed = make();
        let length = (sealed.header.len() as u32).to_le_bytes();
        std::fs::write(&path, [&length[..], &sealed.header, &sealed.payload].concat()).unwrap();
    }
    let mut bytes = Bytes::from(std::fs::read(&path).unwrap());
    let length = u32::from_le_bytes(bytes.split_to(4)[..].try_into().unwrap());
    let header = bytes.split_to(length as usize);
    Sealed { header, payload: bytes }
}

fn check(name: &str, sealed: &Sealed) {
    let path = path(&format!("{name}.txt"));
    let found = text(sealed);
    if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == found, "{name} is read otherwise: {found}");
}

/// Everything in a batch, a line each; of a long one the beginning and a hash of all.
fn text(sealed: &Sealed) -> String {
    let batch = Batch::validate(sealed).unwrap();
    let mut text = format!("{:?}\n", batch.header());
    for group in batch.groups() {
        let (kind, unknown) = (called(group.kind()), group.n_unknown_columns());
        writeln!(text, "group {kind}: {} rows, {unknown} unknown columns", group.n_rows()).unwrap();
    }
    for number in (0..batch.n_subjects()).map(SubjectNumber) {
        let subject = batch.subject(number).unwrap().unwrap();
        let (key, image, parent, is_new) = (subject.key, subject.image, subject.parent, subject.is_new);
        write!(text, "subject {} {}@{} image {image}", number.0, key.pid, key.start.ns()).unwrap();
        write!(text, " parent {:?} new {is_new}", parent.map(|number| number.0)).unwrap();
        fields(&mut text, &subject.row);
    }
    for number in 0..batch.n_events() {
        let (event, subject) = batch.event(number).unwrap().unwrap();
        let subject = subject.map(|number| number.0);
        let kind = called(event.kind);
        write!(text, "event {number} {} {kind} subject {subject:?}", event.time.ns()).unwrap();
        fields(&mut text, &event.row);
    }
    if text.lines().count() > 200 {
        let hash = blake3::hash(text.as_bytes());
        let lines: Vec<&str> = text.lines().take(40).collect();
        return format!("{}\n… blake3 of all lines: {hash}\n", lines.join("\n"));
    }
    text
}

/// A kind as it was called when these batches were written: those of files had a number and no name.
fn called(kind: Kind) -> String {
    match kind.info() {
        Some(info) if info.category == "file" => format!("kind-{}", kind.number()),
        _ => kind.to_string(),
    }
}

fn fields(text: &mut String, row: &Row) {
    for (field, value) in row.iter() {
        let value = match value {
            Value::Keyword(bytes) => format!("{:?}", bytes.escape_ascii().to_string()),
            Value::List(items) => {
                format!("{:?}", items.iter().map(|item| item.escape_ascii().to_string()).collect::<Vec<_>>())
            }
            Value::Uint(n) => n.to_string(),
            Value::Int(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            Value::Ip(ip) => ip.to_string(),
            Value::Time(t) => t.to_string(),
        };
        write!(text, " {field}={value}").unwrap();
    }
    text.push('\n');
}

fn sampled(seed: u64, mix: Mix, n_events: u32) -> Sealed {
    let mut builder = Builder::new();
    let mut host = Host::new(seed, mix);
    host.batch(&mut builder, n_events);
    host.batch(&mut builder, n_events)
}

/// The same contents, written by today's encoder.
fn again(sealed: &Sealed) -> Sealed {
    let batch = Batch::validate(sealed).unwrap();
    let mut builder = Builder::new();
    for number in (0..batch.n_subjects()).map(SubjectNumber) {
        builder.subject(&batch.subject(number).unwrap().unwrap());
    }
    for number in 0..batch.n_events() {
        let (event, subject) = batch.event(number).unwrap().unwrap();
        builder.push(&event, subject);
    }
    let Header { epoch, lane, first_seq, boot, sealed, clock, ledger, collection, .. } =
        batch.header().clone();
    builder.seal(Boundary { epoch, lane, first_seq, boot, sealed, clock, ledger, collection })
}

#[test]
fn small_batch() {
    let sealed = golden("small", || sampled(11, Mix::PROCESSES, 25));
    check("small", &sealed);
    let again = again(&sealed);
    assert_eq!(again.header, sealed.header);
    assert!(decompressed(&again).unwrap() == decompressed(&sealed).unwrap(), "written otherwise");
}

#[test]
fn large_batch() {
    let sealed = golden("large", || sampled(12, Mix::BENCHMARK, 2_500));
    assert_eq!(sealed.payload[0], 2, "parted");
    check("large", &sealed);
    let again = again(&sealed);
    assert_eq!(text(&again), text(&sealed));
}

/// What a later version may send: a kind, columns and column types that this one does not know.
#[test]
fn batch_of_a_newer_sensor() {
    let sealed = golden("newer", newer);
    check("newer", &sealed);
    let batch = Batch::validate(&sealed).unwrap();
    let unknown = batch.groups().find(|group| group.kind() == Kind::new(60_000)).unwrap();
    assert_eq!((unknown.n_rows(), unknown.n_unknown_columns()), (2, 1));
    assert!(unknown.column(Field::FilePath).unwrap().is_some());
}

fn newer() -> Sealed {
    let header = Batch::open(&sampled(1, Mix::PROCESSES, 3)).unwrap().header().clone();
    let header = Header { n_events: 3, ..header }.encode();
    const BASE: u8 = 1;
    const STRINGS: u8 = 4;
    // Flags that are not known yet.
    const NEWER: u8 = 0xf0;
    // Each table's columns: id, type, flags, base, body.
    type Columns<'a> = &'a [(u32, u8, u8, u32, &'a [u8])];
    let text = b"/bin/x\0/etc/y\0/etc/z\0";
    let tables: [Columns; 5] = [
        &[(0, 64, 0, 0, &[0]), (0, 65, 0, 0, text), (0, 200, NEWER, 0, b"not known")],
        &[(0, 66, 0, 0, &[4, 0b101]), (0, 67, 0, 0, &[2, 0, 2, 2]), (0, 68, 0, 0, &[1, 33, 1, 1])],
        &[
            (0, 72, 0, 0, &[0]),
            (0, 69, 0, 0, &[2, 3]),
            (0, 70, 0, 0, &[154, 1]),
            (0, 71, 0, 0, &[2]),
            (0, 73, 0, 0, &[1]),
            (33, 1, STRINGS, 0, &[1]),
            (9_000, 42, BASE | STRINGS, 33, b"??"),
        ],
        &[(48, 4, 0, 0, &[3]), (9_001, 3, NEWER, 0, &[0, 0, 7])],
        &[(160, 1, STRINGS, 0, &[1, 1, 3]), (9_002, 77, BASE, 160, b"anything at all")],
    ];
    let put = |raw: &mut Vec<u8>, n: u32| raw.extend(postcard::to_allocvec(&n).unwrap());
    let columns = || tables.into_iter().flatten();
    let mut raw = vec![3, 1, 2, 3, 1];
    put(&mut raw, 60_000);
    raw.push(2);
    tables.iter().for_each(|table| put(&mut raw, table.len() as u32));
    for (id, column_type, flags, base, _) in columns() {
        put(&mut raw, *id);
        raw.extend([column_type, flags]);
        if flags & BASE != 0 {
            put(&mut raw, *base);
        }
    }
    // One string of each column that is the first to use any.
    columns().filter(|column| column.2 & STRINGS != 0).for_each(|_| raw.push(1));
    columns().for_each(|column| put(&mut raw, column.4.len() as u32));
    raw.extend(columns().filter(|column| column.1 != 65).flat_map(|column| column.4));
    let frame = zstd::bulk::compress(&raw, 3).unwrap().split_off(4);
    let mut payload = [&[1][..], &[0; 17]].concat();
    for n in [raw.len(), frame.len(), text.len()] {
        put(&mut payload, n as u32);
    }
    payload.extend(frame);
    payload.extend(text);
    let payload = restored(&header, &payload).unwrap();
    Sealed { header, payload }
}
