//! What must hold for any collection, and what the built-in one takes.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use sensor_bpf::event::{self, SYSCALL_NUMBERS};
use wire::decide::{self, ACCESS, is_always_shipped};
use wire::event::{FlatEvent, Kind, KindInfo};
use wire::field::{Field, Place};
use wire::flat::of_kind;
use wire::predicate::{Options, Predicate};
use wire::value::Value;

use super::kernel::{Kernel, Seen};
use super::*;
use crate::call;

fn read(text: &str) -> Collection {
    Collection::read(text.as_bytes()).unwrap()
}

/// What became of each line.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: Expect) {
    let told = match Collection::read(text.as_ref()) {
        Err(error) => error.to_string(),
        Ok(collection) => collection.lines().iter().map(told).collect::<Vec<_>>().join("\n"),
    };
    expected.assert_eq(&told);
}

fn told(line: &Line) -> String {
    let what = match &line.outcome {
        Outcome::Decided { rows, .. } => format!("{} rows", rows.len()),
        Outcome::Repeats(first) => format!("as line {first}"),
        Outcome::Refused(refusal) => refusal.to_string(),
    };
    format!("{}: {what}", line.number)
}

#[test]
fn every_line_is_told_what_became_of_it() {
    check(
        "# files\n\nevent.action:open and file.path:/etc/*\r\n  event.action:open AND (file.path:/etc/*)\nevent.action:exec\n\tfile.path:/tmp/?\nfile.path:/etc/* and process.args:x",
        expect![[r#"
            3: 1 rows
            4: as line 3
            5: 0 rows
            6: column 11: found a `?`, which the kernel cannot compare, expected a `*` in its place, or a list of values
            7: column 22: process.args is not known where the kernel decides, expected one of event.category, event.action, process.user.id, process.executable, process.name, file.path, file.target_path, file.access, syscall.number"#]],
    );
    check(
        b"event.action:open\nfile.path:\"\xff\"\nevent.action:unlink",
        expect![[r#"
        1: 1 rows
        2: byte 12 of the line is no UTF-8; in quotes, write such a byte as `\xNN`
        3: 1 rows"#]],
    );
    check(
        format!("event.action:open\nfile.path:({})", "a".repeat(MAX_LINE_BYTES)),
        expect![[r#"
        1: 1 rows
        2: the line has 65548 bytes, expected at most 65536; write it as several lines"#]],
    );
    check("", expect![[""]]);
    check("#".repeat(MAX_BYTES), expect![[""]]);
    check("#".repeat(MAX_BYTES + 1), expect!["the collection has more than 1048576 bytes; leave lines out"]);
    let lines = |n: usize| (0..n).map(|n| format!("file.path:/{n}\n")).collect::<String>();
    assert_eq!(read(&lines(MAX_ENTRIES)).refusals().count(), 0);
    check(lines(MAX_ENTRIES + 1), expect!["the collection has more than 1024 queries; join some with `or`"]);
}

#[test]
fn lines_there_is_no_room_for_are_refused_and_named() {
    let patterns = |line: usize, n: usize| {
        let values: Vec<String> = (0..n).map(|n| format!("*{line}.{n}")).collect();
        format!("file.path:({})\n", values.join(" or "))
    };
    check(
        [patterns(1, 200), patterns(2, 56), patterns(3, 1)].concat(),
        expect![[r#"
        1: 200 rows
        2: 56 rows
        3: with this line the collection takes 257 rows with patterns that are looked at one after another, expected at most 256; leave lines out, or make them simpler"#]],
    );
    check(
        [patterns(1, 200), patterns(2, 57), "event.action:exec".into(), "event.action:open".into()]
            .join("\n"),
        expect![[r#"
            1: 200 rows
            3: with this line the collection takes 257 rows with patterns that are looked at one after another, expected at most 256; leave lines out, or make them simpler
            5: 0 rows
            6: with this line the collection takes 257 rows with patterns that are looked at one after another, expected at most 256; leave lines out, or make them simpler"#]],
    );
    let texts = |line: usize| {
        let values: Vec<String> = (0..4_000).map(|n| format!("/{line}/{n:05}")).collect();
        format!("file.path:({})\n", values.join(" or "))
    };
    check(
        (0..6).map(texts).collect::<String>(),
        expect![[r#"
        1: 1 rows
        2: 1 rows
        3: 1 rows
        4: 1 rows
        5: with this line the collection takes 20000 texts that are looked up, expected at most 16384; leave lines out, or make them simpler
        6: with this line the collection takes 20000 texts that are looked up, expected at most 16384; leave lines out, or make them simpler"#]],
    );
    let full = read(&(0..6).map(texts).collect::<String>());
    assert_eq!(
        full.tables(),
        read(&(0..4).map(texts).collect::<String>()).tables(),
        "as far as there is room"
    );
}

#[test]
fn a_collection_is_called_by_what_it_says() {
    let one = read("event.action:open and file.path:/etc/*\nevent.action:unlink");
    let same = read(
        "# same\nevent.action:unlink\n\nevent.action:open and (file.path:/etc/*)\nevent.action : unlink\n",
    );
    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), read("event.action:open and file.path:/etc/*").digest());
    assert_ne!(one.digest(), read("").digest());
    expect!["5500912e4d58a6a0d31efdabdafacc24"].assert_eq(&hex::encode(one.digest()));
}

#[test]
fn the_bounds_are_those_of_the_programs() {
    assert_eq!(decide::MAX_CHECKS as u32, event::MATCH_CHECKS);
    assert_eq!(decide::MAX_PIECES as u32, event::MATCH_PATTERN_PIECES);
    assert_eq!(decide::MAX_PATTERN_BYTES as u32, event::MATCH_PATTERN_MAX);
    assert_eq!(decide::TEXT_BYTES as u32, event::MATCH_TEXT_MAX);
    let bits = [event::EVENT_ACCESS_READ, event::EVENT_ACCESS_WRITE, event::EVENT_ACCESS_EXEC];
    assert_eq!((0..).zip(ACCESS).map(|(n, _)| 1 << n).collect::<Vec<u32>>(), bits);
    assert_eq!(u32::from(Kind::FILE_OPEN.number()), event::EVENT_FILE_OPEN);
    assert_eq!(u32::from(Kind::FILE_MMAP_EXEC.number()), event::EVENT_FILE_MMAP_EXEC);
}

#[test]
fn the_built_in_collection_is_bounded() {
    let built_in = Collection::built_in();
    let refused: Vec<String> =
        built_in.refusals().map(|(line, why)| format!("{}: {why}", line.number)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let tables = built_in.tables();
    println!(
        "built-in collection {}: {} lines, {} rows ({} with patterns), {} numbers, {} texts, {} vectors, {} patterns",
        hex::encode(built_in.digest()),
        built_in.lines().len(),
        tables.n_rows,
        tables.checks.len(),
        tables.numbers.len(),
        tables.texts.len(),
        tables.vectors.len(),
        tables.patterns.len(),
    );
    assert!(tables.n_rows <= 256, "{} rows", tables.n_rows);
    let image = tables.image(0, 1);
    let kernel = Kernel::new(&image, 0);
    let wants = |kind: Kind, access: u8, path: &str, target: Option<&str>| {
        kernel.wants(&Seen {
            call: None,
            kind: kind.number().into(),
            user: Some(0),
            access,
            executable: Some(b"/usr/bin/x".into()),
            path: Some(path.into()),
            target: target.map(Into::into),
        })
    };
    for (kind, access, path) in [
        (Kind::FILE_OPEN, 0b01, "/etc/shadow"),
        (Kind::FILE_OPEN, 0b01, "/home/a/.ssh/id_ed25519"),
        (Kind::FILE_OPEN, 0b01, "/home/a/.config/google-chrome/Default/Login Data"),
        (Kind::FILE_OPEN, 0b01, "/proc/17/environ"),
        (Kind::FILE_OPEN, 0b01, "/run/secrets/kubernetes.io/serviceaccount/token"),
        (Kind::FILE_OPEN, 0b11, "/etc/ld.so.preload"),
        (Kind::FILE_OPEN, 0b10, "/home/a/.bashrc"),
        (Kind::FILE_OPEN, 0b11, "/var/lib/postgresql/.ssh/authorized_keys"),
        (Kind::FILE_SETXATTR, 0, "/usr/bin/ping"),
        (Kind::FILE_CREATE, 0b10, "/etc/systemd/system/x.service"),
        (Kind::FILE_CREATE, 0b10, "/var/www/html/x.php"),
        (Kind::FILE_CREATE, 0, "/tmp/.x"),
        (Kind::FILE_CREATE, 0, "/dev/shm/a.so"),
        (Kind::FILE_UNLINK, 0, "/var/log/wtmp"),
        (Kind::FILE_CHMOD, 0, "/tmp/x"),
        (Kind::FILE_MMAP_EXEC, 0b100, "/home/a/x"),
        (Kind::FILE_MMAP_EXEC, 0b100, "/tmp/x.so"),
        (Kind::FILE_MMAP_EXEC, 0b100, "/memfd:x"),
    ] {
        assert!(wants(kind, access, path, None), "{kind} {access} {path}");
    }
    for (kind, access, path) in [
        (Kind::FILE_OPEN, 0b01, "/etc/passwd"),
        (Kind::FILE_OPEN, 0b01, "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        (Kind::FILE_OPEN, 0b11, "/home/a/project/main.c"),
        (Kind::FILE_OPEN, 0b01, "/home/a/.bashrc"),
        (Kind::FILE_OPEN, 0b01, "/proc/17/status"),
        (Kind::FILE_OPEN, 0b10, "/var/lib/postgresql/base/1"),
        (Kind::FILE_CREATE, 0b10, "/tmp/ccX1.s"),
        (Kind::FILE_UNLINK, 0, "/tmp/ccX1.s"),
        (Kind::FILE_MMAP_EXEC, 0b100, "/usr/lib/x86_64-linux-gnu/libc.so.6"),
    ] {
        assert!(!wants(kind, access, path, None), "{kind} {access} {path}");
    }
    assert!(wants(Kind::FILE_RENAME, 0, "/root/x", Some("/etc/cron.d/x")));
    assert!(!wants(Kind::FILE_RENAME, 0, "/home/a/x", Some("/home/a/y")));
    assert!(wants(Kind::CONNECT, 0, "", None));
}

#[test]
fn a_row_that_wants_no_path_matches_none() {
    let collection = read("not file.path:*\nfile.path:/etc/* and process.user.id:7");
    let image = collection.tables().image(1, 1);
    let wants = |path: &str, user| {
        let path = Some(path.into()).filter(|path: &Vec<u8>| !path.is_empty());
        let kind = Kind::FILE_OPEN.number().into();
        Kernel::new(&image, 1).wants(&Seen { kind, user: Some(user), path, ..Seen::default() })
    };
    assert!(wants("/etc/x", 7) && wants("", 0));
    assert!(!wants("/etc/x", 0) && !wants("/x", 7));
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("*".to_owned()),
        2 => Just("/".to_owned()),
        8 => "/[ab]{1,2}",
        3 => "[ab]{1,2}",
        1 => (248..258usize).prop_map(|n| "a".repeat(n)),
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

fn literal() -> impl Strategy<Value = String> {
    let fields = vec!["file.path", "file.target_path", "process.executable", "process.name"];
    let list = prop::collection::vec((any::<bool>(), value()), 1..4).prop_map(|values| {
        let values: Vec<String> =
            values.into_iter().map(|(not, value)| if not { format!("not {value}") } else { value }).collect();
        values.join(" or ")
    });
    let other = prop::sample::select(vec![
        "event.action:open",
        "event.action:(rename or connect)",
        "event.category:file",
        "file.access:write",
        "file.access:(read or exec)",
        "process.user.id:(1 or 2)",
        "process.user.id > 0",
        "not file.path:*",
        "not file.target_path:*",
        "not process.executable:*",
        "event.action:(read or close)",
        "event.category:syscall and event.action:read",
        "syscall.number:(3 or 400)",
        "not syscall.number:3",
    ]);
    prop_oneof![
        6 => (prop::sample::select(fields), list).prop_map(|(field, list)| format!("{field}:({list})")),
        4 => other.prop_map(str::to_owned),
    ]
}

fn query() -> impl Strategy<Value = String> {
    literal().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            1 => prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" or "))),
            1 => inner.prop_map(|inner| format!("not {inner}")),
        ]
    })
}

/// An event as the kernel sees it and as it is shipped.
fn event() -> impl Strategy<Value = (Seen, FlatEvent)> {
    let path = || {
        let piece = prop_oneof![6 => "/[ab]{0,2}", 1 => (248..258usize).prop_map(|n| "a".repeat(n))];
        prop::collection::vec(piece, 1..4).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
    };
    let is_tried = |info: &&KindInfo| !is_always_shipped(info.kind) && !info.kind.is_call();
    let mut kinds: Vec<(&KindInfo, Option<u32>)> =
        Kind::known().filter(is_tried).map(|info| (info, None)).collect();
    let calls = call::all().filter(|call| CALLS.contains(&(call.place % SYSCALL_NUMBERS)));
    kinds.extend(calls.map(|call| (call.kind.info().unwrap(), Some(call.number))));
    let parts = (
        prop::sample::select(kinds),
        prop::option::weighted(0.9, path()),
        prop::option::weighted(0.9, path()),
        prop::option::weighted(0.9, path()),
        prop::option::weighted(0.9, 0u32..4),
        0u8..8,
    );
    parts.prop_map(|((info, call), executable, path, target, user, access)| {
        let has = |field: &Field| field.place() != Place::Event || info.columns.contains(field);
        let seen = Seen {
            kind: info.kind.number().into(),
            user,
            call,
            access: if has(&Field::FileAccess) { access } else { 0 },
            executable,
            path: path.filter(|_| has(&Field::FilePath)),
            target: target.filter(|_| has(&Field::FileTargetPath)),
        };
        let flat = shipped(info.kind, &seen);
        (seen, flat)
    })
}

fn shipped(kind: Kind, seen: &Seen) -> FlatEvent {
    let mut flat = FlatEvent::default();
    let mut set =
        |field, value: Option<Value>| value.into_iter().for_each(|value| flat.row.set(field, value));
    let text = |text: &Option<Vec<u8>>| text.clone().map(|text| Value::Keyword(text.into()));
    set(Field::EventAction, of_kind(Field::EventAction, kind));
    set(Field::EventCategory, of_kind(Field::EventCategory, kind));
    set(Field::ProcessUserId, seen.user.map(|user| Value::Uint(user.into())));
    set(Field::SyscallNumber, seen.call.map(|number| Value::Uint(number.into())));
    set(Field::ProcessExecutable, text(&seen.executable));
    let name =
        seen.executable.as_ref().map(|path| path.rsplit(|byte| *byte == b'/').next().unwrap().to_vec());
    set(Field::ProcessName, text(&name));
    set(Field::FilePath, text(&seen.path));
    set(Field::FileTargetPath, text(&seen.target));
    let access = (0..).zip(ACCESS).filter(|(n, _)| seen.access & 1 << n != 0);
    let access: Vec<Bytes> = access.map(|(_, name)| Bytes::from_static(name.as_bytes())).collect();
    set(Field::FileAccess, (!access.is_empty()).then_some(Value::List(access)));
    flat
}

/// Queries and events rarely meet, so many are tried.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_kernel_ships_what_the_queries_match(
        queries in prop::collection::vec(query(), 0..6),
        events in prop::collection::vec(event(), 1..12),
        slot in 0u32..2,
    ) {
        let collection = read(&queries.join("\n"));
        let image = collection.tables().image(slot, 7);
        let kernel = Kernel::new(&image, slot);
        let mut predicates = Vec::new();
        for line in collection.lines() {
            if line.refusal().is_none() {
                predicates.push(Predicate::parse(&line.text, &Options::default()).unwrap());
            }
        }
        for (seen, flat) in &events {
            let expected = predicates.iter().any(|predicate| predicate.matches(flat));
            let found = kernel.wants(seen) && is_looked_at(&collection, seen);
            match seen.call {
                // System calls are shipped by those queries only that say so.
                Some(_) => prop_assert!(!found || expected, "{:?} {:?}", queries, flat),
                None => prop_assert_eq!(found, expected, "{:?} {:?}", queries, flat),
            }
        }
    }

    #[test]
    fn the_kernel_ships_the_calls_that_are_asked_for(
        queries in prop::collection::vec(query(), 0..6),
        events in prop::collection::vec(event(), 1..12),
    ) {
        let queries: Vec<String> =
            queries.iter().map(|query| format!("event.category:syscall and syscall.number <= 40 and ({query})")).collect();
        let collection = read(&queries.join("\n"));
        let image = collection.tables().image(0, 7);
        let kernel = Kernel::new(&image, 0);
        let decided = collection.lines().iter().filter(|line| line.refusal().is_none());
        let predicates: Vec<Predicate> =
            decided.map(|line| Predicate::parse(&line.text, &Options::default()).unwrap()).collect();
        for (seen, flat) in &events {
            let expected = predicates.iter().any(|predicate| predicate.matches(flat));
            let found = kernel.wants(seen) && is_looked_at(&collection, seen);
            prop_assert_eq!(found, expected, "{:?} {:?}", queries, flat);
        }
    }
}

/// Numbers of system calls that are tried.
const CALLS: [u32; 4] = [3, 40, 41, 400];

/// A call of which no place is asked for is not looked at.
fn is_looked_at(collection: &Collection, seen: &Seen) -> bool {
    seen.call.is_none() || collection.tables().calls.values().any(|kind| u64::from(*kind) == seen.kind)
}

#[test]
fn of_system_calls_those_are_looked_at_that_some_row_asks_for() {
    let calls = |text: &str| -> Vec<String> {
        let calls = read(text).tables().calls.clone().into_iter();
        calls.map(|(place, kind)| format!("{place} {}", Kind::new(kind as u16))).collect()
    };
    assert_eq!(calls(""), [""; 0]);
    assert_eq!(calls("event.category:(process or file)\nprocess.name:x\nevent.action:connect"), [""; 0]);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(calls("event.action:keyctl"), ["250 syscall.keyctl", "800 syscall.keyctl"]);
        assert_eq!(calls("syscall.number:250"), ["250 syscall.keyctl", "762 syscall.fadvise64"]);
        assert_eq!(
            calls("syscall.number:250 and event.action:keyctl\nevent.action:stime"),
            ["250 syscall.keyctl", "537 syscall.stime"]
        );
        assert_eq!(calls("syscall.number:511"), ["511 syscall.syscall_511", "1023 syscall.syscall_511"]);
    }
    let numbers = read("syscall.number:250 and process.user.id:0").tables().numbers.len();
    assert!(numbers < 8, "kinds are looked up of those calls only: {numbers}");
}

#[test]
fn there_is_an_end_to_the_calls_that_are_asked_for() {
    let line = |first: usize| format!("syscall.number >= {first} and syscall.number < {}", first + 32);
    let text: Vec<String> = (0..6).map(|n| line(n * 32)).collect();
    let collection = read(&text.join("\n"));
    let refused: Vec<String> = collection.refusals().map(|(_, refusal)| refusal.to_string()).collect();
    assert!(
        !refused.is_empty() && refused.iter().all(|refusal| refusal.contains("system calls")),
        "{refused:?}"
    );
}

proptest! {
    #[test]
    fn a_refusal_names_a_line_and_reading_again_changes_nothing(
        lines in prop::collection::vec(prop_oneof![3 => query(), 1 => "\\PC{0,20}", 1 => Just("# x".to_owned())], 0..6),
    ) {
        let text = lines.join("\n");
        let collection = read(&text);
        prop_assert_eq!(&read(&text), &collection);
        for (line, _) in collection.refusals() {
            prop_assert_eq!(text.lines().nth(line.number - 1).unwrap().trim_ascii(), &line.text);
        }
        let kept: Vec<&str> =
            collection.lines().iter().filter(|line| line.refusal().is_none()).map(|line| line.text.as_str()).collect();
        let again = read(&[kept.join("\n"), kept.join("\n")].join("\n"));
        prop_assert_eq!(again.tables(), collection.tables(), "said twice, and without what is refused");
        prop_assert_eq!(again.digest(), collection.digest());
    }

    #[test]
    fn any_bytes_are_a_collection_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Collection::read(&bytes));
    }

    #[test]
    fn both_slots_hold_the_same_apart(queries in prop::collection::vec(query(), 0..4)) {
        let tables = read(&queries.join("\n")).tables().clone();
        let (first, second) = (tables.image(0, 3), tables.image(1, 3));
        prop_assert_eq!(first.numbers.len() + second.numbers.len(), 2 * tables.numbers.len());
        prop_assert!(first.numbers.keys().all(|key| !second.numbers.contains_key(key)));
        prop_assert!(first.texts.keys().all(|key| !second.texts.contains_key(key)));
        prop_assert!(first.vectors.keys().all(|key| !second.vectors.contains_key(key)));
        prop_assert!(first.patterns.keys().all(|key| !second.patterns.contains_key(key)));
        prop_assert!(first.checks.keys().all(|key| !second.checks.contains_key(key)));
    }
}
