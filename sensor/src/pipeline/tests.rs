use proptest::prelude::*;
use uuid::Uuid;
use wire::batch::Batch as Reader;
use wire::id::{BootId, HostId, ProcessKey};
use wire::subject::SubjectNumber;
use wire::value::Value;

use super::*;
use crate::account::{Positions, SETTLE_NS};
use crate::record::{Carrier, Close, Connection, Dns, DnsEnds, Exit, Fork, Role, Socket, Task, Transport};
use crate::redact::Redaction;

mod containers;

fn at(ms: u64) -> BootTime {
    BootTime::from_ns(ms * 1_000_000)
}

fn pipeline(start: Start, events: u32) -> Pipeline {
    let origin = Origin { host: HostId::new(Uuid::from_u128(1)), boot: BootId::new(Uuid::from_u128(2)) };
    let config = PipelineConfig {
        origin,
        epoch: Epoch::new(Uuid::from_u128(3)),
        start,
        limits: Limits::default(),
        bounds: Bounds { events, ..Bounds::default() },
        collection: [7; 16],
        redactor: Redactor::new(&Redaction::default()).unwrap(),
        host: crate::escape::Host::default(),
    };
    Pipeline::new(config, at(0))
}

fn task(pid: u32, image: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(pid.into()), pid }, image }
}

fn record(class: Class, seq: u64, body: Body<'_>) -> Record<'_> {
    Record { at: Place { class, cpu: 0, seq }, time: at(seq), body }
}

fn fork(seq: u64, parent: Task, child: Task) -> Record<'static> {
    record(Class::Process, seq, Body::Fork(Fork { child, parent, cgroup_id: 0 }))
}

fn image(task: Task) -> Image<'static> {
    Image { just_executed: true, task: Some(task), executable: b"/bin/x", ..Image::default() }
}

fn socket() -> Socket {
    let any = ([127, 0, 0, 1], 1).into();
    let transport = Transport::Tcp;
    Socket { cookie: 1, source: any, destination: any, source_isn: 1, destination_isn: 2, transport }
}

fn connect(seq: u64, task: Task) -> Record<'static> {
    let body = Connection {
        role: Role::Connect,
        task,
        accepted_by: None,
        socket: socket(),
        failed: None,
        many: false,
    };
    record(Class::Bulk, seq, Body::Connection(body))
}

/// A query for the name x.
const ASKED: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01x\0\0\x01\0\x01";

fn dns(task: Task, carrier: Carrier, payload: &[u8]) -> Body<'_> {
    let any = ([127, 0, 0, 1], 53).into();
    let ends = DnsEnds { task, cookie: 1, source: any, destination: any };
    Body::Dns(Box::new(Dns { ends, is_answer: false, carrier, n_bytes: payload.len() as u32, payload }))
}

/// What waits, sealed and read; the equation is checked at every boundary.
fn batches(pipeline: &mut Pipeline, now: BootTime) -> Vec<(Lane, Reader)> {
    pipeline.seal_all(&Names::default(), now);
    sealed(pipeline)
}

fn sealed(pipeline: &mut Pipeline) -> Vec<(Lane, Reader)> {
    std::iter::from_fn(|| pipeline.next_batch())
        .map(|ready| {
            let batch = Reader::validate(&ready.batch.sealed).unwrap();
            let header = batch.header();
            let stored = header.first_seq + u64::from(header.n_events);
            assert_eq!(header.ledger.residue(stored, 0), 0, "{:?} after {stored}", header.ledger);
            (ready.lane, batch)
        })
        .collect()
}

fn kinds(batch: &Reader) -> Vec<Kind> {
    (0..batch.n_events()).map(|n| batch.event(n).unwrap().unwrap().0.kind).collect()
}

#[test]
fn records_become_batches_of_their_lane() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    pipeline.take(&fork(0, task(1, 1), task(2, 1)), &names, at(1));
    pipeline.take(&record(Class::Process, 1, Body::Image(Box::new(image(task(2, 2))))), &names, at(1));
    pipeline.take(&connect(0, task(2, 2)), &names, at(1));
    let exit = Exit { task: task(2, 2), code: 0, signal: 0, duration_ns: 1 };
    pipeline.take(&record(Class::Process, 2, Body::Exit(exit)), &names, at(1));
    assert!(sealed(&mut pipeline).is_empty(), "nothing is due");
    pipeline.seal_due(&names, at(501));
    let [(Lane::Critical, critical), (Lane::Bulk, bulk)] = &sealed(&mut pipeline)[..] else { panic!() };
    assert_eq!(kinds(critical), [Kind::FORK, Kind::EXEC, Kind::EXIT]);
    assert_eq!(kinds(bulk), [Kind::CONNECT]);
    let (_, subject) = bulk.event(0).unwrap().unwrap();
    let subject = bulk.subject(subject.unwrap()).unwrap().unwrap();
    assert_eq!(subject.row.get(Field::ProcessExecutable), Some(&Value::from("/bin/x")));
}

