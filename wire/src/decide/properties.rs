//! What must hold for any query that a kernel can decide.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::texts::tests::accepts;
use super::*;
use crate::event::{FlatEvent, Kind, KindInfo};
use crate::flat::of_kind;
use crate::value::Value;

/// How a query is decided, or why it is not.
#[track_caller]
pub(super) fn check(text: &str, expected: Expect) {
    expected.assert_eq(&match decide(text) {
        Ok(decision) if decision.rows.is_empty() => "always shipped".to_owned(),
        Ok(decision) => decision.rows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(error) => error.to_string(),
    });
}

#[test]
fn what_look_ups_tell_takes_one_row() {
    check("event.action:open and file.path:/etc/*", expect!["file.open; file.path: 1 looked up"]);
    check(
        "event.action:open and file.path:(/etc/* or /usr/* or /boot/grub.cfg) and not file.path:/etc/mtab",
        expect!["file.open; file.path: 4 looked up"],
    );
    check(
        "event.action:open and (file.path:/etc/* or file.path:/usr/*) and process.user.id > 0",
        expect!["file.open; process.user.id: all but 1; file.path: 2 looked up"],
    );
    check(
        "event.category:file and not event.action:(open or mmap_exec) and file.path:/etc/*",
        expect!["file.create, file.unlink, file.rename, file.link and 5 more; file.path: 1 looked up"],
    );
    check(
        "event.category:file and (file.access:write or not file.access:*) and file.path:/etc/*",
        expect![
            "file.open, file.create, file.unlink, file.rename and 7 more; file.access none|write|read+write|write+exec|read+write+exec; file.path: 1 looked up"
        ],
    );
    check(
        "event.action:open and file.path:(/etc/* and not /etc/*)",
        expect![
            "column 1: its conditions exclude one another, or no event has such a value, so it never matches"
        ],
    );
    check(
        "event.action:(accept or serve) and not file.path:*",
        expect!["network.accept, network.serve; file.path: none"],
    );
}

