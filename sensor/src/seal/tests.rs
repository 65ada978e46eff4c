use proptest::prelude::*;
use uuid::Uuid;
use wire::batch::{Batch as Reader, NO_SUBJECT};
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::ProcessKey;
use wire::subject::SubjectNumber;
use wire::value::Value;

use super::*;
use crate::record::{Exit, Fork};
use crate::table::Limits;

const NOW: BootTime = BootTime::from_ns(1_000);

fn task(pid: u32, image: u32) -> Task {
    Task { key: ProcessKey { start: BootTime::from_ns(pid.into()), pid }, image }
}

fn seal(sealer: &mut Sealer) -> Option<Reader> {
    let seal = Seal {
        epoch: Epoch::new(Uuid::from_u128(1)),
        boot: BootId::new(Uuid::from_u128(2)),
        now: NOW,
        clock: Clock::default(),
        ledger: Ledger::default(),
        collection: [7; 16],
    };
    let batch = sealer.seal(&seal)?;
    let read = Reader::validate(&batch.sealed).unwrap();
    assert_eq!((read.header().first_seq, read.n_events()), (batch.first_seq, batch.n_events));
    Some(read)
}

fn event(kind: Kind) -> Event {
    Event { time: NOW, kind, row: Row::default() }
}

/// A table with a chain of processes, pid 1 the oldest, each running `/bin/pN N`.
fn chain(n: u32) -> Table {
    let mut table = Table::new(Limits::default());
    for pid in 1..=n {
        if pid > 1 {
            let fork = Fork { parent: task(pid - 1, pid), child: task(pid, pid), cgroup_id: 0 };
            table.fork(&fork, NOW);
        }
        let (executable, args) = (format!("/bin/p{pid}"), format!("p{pid}\0{pid}\0"));
        let image = Image {
            task: Some(task(pid, pid + 1)),
            executable: executable.as_bytes(),
            args: args.as_bytes(),
            cwd: b"/",
            ..Image::default()
        };
        table.image(&image, NOW);
    }
    table
}

/// Pushes an event about a process of the chain.
fn push(sealer: &mut Sealer, table: &mut Table, pid: u32) {
    let node = table.named(task(pid, pid + 1), NOW);
    sealer.push(
        &event(Kind::CONNECT),
        Some(Who { node, image: None, ran: None }),
        table,
        &Names::default(),
        NOW,
    );
}

/// An event's subject.
fn subject_of(batch: &Reader, number: usize) -> Option<SubjectNumber> {
    let number = batch.event_subjects().unwrap()[number];
    (number != NO_SUBJECT).then_some(SubjectNumber(number))
}

/// The executables of an event's subject and its ancestors, each with what is told of it: `!` new,
/// `+` in full, `-` with arguments, else the executable only.
fn lineage(batch: &Reader, number: usize) -> Vec<String> {
    let subjects = batch.subjects().unwrap();
    let subject = subject_of(batch, number).unwrap();
    std::iter::once(subject)
        .chain(subjects.ancestors(subject))
        .map(|at| {
            let entry = batch.subject(at).unwrap().unwrap();
            let Some(Value::Keyword(path)) = entry.row.get(Field::ProcessExecutable) else {
                panic!("{entry:?}")
            };
            let detail =
                match (entry.row.get(Field::ProcessWorkingDirectory), entry.row.get(Field::ProcessArgs)) {
                    (Some(_), Some(_)) if entry.is_new => "!",
                    (Some(_), Some(_)) => "+",
                    (None, Some(_)) => "-",
                    _ => "",
                };
            format!("{}{detail}", String::from_utf8_lossy(path))
        })
        .collect()
}

#[test]
fn what_is_new_is_told_in_full_once_and_then_as_far_as_needed() {
    let mut table = chain(4);
    let mut sealer = Sealer::new(Lane::Bulk, Bounds::default());
    push(&mut sealer, &mut table, 4);
    let batch = seal(&mut sealer).unwrap();
    assert_eq!(lineage(&batch, 0), ["/bin/p4!", "/bin/p3!", "/bin/p2!", "/bin/p1!"]);
    push(&mut sealer, &mut table, 4);
    push(&mut sealer, &mut table, 4);
    let batch = seal(&mut sealer).unwrap();
    assert_eq!(lineage(&batch, 0), ["/bin/p4+", "/bin/p3-", "/bin/p2", "/bin/p1"]);
    assert_eq!(lineage(&batch, 0), lineage(&batch, 1));
    assert_eq!(batch.n_subjects(), 4, "one entry each");
}

