//! Holds the walls of the house: which crate may know which, who may name which library, and how files look.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file of the project, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in ["wire", "sensor-bpf", "sensor", "collector", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

fn collect(dir: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "c" || e == "h") {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The code without comments, docstrings and the tests at the end of a file.
fn code(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether `name::` or `use name` stands in the code as a path of its own.
fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code.get(..at).and_then(|s| s.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '-')
    })
}

#[test]
fn crates_know_only_those_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("wire", &[][..]),
        ("sensor-bpf", &[][..]),
        ("sensor", &["wire", "sensor-bpf"][..]),
        ("collector", &["wire"][..]),
        ("tests", &["wire", "vedette-sensor", "vedette-collector", "guest"][..]),
        ("tests/guest", &[][..]),
    ]);
    let ours = ["wire", "sensor-bpf", "vedette-sensor", "vedette-collector", "tests", "guest"];
    for (folder, may) in allowed {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        for name in ours {
            let depends = manifest.lines().any(|line| {
                line.starts_with(&format!("{name}.workspace")) || line.starts_with(&format!("{name} = {{"))
            });
            let itself = folder.ends_with(name) || name == format!("vedette-{folder}");
            assert!(
                itself || !depends || may.contains(&name),
                "{folder} depends on {name}, and may depend only on {may:?}"
            );
        }
    }
}

#[test]
fn the_wire_does_no_io() {
    let manifest = std::fs::read_to_string(root().join("wire/Cargo.toml")).unwrap();
    for name in ["tokio", "sqlx", "aya", "quinn", "axum", "rdkafka"] {
        assert!(!manifest.lines().any(|line| line.starts_with(name)), "wire depends on {name}");
    }
    for (file, text) in sources() {
        if file.starts_with("wire/src/") {
            for name in ["std::fs", "std::net::Tcp", "std::net::Udp", "SystemTime::now", "Instant::now"] {
                assert!(
                    !code(&text).contains(name),
                    "{file} uses {name}: wire does no I/O and takes the time as a parameter"
                );
            }
        }
    }
}

#[test]
fn records_are_made_without_io() {
    let rooms = ["shape", "ocsf", "ecs", "record"].map(|room| format!("collector/src/{room}"));
    let banned =
        ["std::fs", "std::net::Tcp", "std::net::Udp", "SystemTime::now", "Instant::now", "Timestamp::now"];
    let libraries = ["tokio", "sqlx", "axum", "rdkafka", "reqwest"];
    let mut n = 0;
    for (file, text) in sources() {
        if !rooms.iter().any(|room| file.starts_with(room)) {
            continue;
        }
        n += 1;
        let code = code(&text);
        for name in banned {
            assert!(!code.contains(name), "{file} uses {name}: a record is made of what is given");
        }
        for name in libraries {
            assert!(!names_crate(&code, name), "{file} names {name}: a record is made of what is given");
        }
        assert!(!code.contains("crate::store"), "{file} knows the store: the store knows it");
    }
    assert!(n > 20, "only {n} files of these rooms were found");
}

#[test]
fn each_library_is_named_only_in_its_room() {
    let rooms: [(&str, &[&str]); 5] = [
        ("aya", &["sensor/src/probe", "sensor/src/probe.rs"]),
        (
            "sqlx",
            &[
                "collector/src/store",
                "collector/src/serve.rs",
                "collector/src/postgres",
                "tests/",
                "collector/tests/",
                "collector/benches/",
            ],
        ),
        (
            "axum",
            &[
                "collector/src/api",
                "collector/src/console",
                "collector/src/metrics.rs",
                "collector/src/serve",
                "collector/tests/",
            ],
        ),
        ("rdkafka", &["collector/src/kafka", "collector/tests/kafka"]),
        (
            "quinn",
            &[
                "sensor/src/uplink",
                "collector/src/listener",
                "collector/src/serve",
                "collector/src/ca",
                "tests/",
                "collector/benches/",
                "collector/tests/",
                "sensor/tests/",
            ],
        ),
    ];
    let mut trespassers = Vec::new();
    for (file, text) in sources() {
        let code = code(&text);
        for (library, may) in &rooms {
            let allowed = may.iter().any(|room| file.starts_with(room));
            if !allowed && names_crate(&code, library) {
                trespassers.push(format!("{file} names {library}, which only {may:?} may"));
            }
        }
    }
    assert!(trespassers.is_empty(), "{trespassers:#?}");
}

#[test]
fn files_hold_one_idea_each() {
    for (file, text) in sources() {
        let name = Path::new(&file).file_stem().unwrap().to_string_lossy().into_owned();
        // Cargo would take `tests/support.rs` for a test of its own.
        let shared_by_tests = file.ends_with("/tests/support/mod.rs");
        assert!(name != "mod" || shared_by_tests, "{file}: use {name}.rs beside a folder, not mod.rs");
        for drawer in ["util", "utils", "common", "helpers", "types", "manager", "misc"] {
            assert_ne!(name, drawer, "{file}: name the one thing it holds");
        }
        let n_lines = text.lines().count();
        assert!(n_lines <= 600, "{file} has {n_lines} lines; what is the second idea in it?");
    }
}

#[test]
fn tests_wait_for_the_thing_itself() {
    for (file, text) in sources() {
        let is_test = file.contains("/tests/");
        let body = if is_test { text.as_str() } else { text.split("#[cfg(test)]").nth(1).unwrap_or("") };
        if file.ends_with("tidy.rs") {
            continue;
        }
        for banned in ["#[ignore", "#[should_panic", "thread::sleep(", "time::sleep("] {
            let found = body.lines().find(|line| line.contains(banned) && !line.contains("poll interval"));
            assert!(found.is_none(), "{file}: {banned} in a test: {found:?}");
        }
    }
}
