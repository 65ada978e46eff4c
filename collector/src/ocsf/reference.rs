//! The reference of the mapping, `docs/ocsf.md`: written from the tables that the records are written by.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wire::event::Kind;
use wire::field::Field;
use wire::flat::of_kind;

use super::class::Class;
use super::kinds::{self, TABLES};
use super::mapping::{Case, Mapping, Roles};
use super::process::PROCESS;
use super::verdict::VERDICT;
use crate::shape::attribute::{Line, lines};
use crate::shape::is_of_events;

/// The generated part begins with this heading, and nothing follows it.
pub const HEADING: &str = "## Kinds of events\n";

/// The generated part. `example` knows a value that stands at a path in some event: of a class, or of any.
pub fn text(example: &dyn Fn(Option<&Class>, &str) -> Option<String>) -> String {
    let mut text = String::from(HEADING);
    text.push_str("\n| event | class | activity | `type_uid` | severity |\n|---|---|---|---|---|\n");
    for mapping in all() {
        for case in distinct(mapping) {
            let class = mapping.class;
            let _ = writeln!(
                text,
                "| {} | {} ({}) | {} ({}) | {} | {} |",
                of(mapping),
                class.name,
                class.uid,
                case.activity_name(class),
                case.activity,
                class.type_uid(case.activity),
                super::codes::severity(case.severity),
            );
        }
    }
    text.push_str("\n## Every event\n\n");
    table(&mut text, &every(), &|path| example(None, path));
    text.push_str(
        "\n## The process\n\nAs `actor.process`, or as `process` where the event is about its life.\n\n",
    );
    let mut process = lines("process", PROCESS);
    process.extend(FAMILY.iter().map(|(field, path)| line(*field, path)));
    table(&mut text, &process, &|path| {
        example(None, path).or_else(|| example(None, &format!("actor.{path}")))
    });
    for class in classes() {
        section(&mut text, class, &|path| example(Some(class), path));
    }
    text
}

/// What is written of every event, beside what the tables say.
const EVERY: &[(Field, &str)] = &[
    (Field::Timestamp, "time"),
    (Field::Timestamp, "time_dt"),
    (Field::EventId, "metadata.uid"),
    (Field::EventSequence, "metadata.sequence"),
    (Field::EventCategory, "metadata.event_code"),
    (Field::EventAction, "metadata.event_code"),
    (Field::EventSensorTime, "metadata.original_time"),
    (Field::EventIngested, "metadata.logged_time"),
    (Field::EventIngested, "metadata.logged_time_dt"),
    (Field::HostTags, "metadata.labels"),
    (Field::HostId, "device.uid"),
    (Field::HostName, "device.hostname"),
    (Field::HostBootId, "device.boot_uid"),
    (Field::SensorCollection, "unmapped.sensor.collection"),
];

/// What is written of a process's ancestors.
const FAMILY: &[(Field, &str)] = &[
    (Field::ProcessParentEntityId, "process.parent_process.uid"),
    (Field::ProcessParentPid, "process.parent_process.pid"),
    (Field::ProcessParentName, "process.parent_process.name"),
    (Field::ProcessParentExecutable, "process.parent_process.file.path"),
    (Field::ProcessParentCommandLine, "process.parent_process.cmd_line"),
    (Field::ProcessAncestorEntityId, "process.ancestry[].uid"),
    (Field::ProcessAncestorName, "process.ancestry[].name"),
    (Field::ProcessAncestorExecutable, "process.ancestry[].path"),
];

fn line(field: Field, path: &str) -> Line {
    Line { field, path: path.to_owned(), note: None }
}

fn every() -> Vec<Line> {
    EVERY.iter().map(|(field, path)| line(*field, path)).chain(lines("", VERDICT)).collect()
}

/// Every kind's, then those of the system calls and of what is not known.
fn all() -> impl Iterator<Item = &'static Mapping> {
    let others = [kinds::of(Kind::nameless_call(0)), kinds::of(Kind::new(0))];
    TABLES.into_iter().flatten().chain(others)
}

fn of(mapping: &Mapping) -> String {
    match mapping.kind {
        kind if kind.is_call() => "`syscall.*`".to_owned(),
        kind if kind.info().is_none() => "of a later version".to_owned(),
        kind => format!("`{kind}`"),
    }
}

/// A kind's cases, of those with one activity and severity only the first.
fn distinct(mapping: &'static Mapping) -> Vec<&'static Case> {
    let mut seen = BTreeSet::new();
    let is_new = |case: &&Case| seen.insert((case.activity, case.name, case.severity));
    mapping.cases.iter().filter(is_new).collect()
}

fn classes() -> Vec<&'static Class> {
    let mut classes: Vec<&Class> = all().map(|mapping| mapping.class).collect();
    classes.sort_by_key(|class| class.uid);
    classes.dedup_by_key(|class| class.uid);
    classes
}

fn section(text: &mut String, class: &'static Class, example: &dyn Fn(&str) -> Option<String>) {
    let of_class: Vec<&Mapping> = all().filter(|mapping| mapping.class.uid == class.uid).collect();
    let _ = write!(text, "\n## {} ({})\n\nOf ", class.name, class.uid);
    text.push_str(&of_class.iter().map(|mapping| of(mapping)).collect::<Vec<_>>().join(", "));
    text.push_str(".\n\n");
    let mut found: Vec<Line> = Vec::new();
    for mapping in &of_class {
        let changed = match mapping.roles {
            Roles::Changed(attributes) => lines("process", attributes),
            _ => Vec::new(),
        };
        let of_cases = mapping.cases.iter().flat_map(|case| lines("", case.attributes));
        for line in of_cases.chain(changed).chain(lines("", class.attributes)) {
            if is_told(mapping.kind, line.field) && !found.contains(&line) {
                found.push(line);
            }
        }
    }
    table(text, &found, example);
    let columns = of_class.iter().filter_map(|mapping| Some((mapping, mapping.kind.info()?)));
    let rest: BTreeSet<&str> = columns
        .flat_map(|(mapping, info)| {
            let mapped = move |field: Field| mapping.cases.iter().all(|case| mapping.mapped(case).has(field));
            info.columns.iter().copied().filter(move |field| !mapped(*field)).map(Field::name)
        })
        .collect();
    if !rest.is_empty() {
        let names: Vec<String> = rest.into_iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "\nIn `unmapped`: {}.", names.join(", "));
    }
}

/// Whether sensors tell a field of such events. What they tell of a later version's is not known.
fn is_told(kind: Kind, field: Field) -> bool {
    let is_column = kind.info().is_some_and(|info| info.columns.contains(&field));
    is_column || !is_of_events(field) || of_kind(field, kind).is_some()
}

fn table(text: &mut String, lines: &[Line], example: &dyn Fn(&str) -> Option<String>) {
    text.push_str("| field | attribute | example |\n|---|---|---|\n");
    for Line { field, path, note } in lines {
        let note = note.map(|note| format!(", {note}")).unwrap_or_default();
        let example = example(path).map(|json| format!("`{}`", json.replace('|', "\\|"))).unwrap_or_default();
        let _ = writeln!(text, "| `{field}` | `{path}`{note} | {example} |");
    }
}
