//! Tetragon's own examples as rules: what each part of them becomes, and the page that says so.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vedette_collector::import::tracing_policy::{self, Became, Part};
use vedette_collector::rules::file;
use wire::time::WallTime;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tracing_policy/policies")
}

fn policies() -> BTreeMap<String, Vec<Part>> {
    let files = std::fs::read_dir(folder()).unwrap();
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let parts = tracing_policy::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, parts)
    };
    files.map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn every_part_becomes_a_rule_or_says_what_is_missing() {
    let policies = policies();
    assert!(policies.len() >= 30, "{}", policies.len());
    let mut n_rules = 0;
    for (name, parts) in &policies {
        assert!(!parts.is_empty(), "{name}");
        for part in parts {
            match &part.became {
                Became::Rule { rule, .. } => {
                    n_rules += 1;
                    rule.check().unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
                }
                Became::Needless(why) | Became::Left(why) => assert!(!why.is_empty(), "{name}"),
            }
        }
        let text = tracing_policy::yaml(parts);
        if !text.is_empty() {
            let rules =
                file::read(&text, WallTime::default()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let of_parts = parts.iter().filter(|part| matches!(part.became, Became::Rule { .. })).count();
            assert_eq!(rules.len(), of_parts, "{name}");
        }
    }
    assert!(n_rules >= 15, "{n_rules} rules");
}

const TOP: &str = "\
# Tracing policies

`vedette import tracing-policy FILE…` turns Tetragon's policies into rules (`docs/rules.md`): it prints the rules as YAML, and says on standard error what each part of each
policy became. Written by `UPDATE_DOCS=1 cargo test -p vedette-collector --test tracing_policy`.

A policy names functions of the kernel, and says which arguments, programs, namespaces, capabilities and pids it wants of them. The sensor's places are fixed, and each tells an event; so what is asked of a function becomes a query for the event that tells of
it, if there is one, and else it is left, with what is missing. A rule that kills or refuses is made only if this version can decide it in the kernel: it is not made an alert instead. All rules observe; promoting them is somebody's decision.

What differs is written before each rule as a comment.

## What is asked for

| in the policy | in the rule |
|---|---|
| `matchBinaries` (`In`, `NotIn`, `Prefix`, `Postfix`, their opposites; `followChildren`) | `process.executable`, and `process.ancestor.executable`; at an exec, `process.parent.executable` |
| `matchArgs` | the fields of the next table |
| `matchNamespaces` (`Pid`, `User`, `Mnt`, `Net`; `host_ns` of the first two) | `process.namespace.*` |
| `matchCapabilities`, effective | `process.capabilities` |
| `matchPIDs` without `followForks` and `isNamespacePID` | `process.pid` |
| `podSelector`, `containerSelector` by labels; a namespaced policy | `kubernetes.labels`, `container.name`, `container.image.name`, `kubernetes.namespace` |
| `Post`; `Override`, `NotifyEnforcer`; `Sigkill`, `Signal` 9 | `action: ship`; `deny`; `kill` |
| `TrackSock`, `UntrackSock`, `FollowFD` | nothing: the sensor follows sockets and descriptors anyway |

Missing: functions of programs (`uprobes`, `usdts`), generated lists, `matchReturnArgs`, `matchCapabilityChanges`, `matchNamespaceChanges`, changing arguments or results, other signals, fetching a URL.

## Which events tell of which functions

";

#[test]
fn the_page_says_what_becomes_of_what() {
    let mut page = TOP.to_owned();
    page.push_str(&tracing_policy::reference());
    page.push_str("\nOther system calls with `syscall: true` become `event.category:syscall and event.action:NAME`, as far as nothing is asked of their arguments.\n");
    page.push_str("\n## Tetragon's examples\n\n| policy | part | what it becomes |\n|---|---|---|\n");
    for (name, parts) in policies() {
        for part in parts {
            let became = match part.became {
                Became::Rule { rule, notes } => {
                    let notes: String = notes.iter().map(|note| format!(". {note}")).collect();
                    format!("{}: `{}`{notes}", rule.action.name(), rule.when)
                }
                Became::Needless(why) => format!("needless: {why}"),
                // The second line of a query's error is the text itself.
                Became::Left(why) => {
                    let said: Vec<&str> = why.lines().take(2).map(str::trim).collect();
                    format!("**left**: {}", said.join("; "))
                }
            };
            let became = became.replace('|', "\\|");
            let _ = writeln!(page, "| {name} | {} | {became} |", part.place);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tracing-policy.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/tracing-policy.md is not what comes of the policies; run again with UPDATE_DOCS=1"
    );
}