#[test]
fn a_distant_ancestor_that_acts_itself_is_told_in_full_too() {
    let mut table = chain(3);
    let mut sealer = Sealer::new(Lane::Bulk, Bounds::default());
    push(&mut sealer, &mut table, 3);
    seal(&mut sealer).unwrap();
    for pid in [3, 1, 2, 3] {
        push(&mut sealer, &mut table, pid);
    }
    let batch = seal(&mut sealer).unwrap();
    assert_eq!(lineage(&batch, 0), ["/bin/p3+", "/bin/p2-", "/bin/p1"]);
    assert_eq!(lineage(&batch, 1), ["/bin/p1+"]);
    assert_eq!(lineage(&batch, 2), ["/bin/p2+", "/bin/p1+"]);
    assert_eq!(lineage(&batch, 3), lineage(&batch, 0));
}

#[test]
fn a_new_stream_tells_all_again() {
    let mut table = chain(2);
    let mut sealer = Sealer::new(Lane::Bulk, Bounds::default());
    push(&mut sealer, &mut table, 2);
    seal(&mut sealer).unwrap();
    assert_eq!(sealer.next_seq(), 1);
    sealer.begin_stream(&mut table);
    push(&mut sealer, &mut table, 2);
    let batch = seal(&mut sealer).unwrap();
    assert_eq!((batch.header().first_seq, lineage(&batch, 0)[0].as_str()), (0, "/bin/p2!"));
}

#[test]
fn the_lanes_tell_on_their_own() {
    let mut table = chain(1);
    let mut bulk = Sealer::new(Lane::Bulk, Bounds::default());
    let mut critical = Sealer::new(Lane::Critical, Bounds::default());
    push(&mut bulk, &mut table, 1);
    push(&mut critical, &mut table, 1);
    assert_eq!(lineage(&seal(&mut bulk).unwrap(), 0), ["/bin/p1!"]);
    assert_eq!(lineage(&seal(&mut critical).unwrap(), 0), ["/bin/p1!"]);
}

#[test]
fn an_announced_process_needs_no_event() {
    let mut table = chain(2);
    let mut sealer = Sealer::new(Lane::Critical, Bounds::default());
    let node = table.find(task(2, 3)).unwrap();
    sealer.announce(node, &mut table, &Names::default(), NOW);
    assert!(seal(&mut sealer).is_none(), "but a batch needs one");
    sealer.push(&event(Kind::SENSOR_HEARTBEAT), None, &mut table, &Names::default(), NOW);
    let batch = seal(&mut sealer).unwrap();
    assert_eq!((batch.n_events(), batch.n_subjects()), (1, 2));
    assert_eq!(subject_of(&batch, 0), None);
    sealer.announce(node, &mut table, &Names::default(), NOW);
    sealer.push(&event(Kind::SENSOR_HEARTBEAT), None, &mut table, &Names::default(), NOW);
    let subjects = seal(&mut sealer).unwrap();
    let entry = subjects.subject(SubjectNumber(1)).unwrap().unwrap();
    assert!(entry.is_new, "announced once more");
}

#[test]
fn a_process_known_by_name_only_is_told_when_more_is_known() {
    let mut table = Table::new(Limits::default());
    let mut sealer = Sealer::new(Lane::Bulk, Bounds::default());
    push(&mut sealer, &mut table, 1);
    let batch = seal(&mut sealer).unwrap();
    let entry = batch.subject(SubjectNumber(0)).unwrap().unwrap();
    assert!(entry.is_new && entry.row.is_empty());
    table.image(&Image { task: Some(task(1, 2)), executable: b"/x", ..Image::default() }, NOW);
    push(&mut sealer, &mut table, 1);
    let entry = seal(&mut sealer).unwrap().subject(SubjectNumber(0)).unwrap().unwrap();
    assert!(entry.is_new && !entry.row.is_empty());
}