#[test]
fn a_secret_is_in_no_batch_whoever_is_told_of() {
    const SECRET: &[u8] = b"hunter2-in-the-clear";
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    let args = [b"app\0--password=", SECRET, b"\0last\0"].concat();
    let secretive = |task| Image { args: &args, args_bytes: args.len() as u64, args_count: 3, ..image(task) };
    let executed = |seq, task| record(Class::Process, seq, Body::Image(Box::new(secretive(task))));
    // Found running, and so announced; executed, and so a subject; and the parent and ancestor of others, in both lanes.
    pipeline.seed(&secretive(task(1, 1)), at(0));
    pipeline.take(&executed(0, task(2, 1)), &names, at(1));
    pipeline.take(&fork(1, task(2, 1), task(3, 1)), &names, at(1));
    pipeline.take(&fork(2, task(3, 1), task(4, 1)), &names, at(1));
    pipeline.take(&connect(0, task(4, 1)), &names, at(1));
    let mut told = batches(&mut pipeline, at(2));
    // A parent that was told of before, and everything once more in a new stream.
    pipeline.take(&executed(3, task(4, 2)), &names, at(3));
    pipeline.take(&connect(1, task(4, 2)), &names, at(3));
    told.extend(batches(&mut pipeline, at(3)));
    pipeline.begin_epoch(Epoch::new(Uuid::from_u128(9)), &names, at(4));
    pipeline.take(&fork(4, task(3, 1), task(5, 1)), &names, at(4));
    told.extend(batches(&mut pipeline, at(4)));
    assert_eq!(told.len(), 5);
    let mut n_args = 0;
    for (_, batch) in &told {
        let strings = batch.strings().unwrap();
        let strings: Vec<&[u8]> = (1..).map_while(|number| strings.get(number)).collect();
        assert!(strings.contains(&&b"--password=<redacted>"[..]));
        for string in strings {
            assert!(memchr::memmem::find(string, SECRET).is_none(), "{}", String::from_utf8_lossy(string));
        }
        for number in 0..batch.n_subjects() {
            let row = batch.subject(SubjectNumber(number)).unwrap().unwrap().row;
            let Some(Value::List(items)) = row.get(Field::ProcessArgs) else { continue };
            n_args += 1;
            assert_eq!(items.as_slice(), ["app", "--password=<redacted>", "last"]);
            if row.get(Field::ProcessArgsCount).is_some() {
                assert_eq!(row.get(Field::ProcessRedacted), Some(&Value::Bool(true)));
                assert_eq!(row.get(Field::ProcessArgsCount), Some(&Value::Uint(3)));
                assert_eq!(row.get(Field::ProcessArgsBytes), Some(&Value::Uint(args.len() as u64)));
            }
        }
    }
    assert!(n_args > 10, "{n_args}");
    assert_eq!(pipeline.n_redacted(), 3);
}

#[test]
fn a_bulk_record_that_overtook_its_process_is_early() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let connection = connect(0, task(2, 2));
    assert!(pipeline.is_early(&connection));
    pipeline.seed(&image(task(2, 2)), at(0));
    assert!(!pipeline.is_early(&connection));
}

#[test]
fn dns_messages_are_events_of_who_asks_and_repeats_are_merged() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    pipeline.seed(&image(task(1, 1)), at(0));
    let udp = Carrier::Udp { each_bytes: 0 };
    for seq in 0..10 {
        pipeline.take(&record(Class::Bulk, seq, dns(task(1, 1), udp, ASKED)), &names, at(seq));
    }
    let framed = [b"\0\x13", ASKED].concat();
    let pieces = [&framed[..5], &framed[5..], b"\0\x13?"];
    for (seq, (place, piece)) in (10..).zip([0, 5, 21].into_iter().zip(pieces)) {
        let tcp = Carrier::Tcp { isn: 1, at: place };
        pipeline.take(&record(Class::Bulk, seq, dns(task(1, 1), tcp, piece)), &names, at(seq));
    }
    pipeline.tick(&names, at(2_000));
    pipeline.finish(&names, at(2_001));
    let told = batches(&mut pipeline, at(2_002));
    let mut repeats = Vec::new();
    for (_, batch) in &told {
        assert!(kinds(batch).iter().all(|kind| *kind == Kind::DNS_QUERY));
        for n in 0..batch.n_events() {
            let (event, subject) = batch.event(n).unwrap().unwrap();
            repeats.push(event.row.get(Field::DnsRepeats).cloned());
            let subject = batch.subject(subject.unwrap()).unwrap().unwrap();
            assert_eq!(subject.row.get(Field::ProcessExecutable), Some(&Value::from("/bin/x")));
        }
    }
    // The first datagram, that over TCP, what stands for nine datagrams, and what never ended.
    assert_eq!(repeats, [None, None, Some(Value::Uint(9)), None]);
    let ledger = pipeline.ledger(Lane::Bulk);
    assert_eq!(
        (ledger.generated, ledger.merged),
        (15, 11),
        "13 records, and two events that came of time passing"
    );
}

