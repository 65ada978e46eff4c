//! Holds docs/threat-model.md to its word: every claim names a test, and every test that it names is there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

/// Tests that are named like `path/file.rs::function`.
fn named(line: &str) -> Vec<(&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect()
}

fn is_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| {
        let line = line.trim_start().trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(function))
            .is_some_and(|rest| rest.starts_with('('))
    });
    let before = at.and_then(|at| lines.get(at.saturating_sub(4)..at)).unwrap_or_default();
    before.iter().any(|line| line.trim_start().starts_with("#[test]") || line.contains("#[tokio::test"))
}

#[test]
fn every_claim_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let mut n_claims = 0;
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.contains("| shown by |")) {
        n_claims += 1;
        assert!(!named(line).is_empty(), "no test is named: {line}");
    }
    assert!(n_claims > 30, "only {n_claims} claims are found");
    for (file, function) in text.lines().flat_map(named) {
        let path = root.join(format!("{file}.rs"));
        let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(is_test(&source, function), "{file}.rs has no test {function}");
    }
}

#[test]
fn only_tests_count_as_tests() {
    let text =
        "#[test]\nfn one() {}\n\nfn two() {}\n\n#[tokio::test]\nasync fn three() {}\n\n\n\n\nfn four() {}";
    assert!(is_test(text, "one") && is_test(text, "three"));
    assert!(!is_test(text, "four") && !is_test(text, "none") && !is_test(text, "on"));
}