#[test]
fn the_record_tells_more_than_the_table_keeps() {
    let mut table = Table::new(Limits { string_bytes: 0, ..Limits::default() });
    let mut sealer = Sealer::new(Lane::Critical, Bounds::default());
    let args = vec![b'a'; 16_000];
    let image = Image { task: Some(task(1, 2)), executable: b"/x", args: &args, ..Image::default() };
    let node = table.image(&image, NOW).unwrap();
    let who = Who { node, image: Some(&image), ran: Some(NOW) };
    sealer.push(&event(Kind::EXEC), Some(who), &mut table, &Names::default(), NOW);
    let entry = seal(&mut sealer).unwrap().subject(SubjectNumber(0)).unwrap().unwrap();
    assert_eq!(entry.row.get(Field::ProcessArgs), Some(&Value::List(vec![args.into()])));
}

/// A table with a process that runs a file of this inode.
fn running(pid: u32, inode: u64, table: &mut Table) -> Node {
    let image = Image {
        task: Some(task(pid, 2)),
        executable: b"/x",
        inode,
        size: 1,
        changed_ns: 5,
        ..Image::default()
    };
    table.image(&image, NOW).unwrap()
}

fn push_exec(sealer: &mut Sealer, table: &mut Table, node: Node, now: BootTime) {
    let who = Who { node, image: None, ran: Some(now) };
    sealer.push(&event(Kind::EXEC), Some(who), table, &Names::default(), now);
}

fn hashes(batch: &Reader) -> Vec<Option<String>> {
    let subjects = (0..batch.n_subjects()).map(|at| batch.subject(SubjectNumber(at)).unwrap().unwrap().row);
    let hash = |row: Row| match row.get(Field::ProcessHashSha256) {
        Some(Value::Keyword(hash)) => Some(String::from_utf8_lossy(hash).into_owned()),
        _ => None,
    };
    subjects.map(hash).collect()
}

fn at(ns: u64) -> BootTime {
    BootTime::from_ns(ns)
}

#[test]
fn a_hash_that_comes_in_time_is_told_with_the_exec_itself() {
    let mut table = Table::new(Limits::default());
    let mut sealer =
        Sealer::new(Lane::Critical, Bounds { wait_ns: 500, hash_wait_ns: 100, ..Bounds::default() });
    let (a, same, other) = (running(1, 7, &mut table), running(2, 7, &mut table), running(3, 8, &mut table));
    for node in [a, same, other] {
        push_exec(&mut sealer, &mut table, node, at(1_000));
    }
    let wanted: Vec<_> = std::iter::from_fn(|| table.hashes_mut().next_request()).collect();
    let [request, second] = &wanted[..] else { panic!("{wanted:?}") };
    assert_eq!((request.file.inode, request.ran, second.file.inode), (7, Some(at(1_000)), 8));
    let sha256 = Sha256::new([0xab; 32]);
    table.hashes_mut().answer(request.file, Ok(sha256));
    sealer.hashed(request.file, Some(sha256));
    sealer.hashed(second.file, None);
    let hash = Some("ab".repeat(32));
    assert_eq!(hashes(&seal(&mut sealer).unwrap()), [hash.clone(), hash.clone(), None]);
    push_exec(&mut sealer, &mut table, same, at(2_000));
    assert_eq!(hashes(&seal(&mut sealer).unwrap()), [hash], "known from the start");
    sealer.hashed(request.file, Some(sha256));
    assert!(seal(&mut sealer).is_none(), "and nothing is left behind");
}

