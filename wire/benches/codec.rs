//! How large a batch is and how long it takes, beside JSON and gzip of the same events.
//!
//! Run with `cargo bench -p wire --bench codec`. Each size is measured in several interleaved rounds; the
//! table shows medians of the thread's CPU time, so that neighbours on the machine matter less.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use wire::batch::{Batch, Boundary, Builder, Sealed};
use wire::event::{Event, Row};
use wire::sample::{Host, Mix};
use wire::subject::{Subject, SubjectNumber};
use wire::value::Value;

const ROUNDS: usize = 9;

/// A batch's contents, to be encoded again and again.
struct Sample {
    subjects: Vec<Subject>,
    events: Vec<(Event, Option<SubjectNumber>)>,
    boundary: Boundary,
}

fn main() {
    println!(
        "| events a batch | encode ns/event | decode ns/event | payload B/event | with header | json+gzip: write | read | B/event |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (n_events, n_batches) in [(20, 400), (100, 80), (2_000, 4), (10_000, 1)] {
        measure(n_events, n_batches);
    }
}

fn measure(n_events: u32, n_batches: u64) {
    let mut host = Host::new(7, Mix::BENCHMARK);
    let mut builder = Builder::new();
    // The first batches of a host name every daemon for the first time; steady state is what counts.
    (0..3).for_each(|_| drop(host.batch(&mut builder, n_events)));
    let samples: Vec<Sample> = (0..n_batches).map(|_| sample(&mut host, &mut builder, n_events)).collect();
    let n = f64::from(n_events) * n_batches as f64;

    let mut times = [const { Vec::new() }; 4];
    let mut sealed = Vec::new();
    let mut json = Vec::new();
    for _ in 0..ROUNDS {
        let took = time(|| sealed = samples.iter().map(|sample| encode(&mut builder, sample)).collect());
        times[0].push(took);
        times[1].push(time(|| sealed.iter().for_each(decode)));
        times[2].push(time(|| json = samples.iter().map(write_json).collect()));
        times[3].push(time(|| json.iter().for_each(|bytes| read_json(bytes))));
    }
    let [encode, decode, write, read] = times.map(|times| median(times).as_nanos() as f64 / n);
    let payload = sealed.iter().map(|sealed| sealed.payload.len()).sum::<usize>() as f64 / n;
    let header = sealed.iter().map(|sealed| sealed.header.len()).sum::<usize>() as f64 / n;
    let gzip = json.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let with_header = payload + header;
    println!(
        "| {n_events} | {encode:.0} | {decode:.0} | {payload:.1} | {with_header:.1} | {write:.0} | {read:.0} | {gzip:.1} |"
    );
}

fn sample(host: &mut Host, builder: &mut Builder, n_events: u32) -> Sample {
    let boundary = host.fill(builder, n_events);
    let batch = Batch::validate(&builder.seal(boundary.clone())).expect("what was sealed can be read");
    let subject =
        |number| batch.subject(SubjectNumber(number)).expect("it was validated").expect("it is there");
    let event = |number| batch.event(number).expect("it was validated").expect("it is there");
    Sample {
        subjects: (0..batch.n_subjects()).map(subject).collect(),
        events: (0..batch.n_events()).map(event).collect(),
        boundary,
    }
}

fn encode(builder: &mut Builder, sample: &Sample) -> Sealed {
    for subject in &sample.subjects {
        builder.subject(subject);
    }
    for (event, subject) in &sample.events {
        builder.push(event, *subject);
    }
    builder.seal(sample.boundary.clone())
}

fn decode(sealed: &Sealed) {
    black_box(Batch::validate(sealed).expect("what was sealed can be read"));
}

/// One object a line, each event with its subject's fields and its parent's executable.
fn write_json(sample: &Sample) -> Vec<u8> {
    let mut text = Vec::new();
    for (event, subject) in &sample.events {
        let mut object = serde_json::Map::new();
        object.insert("@timestamp".into(), event.time.ns().into());
        object.insert("event.kind".into(), event.kind.to_string().into());
        put(&mut object, &event.row);
        if let Some(subject) = subject.and_then(|number| sample.subjects.get(number.0 as usize)) {
            object.insert("process.start".into(), subject.key.start.ns().into());
            object.insert("process.pid".into(), subject.key.pid.into());
            put(&mut object, &subject.row);
            if let Some(parent) = subject.parent.and_then(|number| sample.subjects.get(number.0 as usize)) {
                object.insert("process.parent.pid".into(), parent.key.pid.into());
            }
        }
        serde_json::to_writer(&mut text, &object).expect("JSON of plain values can be written");
        text.push(b'\n');
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&text).expect("writing to memory does not fail");
    gzip.finish().expect("writing to memory does not fail")
}

fn put(object: &mut serde_json::Map<String, serde_json::Value>, row: &Row) {
    let text = |bytes: &[u8]| serde_json::Value::from(String::from_utf8_lossy(bytes));
    for (field, value) in row.iter() {
        let value = match value {
            Value::Keyword(bytes) => text(bytes),
            Value::List(items) => items.iter().map(|item| text(item)).collect(),
            Value::Uint(n) => (*n).into(),
            Value::Int(n) => (*n).into(),
            Value::Bool(b) => (*b).into(),
            Value::Ip(ip) => ip.to_string().into(),
            Value::Time(t) => t.unix_ns().into(),
        };
        object.insert(field.name().into(), value);
    }
}

fn read_json(bytes: &[u8]) {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).expect("it was just written");
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        black_box(serde_json::from_slice::<serde_json::Value>(line).expect("it was just written"));
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = cpu();
    work();
    cpu() - start
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has a CPU clock").into()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