#[test]
fn under_pressure_only_bulk_events_are_dropped_and_counted() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    pipeline.set_shedding(true);
    pipeline.take(&connect(0, task(1, 1)), &names, at(1));
    pipeline.take(&fork(0, task(1, 1), task(2, 1)), &names, at(1));
    pipeline.set_shedding(false);
    pipeline.take(&connect(1, task(1, 1)), &names, at(1));
    let lanes: Vec<_> =
        batches(&mut pipeline, at(2)).into_iter().map(|(lane, batch)| (lane, kinds(&batch))).collect();
    assert_eq!(lanes, [(Lane::Critical, vec![Kind::FORK]), (Lane::Bulk, vec![Kind::CONNECT])]);
    assert_eq!(pipeline.ledger(Lane::Bulk).dropped, 1);
    assert_eq!(pipeline.ledger(Lane::Critical).dropped, 0);
}

#[test]
fn loss_is_told_once_and_not_too_often() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    let second = |s: u64| at(20_000 + s * 1_000);
    pipeline.take(&fork(3, task(1, 1), task(2, 1)), &names, second(0));
    pipeline.tick(&names, second(1));
    assert_eq!(pipeline.ledger(Lane::Critical).lost, 0, "they may still come");
    let settled = BootTime::from_ns(second(0).ns() + SETTLE_NS);
    pipeline.tick(&names, settled);
    pipeline.skipped(Class::Bulk, 2);
    pipeline.tick(&names, second(6));
    let told = batches(&mut pipeline, second(7));
    let (_, batch) = &told[0];
    assert_eq!(kinds(batch), [Kind::FORK, Kind::SENSOR_LOSS]);
    let (event, _) = batch.event(1).unwrap().unwrap();
    assert_eq!(event.row.get(Field::SensorLost), Some(&Value::Uint(3)));
    pipeline.tick(&names, second(16));
    pipeline.tick(&names, second(17));
    assert_eq!(kinds(&batches(&mut pipeline, second(18))[0].1), [Kind::SENSOR_LOSS]);
}

#[test]
fn everyone_is_announced_at_the_start_and_then_once_a_day() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    (1..=3_000).for_each(|pid| pipeline.seed(&image(task(pid, 1)), at(0)));
    let mut told = 0;
    for n in [2_000, 1_000, 0] {
        pipeline.tell(Kind::SENSOR_STARTED, Row::default(), &names, at(0));
        told += batches(&mut pipeline, at(0))[0].1.n_subjects();
        assert!(told == 3_000 || n == 2_000, "{told}");
    }
    assert_eq!(told, 3_000);
    let mut a_day = std::collections::BTreeSet::new();
    for minute in 0..24 * 60 {
        pipeline.heartbeat(&names, at(minute * 60_000));
        let batch = &batches(&mut pipeline, at(minute * 60_000))[0].1;
        assert!(batch.n_subjects() <= 3);
        a_day.extend(batch.subjects().unwrap().pids().iter().copied());
    }
    assert!(a_day.into_iter().eq(1..=3_000), "each of them within a day");
}

#[test]
fn a_new_epoch_counts_from_nothing_and_announces_everyone_anew() {
    let mut pipeline = pipeline(Start::Fresh, 100);
    let names = Names::default();
    pipeline.take(&fork(0, task(1, 1), task(2, 1)), &names, at(0));
    let epoch = Epoch::new(Uuid::from_u128(9));
    pipeline.begin_epoch(epoch, &names, at(1));
    pipeline.take(&fork(1, task(1, 1), task(3, 1)), &names, at(1));
    let told = batches(&mut pipeline, at(2));
    let [(_, old), (_, new)] = &told[..] else { panic!() };
    assert_eq!((old.header().first_seq, new.header().first_seq), (0, 0));
    assert_eq!((old.header().collection, new.header().collection), ([7; 16], [7; 16]));
    assert_eq!((new.header().epoch, new.header().ledger.generated), (epoch, 1));
    assert_eq!(new.n_subjects(), 3, "pids 1, 2 and 3");
}