#[test]
fn a_batch_waits_for_hashes_a_little_and_no_longer() {
    let mut table = Table::new(Limits::default());
    let bounds = Bounds { wait_ns: 500, hash_wait_ns: 100, ..Bounds::default() };
    let mut sealer = Sealer::new(Lane::Critical, bounds);
    let (early, late, later) =
        (running(1, 1, &mut table), running(2, 2, &mut table), running(3, 3, &mut table));
    push_exec(&mut sealer, &mut table, early, at(1_000));
    assert_eq!(sealer.due(), Some(at(1_500)), "asked for long before");
    push_exec(&mut sealer, &mut table, late, at(1_450));
    assert_eq!(sealer.due(), Some(at(1_550)));
    push_exec(&mut sealer, &mut table, later, at(1_540));
    assert_eq!(sealer.due(), Some(at(1_600)), "no more than that in all");
    for inode in 1..=3 {
        assert!(sealer.due() > Some(at(1_500)));
        sealer.hashed(FileId { device: 0, inode, size: 1, changed_ns: 5 }, None);
    }
    assert_eq!(sealer.due(), Some(at(1_500)), "nothing more to wait for");
    seal(&mut sealer).unwrap();
    push_exec(&mut sealer, &mut table, late, at(3_000));
    assert_eq!(sealer.due(), Some(at(3_500)), "what is still being made was waited for once");
}

/// A process in a container of this id.
fn contained(pid: u32, id: &str, table: &mut Table) -> Node {
    let cgroup = format!("/kubepods/pod0123456789abcdef0123456789abcdef/{id}");
    let image = Image { task: Some(task(pid, 2)), cgroup: cgroup.as_bytes(), ..Image::default() };
    table.image(&image, NOW).unwrap()
}