#[test]
fn what_differs_in_two_takes_two_rows() {
    check(
        "event.category:file and (file.path:/etc/* or file.target_path:/etc/*)",
        expect![[r#"
        file.rename, file.link, file.symlink; file.target_path: 1 looked up
        file.open, file.create, file.unlink, file.rename and 7 more; file.path: 1 looked up"#]],
    );
    check(
        "(event.action:(create or unlink) or event.action:open and file.access:write) and file.path:/etc/*",
        expect![[r#"
            file.open; file.access write|read+write|write+exec|read+write+exec; file.path: 1 looked up
            file.create, file.unlink; file.path: 1 looked up"#]],
    );
}

#[test]
fn gaps_are_looked_at() {
    check(
        "event.action:open and file.path:/home/*/.ssh/*",
        expect!["file.open; file.path: 1 looked up; file.path like /home/*/.ssh/*"],
    );
    check(
        "event.action:open and file.path:(/home/*/.ssh/* or *.pem or /etc/shadow)",
        expect![[r#"
            file.open; file.path: 1 looked up
            file.open; file.path like *.pem
            file.open; file.path: 1 looked up; file.path like /home/*/.ssh/*"#]],
    );
    check(
        "event.action:open and file.path:/proc/*/environ and not process.name:(ps or systemd)",
        expect![
            "file.open; file.path: 1 looked up; process.executable not like */ps; process.executable not like */systemd; file.path like /proc/*/environ"
        ],
    );
    check(
        "event.action:open and not process.name:*sh",
        expect!["file.open; process.executable not like *sh"],
    );
}

#[test]
fn what_is_shipped_anyway_takes_none() {
    check("event.action:(fork or exec or exit)", expect!["always shipped"]);
    check("event.action:exec and process.user.id:0", expect!["always shipped"]);
    check("event.category:sensor", expect!["always shipped"]);
    check("event.category:container and event.action:start", expect!["always shipped"]);
    check("event.action:(exec or open) and file.path:/etc/*", expect!["file.open; file.path: 1 looked up"]);
}

#[test]
fn what_never_matches_is_refused() {
    check(
        "event.action:connect and file.path:/etc/*",
        expect!["column 26: no event of network.connect, syscall.connect has file.path, so it never matches"],
    );
    check(
        "event.action:(exec or exit) and file.path:/etc/*",
        expect![
            "column 33: no event of process.exec, process.exit, syscall.exit has file.path, so it never matches"
        ],
    );
    check(
        "event.action:(close or accept) and process.user.id:0 and file.target_path:*.so",
        expect![
            "column 58: no event of network.accept, network.close, syscall.accept, syscall.close has file.target_path, so it never matches"
        ],
    );
    check(
        "event.category:sensor and process.name:curl",
        expect![
            "column 27: no event of sensor.started, sensor.stopped, sensor.heartbeat, sensor.loss and 2 more has process.executable, so it never matches"
        ],
    );
    check(
        "event.action:chmod and file.access:write",
        expect!["column 24: no event of file.chmod, syscall.chmod has file.access, so it never matches"],
    );
    check(
        "event.action:opne",
        expect![
            "column 14: no event of this version has `opne` as its event.action, so it never matches; did you mean `open`?"
        ],
    );
    check(
        "event.action:open and event.action:create",
        expect![
            "column 1: its conditions exclude one another, or no event has such a value, so it never matches"
        ],
    );
    check(
        "event.action:open and process.name:a/b",
        expect![
            "column 1: its conditions exclude one another, or no event has such a value, so it never matches"
        ],
    );
    check(
        "event.action:open and process.user.id:4294967296",
        expect![
            "column 1: its conditions exclude one another, or no event has such a value, so it never matches"
        ],
    );
}

#[test]
fn what_the_kernel_cannot_decide_is_refused() {
    check(
        "é or event.action:open and process.args:-v",
        expect![
            "column 1: a bare word is looked for in fields that are not known where the kernel decides, expected a field with a value, such as file.path:/etc/*"
        ],
    );
    check(
        "event.action:open and host.name:web-1",
        expect![
            "column 23: host.name is not known where the kernel decides, expected one of event.category, event.action, process.user.id, process.executable, process.name, file.path, file.target_path, file.access, syscall.number"
        ],
    );
    check(
        "event.action:connect and destination.port:22",
        expect![
            "column 26: destination.port is not known where the kernel decides, expected one of event.category, event.action, process.user.id, process.executable, process.name, file.path, file.target_path, file.access, syscall.number"
        ],
    );
    check(
        "file.path:\"/etc/shadow\"i",
        expect![
            "column 11: found a value with folded case, which the kernel cannot compare, expected a value in the case that is meant"
        ],
    );
    check(
        "file.path:/tmp/?",
        expect![
            "column 11: found a `?`, which the kernel cannot compare, expected a `*` in its place, or a list of values"
        ],
    );
    check(
        "file.path:\"/tmp/a\\x00b\"",
        expect!["column 11: found a NUL byte, which no path has, expected a value without it"],
    );
    check(
        "file.path:*1*2*3*4*5*6*7*8*9*",
        expect!["column 11: found a value with 9 stretches between its `*`, expected at most 8"],
    );
    check(
        "shadow",
        expect![
            "column 1: a bare word is looked for in fields that are not known where the kernel decides, expected a field with a value, such as file.path:/etc/*"
        ],
    );
    check(
        "process.name:cu*",
        expect![
            "column 14: found a `*` that is not at the start of a program's name, expected a name, or one with `*` at its start; ask for process.executable instead"
        ],
    );
    check(
        "process.user.id >= 1000",
        expect![
            "column 1: a range of 4294966296 user ids, expected one of at most 64, or of all but so many"
        ],
    );
    check(
        "event.action:open and file.path:(*a and *b and *c and *d and not *e)",
        expect![
            "column 33: 5 patterns have to be looked at one after another, expected at most 4; values without `*`, or with one at their end, are none"
        ],
    );
    check(
        "file.path:/etc/* and",
        expect!["column 21: the query ends here, expected a field with a value, or a word to look for"],
    );
}

#[test]
fn what_is_too_much_is_refused_with_how_much_it_is() {
    let long = |n: usize| format!("file.path:/{}", "a".repeat(n));
    assert_eq!(decide(&long(250)).unwrap().rows.len(), 1);
    assert!(decide(&long(250)).unwrap().rows[0].checks.is_empty());
    assert_eq!(decide(&long(255)).unwrap().rows[0].checks.len(), 1, "a text so long is looked at");
    check(
        &long(256),
        expect![
            "column 11: found a value of 257 bytes, expected at most 256, as the kernel compares no more"
        ],
    );
    let patterns = |n: usize| (0..n).map(|n| format!("*{n:03}*")).collect::<Vec<_>>().join(" or ");
    assert_eq!(decide(&format!("file.path:({})", patterns(256))).unwrap().rows.len(), 256);
    let twice = |n| format!("(file.path:({0}) or file.target_path:({0}))", patterns(n));
    check(
        &twice(129),
        expect![
            "column 2336: more than 256 values that are not plain, expected fewer wildcards, folded values and bare words; plain values cost little"
        ],
    );
    let all = |field: &str| format!("{field}:({})", patterns(95));
    let crossed = format!("{} and process.executable:({})", all("file.path"), patterns(95));
    check(
        &crossed,
        expect![
            "column 1: 9025 cases have to be told apart, expected at most 1024; write it as several entries"
        ],
    );
    let several = |n: usize| format!("file.path:({0}) and process.executable:({0})", patterns(n));
    assert_eq!(decide(&several(16)).unwrap().rows.len(), 256);
    check(
        &several(17),
        expect![
            "column 1: it takes 289 rows of the kernel's tables, expected at most 256; write it as several entries"
        ],
    );
    let values = |n: usize| (0..n).map(|n| format!("/{n:04}")).collect::<Vec<_>>().join(" or ");
    let decision = decide(&format!("file.path:({})", values(4_000))).unwrap();
    assert_eq!(decision.rows.len(), 1);
    assert_eq!(decision.rows[0].text(Text::Path).entries().len(), 4_000);
    let not = decide(&format!("event.action:open and not file.path:({})", values(4_000))).unwrap();
    assert_eq!(not.rows[0].text(Text::Path).entries().len(), 4_000);
}

/// The plain definition of a match, by trying every way.
fn is_like(pattern: &Pattern, text: &[u8]) -> bool {
    fn rest(pieces: &[Vec<u8>], at_end: bool, text: &[u8]) -> bool {
        let Some((first, others)) = pieces.split_first() else { return !at_end || text.is_empty() };
        (0..=text.len()).any(|n| {
            let text = text.get(n..).unwrap_or_default();
            text.strip_prefix(first.as_slice()).is_some_and(|text| rest(others, at_end, text))
        })
    }
    // With the end open, or reached by the last piece.
    match (pattern.at_start, pattern.pieces.split_first()) {
        (true, Some((first, others))) => {
            text.strip_prefix(first.as_slice()).is_some_and(|text| rest(others, pattern.at_end, text))
        }
        _ => rest(&pattern.pieces, pattern.at_end, text),
    }
}

/// Whether a row matches an event.
fn matches(row: &Row, kind: Kind, event: &FlatEvent) -> bool {
    let text = |text: Text| match event.row.get(match text {
        Text::Executable => Field::ProcessExecutable,
        Text::Path => Field::FilePath,
        Text::Target => Field::FileTargetPath,
    }) {
        Some(Value::Keyword(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    let user = match event.row.get(Field::ProcessUserId) {
        Some(Value::Uint(user)) => row.users.accepts(*user),
        _ => row.users.accepts_absent(),
    };
    let access = match event.row.get(Field::FileAccess) {
        Some(Value::List(items)) => {
            let has = |name: &str| items.iter().any(|item| item == name.as_bytes());
            (0..).zip(ACCESS).filter(|(_, name)| has(name)).fold(0, |mask, (n, _)| mask | 1 << n)
        }
        _ => 0,
    };
    let call = match event.row.get(Field::SyscallNumber) {
        Some(Value::Uint(number)) => row.calls.accepts(*number),
        _ => row.calls.accepts_absent(),
    };
    row.kinds.contains(kind)
        && user
        && call
        && row.access.accepts(access)
        && Text::ALL.iter().all(|which| accepts(row.text(*which), text(*which).as_deref()))
        && row
            .checks
            .iter()
            .all(|check| text(check.text).is_some_and(|text| is_like(&check.pattern, &text)) != check.negated)
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just("*".to_owned()),
        3 => Just("/".to_owned()),
        8 => "/[ab]{1,2}",
        4 => "[ab]{1,2}",
        1 => (248..258usize).prop_map(|n| "a".repeat(n)),
    ];
    prop_oneof![
        9 => prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat()),
        1 => Just("\"\"".to_owned()),
    ]
}

fn literal() -> impl Strategy<Value = String> {
    let texts =
        prop::sample::select(vec!["file.path", "file.target_path", "process.executable", "process.name"]);
    let list = prop::collection::vec((any::<bool>(), value()), 1..4).prop_map(|values| {
        let values: Vec<String> =
            values.into_iter().map(|(not, value)| if not { format!("not {value}") } else { value }).collect();
        values.join(" or ")
    });
    let other = prop::sample::select(vec![
        "event.action:open",
        "event.action:(rename or link)",
        "event.action:(connect or unlink)",
        "event.category:file",
        "event.category:\"FI\"i*",
        "event.action:c*",
        "file.access:write",
        "file.access:(read and exec)",
        "file.access:*",
        "process.user.id:0",
        "process.user.id:(1 or 2)",
        "process.user.id > 0",
        "process.user.id <= 2",
        "process.user.id:*",
        "event.category:syscall",
        "event.action:(open or keyctl)",
        "event.action:keyctl",
        "syscall.number:(1 or 2)",
        "syscall.number > 1",
        "syscall.number:*",
    ]);
    prop_oneof![
        6 => (texts, list).prop_map(|(field, list)| format!("{field}:({list})")),
        4 => other.prop_map(str::to_owned),
    ]
}

fn query() -> impl Strategy<Value = String> {
    literal().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" or "))),
            inner.prop_map(|inner| format!("not {inner}")),
        ]
    })
}

/// An event with no more than its kind may have.
fn event() -> impl Strategy<Value = (&'static KindInfo, FlatEvent)> {
    let path = || {
        let piece = prop_oneof![6 => "/[ab]{0,2}", 1 => (248..258usize).prop_map(|n| "a".repeat(n))];
        prop::collection::vec(piece, 1..4).prop_map(|pieces| Bytes::from(format!("/{}", pieces.concat())))
    };
    let calls = ["keyctl", "open", "connect", "syscall_499"];
    let is_tried = |info: &&KindInfo| !info.kind.is_call() || calls.contains(&info.action);
    let kinds: Vec<&KindInfo> = Kind::known().filter(is_tried).collect();
    let access = prop::sample::subsequence(ACCESS.to_vec(), 0..=3);
    let parts = (
        prop::sample::select(kinds),
        prop::option::weighted(0.8, path()),
        prop::option::weighted(0.8, path()),
        prop::option::weighted(0.8, path()),
        prop::option::weighted(0.8, 0u64..4),
        access,
        0u64..4,
    );
    parts.prop_map(|(info, executable, path, target, user, access, number)| {
        let mut event = FlatEvent::default();
        let mut set = |field: Field, value: Option<Value>| {
            if let Some(value) = value.filter(|_| kinds::may_have(info.kind, field)) {
                event.row.set(field, value);
            }
        };
        set(Field::EventAction, of_kind(Field::EventAction, info.kind));
        set(Field::EventCategory, of_kind(Field::EventCategory, info.kind));
        let name = executable.as_ref().map(|path| path.slice_ref(crate::term::base_name(path)));
        set(
            Field::ProcessName,
            name.map(Value::Keyword).filter(|_| kinds::may_have(info.kind, Field::ProcessExecutable)),
        );
        set(Field::ProcessExecutable, executable.map(Value::Keyword));
        set(Field::FilePath, path.map(Value::Keyword));
        set(Field::FileTargetPath, target.map(Value::Keyword));
        set(Field::ProcessUserId, user.map(Value::Uint));
        set(Field::SyscallNumber, Some(Value::Uint(number)));
        let access: Vec<Bytes> = access.iter().map(|name| Bytes::from_static(name.as_bytes())).collect();
        set(Field::FileAccess, (!access.is_empty()).then_some(Value::List(access)));
        (info, event)
    })
}

/// Queries and events rarely meet, so many are tried.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(4_000), ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn rows_match_what_the_query_matches(text in query(), events in prop::collection::vec(event(), 1..12)) {
        let predicate = Predicate::parse(&text, &Options::default()).unwrap();
        let decided = decide(&text);
        for (info, event) in &events {
            let expected = predicate.matches(event);
            match &decided {
                Ok(decision) if !is_always_shipped(info.kind) => {
                    let found = decision.rows.iter().any(|row| matches(row, info.kind, event));
                    let says_so = ["syscall", "keyctl"].iter().any(|word| text.contains(word));
                    if info.kind.is_call() {
                        prop_assert!(!found || (expected && says_so), "{} {:?} {:?}", text, event, decision.rows);
                        continue;
                    }
                    prop_assert_eq!(found, expected, "{} {:?} {:?}", text, event, decision.rows);
                }
                Ok(_) => {}
                Err(error) if error.message.contains("never matches") => prop_assert!(!expected, "{text}"),
                Err(error) => prop_assert!(error.expected.is_some(), "{text}: {error}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    /// What says that it is about system calls matches just those that the query matches, or is refused.
    #[test]
    fn calls_match_where_they_are_asked_for(text in query(), events in prop::collection::vec(event(), 1..12)) {
        let text = format!("event.category:syscall and ({text})");
        let predicate = Predicate::parse(&text, &Options::default()).unwrap();
        let Ok(decision) = decide(&text) else { return Ok(()) };
        for (info, event) in &events {
            let found = decision.rows.iter().any(|row| matches(row, info.kind, event));
            prop_assert_eq!(found, predicate.matches(event), "{} {:?} {:?}", text, event, decision.rows);
        }
    }
}

proptest! {
    #[test]
    fn bounds_are_kept(text in query()) {
        if let Ok(decision) = decide(&text) {
            prop_assert!(decision.rows.len() <= MAX_ROWS);
            for row in &decision.rows {
                prop_assert!(row.checks.len() <= MAX_CHECKS);
                prop_assert!(row.kinds.iter().all(|kind| !is_always_shipped(kind)));
                for Check { pattern, .. } in &row.checks {
                    prop_assert!((1..=MAX_PIECES).contains(&pattern.pieces.len()));
                    prop_assert!(pattern.n_bytes() <= MAX_PATTERN_BYTES);
                }
                for (key, _) in Text::ALL.iter().flat_map(|text| row.text(*text).entries()) {
                    prop_assert!((1..=TEXT_BYTES).contains(&key.len()));
                }
            }
        }
    }
}