#[test]
fn a_sensor_after_a_crash_books_what_was_not_sealed() {
    let mut before = pipeline(Start::Fresh, 2);
    let names = Names::default();
    for seq in 0..5 {
        before.take(&fork(seq, task(1, 1), task(2 + seq as u32, 1)), &names, at(seq));
    }
    let last = std::iter::from_fn(|| before.next_batch()).last().unwrap();
    let positions = Positions { clean: false, sequences: [positions_of(last), vec![], vec![]] };
    drop(before);
    let mut after = pipeline(Start::Resumed(positions), 100);
    after.take(&fork(7, task(1, 1), task(20, 1)), &names, at(0));
    after.tick(&names, BootTime::from_ns(SETTLE_NS));
    // 4 was drained but not sealed; 5 and 6 may have been drained, too.
    assert_eq!(after.ledger(Lane::Critical), Ledger { generated: 4, dropped: 3, lost: 0, merged: 0 });
}

#[derive(Clone, Debug)]
enum Step {
    Record { class: bool, cpu: u32, skip: u64, what: u8, a: u32, b: u32 },
    Tell,
    Pass(u64),
    Shed(bool),
    Skipped(u64),
    Epoch,
}

fn any_step() -> impl Strategy<Value = Step> {
    let record = (any::<bool>(), 0..2u32, 0..12u64, 0..7u8, 0..9u32, 0..9u32).prop_map(
        |(class, cpu, skip, what, a, b)| Step::Record {
            class,
            cpu,
            skip: skip.saturating_sub(8),
            what,
            a,
            b,
        },
    );
    prop_oneof![
        20 => record,
        1 => Just(Step::Tell),
        3 => (0..4_000u64).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Shed),
        1 => (0..5u64).prop_map(Step::Skipped),
        1 => Just(Step::Epoch),
    ]
}

proptest! {
    #[test]
    fn the_equation_holds_at_every_boundary(steps in proptest::collection::vec(any_step(), 0..200)) {
        let mut pipeline = pipeline(Start::Fresh, 5);
        let names = Names::default();
        let mut next = std::collections::HashMap::new();
        let (mut now, mut epoch) = (0, 3);
        for step in steps {
            match step {
                Step::Record { class, cpu, skip, what, a, b } => {
                    let class = if class { Class::Process } else { Class::Bulk };
                    let seq: &mut u64 = next.entry((class, cpu)).or_default();
                    *seq += skip;
                    let (one, other) = (task(a, a % 3), task(b, b % 3));
                    let body = match what {
                        0 => Body::Fork(Fork { child: other, parent: one, cgroup_id: 0 }),
                        1 => Body::Image(Box::new(image(one))),
                        2 => Body::Exit(Exit { task: one, code: 0, signal: 0, duration_ns: 0 }),
                        3 => connect(0, one).body,
                        4 => dns(one, Carrier::Udp { each_bytes: 4 * b }, &ASKED[..ASKED.len() - a as usize]),
                        5 => dns(one, Carrier::Tcp { isn: a % 2, at: b }, &ASKED[..2 * a as usize]),
                        _ => Body::Close(Close {
                            role: Role::Accept, task: one, socket: socket(), source_bytes: 0, destination_bytes: 0,
                            source_packets: 0, destination_packets: 0, many: false,
                        }),
                    };
                    let record = Record { at: Place { class, cpu, seq: *seq }, time: at(now), body };
                    pipeline.take(&record, &names, at(now));
                    *seq += 1;
                }
                Step::Tell => pipeline.heartbeat(&names, at(now)),
                Step::Pass(ms) => {
                    now += ms;
                    pipeline.tick(&names, at(now));
                    pipeline.seal_due(&names, at(now));
                }
                Step::Shed(on) => pipeline.set_shedding(on),
                Step::Skipped(n) => pipeline.skipped(Class::Bulk, n),
                Step::Epoch => {
                    epoch += 1;
                    pipeline.begin_epoch(Epoch::new(Uuid::from_u128(epoch)), &names, at(now));
                }
            }
            sealed(&mut pipeline);
        }
        batches(&mut pipeline, at(now));
    }
}

/// How far a batch of the critical lane reaches.
fn positions_of(ready: Ready) -> Vec<Position> {
    let of_process = |(class, positions)| (class == Class::Process).then_some(positions);
    ready.positions.into_iter().find_map(of_process).unwrap()
}
