//! Rules from the command line: what is wrong with one is said where it stands, and what one would have hit is what a search finds.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::skip::needs_root;
use tests::stack::{Ran, Stack, vedette};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn run(stack: &Stack, args: &[&str], file: &PathBuf) -> Ran {
    let mut command: Command = vedette(stack.home());
    command.args(args).arg(file).output().unwrap().into()
}

#[test]
fn what_is_wrong_is_said_where_it_stands_and_what_is_right_is_decided() {
    let stack = Stack::up(&["--no-sensor"]).unwrap();
    let files = Files::new();
    let wrong = files.write(
        "wrong.yaml",
        "name: shadow\nwhen: event.action:open and file.pth:/etc/shadow\naction: deny\n---\nname: late\nwhen: event.action:exit\naction: kill\nexpires: yesterday\n",
    );
    let ran = run(&stack, &["rules", "check"], &wrong);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    for said in [
        "wrong.yaml:2: shadow: when:",
        "did you mean `file.path`",
        "^^^^^^^^",
        "wrong.yaml:8: late: expires:",
        "wrong.yaml:7: late: action: kill cannot keep process.exit",
        "3 problems",
    ] {
        assert!(ran.err.contains(said), "{said:?} is missing: {}", ran.err);
    }
    let right = files.write(
        "right.yaml",
        "name: shadow\nwhen: event.action:open and file.path:/etc/shadow\naction: deny\nmode: enforce\n---\nname: insecure\nwhen: event.action:exec and process.command_line:*--insecure*\naction: alert\n",
    );
    let ran = run(&stack, &["rules", "check", "--output", "json"], &right);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rules: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rules[0]["decided"], "kernel");
    assert_eq!(rules[0]["rows"], 1);
    assert_eq!(rules[1]["decided"], "user space");
    assert!(rules[1]["reason"].as_str().unwrap().contains("process.command_line"), "{}", rules[1]);
    // Nothing is stored: nobody knows.
    let ran = run(&stack, &["rules", "dry-run"], &right);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.out.contains("shadow (deny): unknown") && ran.out.contains("nothing is stored yet"),
        "{}",
        ran.out
    );
    let ran = run(&stack, &["rules", "dry-run"], &wrong);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("wrong.yaml") && ran.err.contains("line 2: when:"), "{}", ran.err);
    let ran = run(&stack, &["rules", "check"], &files.0.path().join("none.yaml"));
    assert!(
        ran.code == 2 && ran.err.contains("none.yaml") && ran.err.contains("No such file"),
        "{}",
        ran.err
    );
}

#[test]
fn a_dry_run_finds_what_a_search_finds() {
    if !needs_root("a_dry_run_finds_what_a_search_finds") {
        return;
    }
    let stack = Stack::up(&[]).unwrap();
    let files = Files::new();
    let script = files.write("did-this", "#!/bin/sh\nexit 0\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for _ in 0..5 {
        assert!(Command::new(&script).status().unwrap().success());
    }
    let query = format!("event.action:exec and process.script:{}", script.display());
    let found = stack.expect(&query, 5);
    let rule = files.write("rule.yaml", &format!("name: did-this\nwhen: {query}\naction: alert\n"));
    let ran = run(&stack, &["rules", "dry-run", "--output", "json", "--sample", "3"], &rule);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!((&answer["verdict"], &answer["events"]), (&"hits".into(), &5.into()), "{answer}");
    assert_eq!(answer["hosts"]["count"], 1);
    assert_eq!(answer["hosts"]["in_scope"], 1);
    assert_eq!(answer["hosts"]["most"][0]["count"], 5);
    let sample = answer["sample"].as_array().unwrap();
    let ids: Vec<&Value> = sample.iter().map(|event| &event["event"]["id"]).collect();
    assert_eq!(ids, found.iter().take(3).map(|event| &event["event"]["id"]).collect::<Vec<_>>());
    // Scoped to hosts that there are not: nothing, and that is known only as far as the store goes back.
    let scoped = files.write(
        "scoped.yaml",
        &format!("name: elsewhere\nwhen: {query}\naction: alert\nhosts: host.name:another-*\n"),
    );
    let ran = run(&stack, &["rules", "dry-run"], &scoped);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.out.contains("elsewhere (alert): unknown") && ran.out.contains("the store begins at"),
        "{}",
        ran.out
    );
    let ran = run(&stack, &["rules", "dry-run"], &rule);
    for said in ["did-this (alert): would have hit 5 events on 1 of 1 hosts", "exec", "the newest"] {
        assert!(ran.out.contains(said), "{said:?} is missing: {}", ran.out);
    }
}