fn names_told(batch: &Reader) -> Vec<[String; 3]> {
    let subjects = (0..batch.n_subjects()).map(|at| batch.subject(SubjectNumber(at)).unwrap().unwrap().row);
    let text = |row: &Row, field| match row.get(field) {
        Some(Value::Keyword(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    let fields = [Field::ContainerName, Field::ContainerRuntime, Field::KubernetesPodName];
    subjects.map(|row| fields.map(|field| text(&row, field))).collect()
}

#[test]
fn names_that_come_in_time_are_told_of_all_that_are_in_the_container() {
    let mut table = Table::new(Limits { container_names: true, ..Limits::default() });
    let bounds = Bounds { wait_ns: 500, hash_wait_ns: 100, ..Bounds::default() };
    let mut sealer = Sealer::new(Lane::Critical, bounds);
    let (id, other) = ("ab".repeat(32), "cd".repeat(32));
    let nodes =
        [contained(1, &id, &mut table), contained(2, &id, &mut table), contained(3, &other, &mut table)];
    for node in nodes {
        push_exec(&mut sealer, &mut table, node, at(1_450));
    }
    assert_eq!(sealer.due(), Some(at(1_950)), "they will be there by then");
    let late = contained(4, &"ef".repeat(32), &mut table);
    push_exec(&mut sealer, &mut table, late, at(1_940));
    assert_eq!(sealer.due(), Some(at(2_040)));
    let wanted: Vec<_> = std::iter::from_fn(|| table.container_names_mut().next_request()).collect();
    let [first, second, third] = &wanted[..] else { panic!("{wanted:?}") };
    assert_eq!((first.id.to_string(), first.runtime, second.id.to_string()), (id, None, other));
    let about = About {
        name: "web".into(),
        pod: "web-0".into(),
        runtime: Some(crate::container::Runtime::CriO),
        ..About::default()
    };
    table.container_names_mut().answer(first.id, Ok(about.clone().into()), at(1_960));
    sealer.named(first.id, Some(&about));
    sealer.named(second.id, None);
    sealer.named(third.id, None);
    assert_eq!(sealer.due(), Some(at(1_950)), "nothing more to wait for");
    let named = ["web", "cri-o", "web-0"].map(str::to_owned);
    let none = [(); 3].map(|()| String::new());
    let told = names_told(&seal(&mut sealer).unwrap());
    assert_eq!(told, [named.clone(), named.clone(), none.clone(), none]);
    push_exec(&mut sealer, &mut table, nodes[1], at(3_000));
    assert_eq!(sealer.due(), Some(at(3_500)), "known from the start");
    assert_eq!(names_told(&seal(&mut sealer).unwrap()), [named]);
    sealer.named(first.id, Some(&about));
    assert!(seal(&mut sealer).is_none(), "and nothing is left behind");
}

#[test]
fn a_parent_that_is_new_is_told_with_its_hash_and_one_that_is_not_without() {
    let mut table = Table::new(Limits::default());
    let parent = running(1, 7, &mut table);
    table.fork(&Fork { parent: task(1, 2), child: task(2, 2), cgroup_id: 0 }, NOW);
    let child = running(2, 7, &mut table);
    let file = FileId { device: 0, inode: 7, size: 1, changed_ns: 5 };
    table.hash(parent, None, NOW);
    table.hashes_mut().answer(file, Ok(Sha256::new([0xcd; 32])));
    let mut sealer = Sealer::new(Lane::Critical, Bounds::default());
    push_exec(&mut sealer, &mut table, child, NOW);
    assert!(hashes(&seal(&mut sealer).unwrap()).iter().all(Option::is_some));
    push_exec(&mut sealer, &mut table, child, NOW);
    assert_eq!(hashes(&seal(&mut sealer).unwrap()).iter().flatten().count(), 1);
}

#[test]
fn batches_are_due_by_number_bytes_and_time() {
    let mut table = chain(2);
    let bounds = Bounds { events: 3, bytes: 2_000, wait_ns: 500, hash_wait_ns: 100 };
    let mut sealer = Sealer::new(Lane::Bulk, bounds);
    assert!(!sealer.is_due(BootTime::from_ns(u64::MAX)), "nothing waits");
    push(&mut sealer, &mut table, 1);
    assert_eq!(sealer.due(), Some(BootTime::from_ns(1_500)));
    assert!(!sealer.is_due(BootTime::from_ns(1_499)) && sealer.is_due(BootTime::from_ns(1_500)));
    push(&mut sealer, &mut table, 1);
    assert!(!sealer.is_due(NOW));
    push(&mut sealer, &mut table, 1);
    assert!(sealer.is_due(NOW));
    seal(&mut sealer).unwrap();
    assert!(!sealer.is_due(BootTime::from_ns(u64::MAX)));
    let long = Row::default().with(Field::FilePath, bytes::Bytes::from(vec![b'x'; 3_000]));
    sealer.push(&Event { row: long, ..event(Kind::CONNECT) }, None, &mut table, &Names::default(), NOW);
    assert!(sealer.is_due(NOW));
}

proptest! {
    #[test]
    fn whatever_happens_every_batch_is_whole(
        steps in proptest::collection::vec((0..6u8, 1..6u32, 1..6u32, 0..3u32), 1..80),
    ) {
        let mut table = Table::new(Limits { entries: 6, ..Limits::default() });
        let mut sealer = Sealer::new(Lane::Critical, Bounds { events: 7, ..Bounds::default() });
        let names = Names::default();
        let (mut pushed, mut sealed) = (0, 0);
        for (step, a, b, image) in steps {
            let (one, other) = (task(a, image), task(b, image));
            let node = match step {
                0 => table.fork(&Fork { parent: one, child: other, cgroup_id: 1 }, NOW),
                1 => table.exit(&Exit { task: one, code: 0, signal: 0, duration_ns: 0 }, NOW),
                2 => table.image(&Image { task: Some(one), executable: b"/x", ..Image::default() }, NOW).unwrap(),
                3 => { table.expire(BootTime::from_ns(u64::MAX)); table.named(other, NOW) }
                _ => table.named(one, NOW),
            };
            let key = table.task(node).unwrap().key;
            sealer.push(&event(Kind::FORK), Some(Who { node, image: None, ran: None }), &mut table, &names, NOW);
            pushed += 1;
            let n_before = sealer.n_waiting();
            if sealer.is_due(NOW) {
                let batch = seal(&mut sealer).unwrap();
                sealed += u64::from(batch.n_events());
                let last = subject_of(&batch, n_before as usize - 1).unwrap();
                prop_assert_eq!(batch.subjects().unwrap().key(last), Some(key));
            }
        }
        sealed += seal(&mut sealer).map_or(0, |batch| u64::from(batch.n_events()));
        prop_assert_eq!((sealed, sealer.next_seq()), (pushed, pushed));
    }
}
