//! `kill -9` of sensor, collector and PostgreSQL in turn under load: every exec is found once, or is in the ledger.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::group::Group;
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::{poll, until};

const N_EXECS: usize = 5_000;
/// The load's fork, exec and exit.
const RECORDS_PER_EXEC: usize = 3;
/// Execs by which the ledger's records may differ from the missing ones: each killed sensor takes a run of records
/// from each CPU, which begins and ends anywhere in a fork, exec and exit.
const SLACK: usize = 16;

#[test]
fn every_exec_is_found_once_or_is_in_the_ledger() {
    if !needs_root("every_exec_is_found_once_or_is_in_the_ledger") {
        return;
    }
    let group = Group::new("kill").unwrap();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap()]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let program = scratch.path().join("counted");
    std::fs::copy("/bin/true", &program).unwrap();

    let progress = scratch.path().join("progress");
    let script = format!(
        "i=0; while [ $i -lt {N_EXECS} ]; do {} n$i; i=$((i+1)); [ $((i % 100)) -eq 0 ] && echo $i > {}; done; :",
        program.display(),
        progress.display()
    );
    let mut load = group.command("/bin/sh").args(["-c", &script]).spawn().unwrap();
    let reached = |n: usize| {
        until("the load goes on", Duration::from_secs(120), || {
            let text = std::fs::read_to_string(&progress).unwrap_or_default();
            (text.trim().parse::<usize>().unwrap_or(0) >= n).then_some(())
        });
    };
    // The first falls before the sensor has sealed anything of the load.
    let victims = ["vedette-sensor", "vedette-sensor", "vedette-collector", "postgres"];
    for (at, victim) in [100, 900, 2_000, 3_200].into_iter().zip(victims) {
        reached(at);
        let pid =
            *stack.pids(victim).iter().min().unwrap_or_else(|| panic!("{victim} runs\n{}", stack.logs()));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        until(&format!("{victim} is back"), Duration::from_secs(60), || {
            stack.pids(victim).into_iter().any(|new| new != pid).then_some(())
        });
    }
    assert!(load.wait().unwrap().success());

    // The last exec's batch is the last to come: one more, and once it is found all others were stored or counted.
    assert!(group.command(&program).arg("the-end").status().unwrap().success());
    until("the end is found", Duration::from_secs(60), || {
        stack.search("process.args:the-end and event.action:exec").ok().filter(|found| found.len() == 1)
    });
    let mut last = (0, 0);
    let found = poll(Duration::from_secs(60), || {
        let found =
            stack.search("process.name:counted and event.action:exec and not process.args:the-end").ok()?;
        last = (found.len(), lost(&stack));
        (last.0 + last.1 / RECORDS_PER_EXEC + SLACK >= N_EXECS).then_some(found)
    });
    let found = found.unwrap_or_else(|| {
        panic!(
            "of {N_EXECS} execs {} are found, the ledger tells of {} records\n{}",
            last.0,
            last.1,
            stack.logs()
        )
    });
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for event in &found {
        *seen.entry(event["process"]["args"][1].as_str().unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "found twice: {twice:?}");
    // What a kill takes is a run of records, of which each third is an exec.
    let (missing, lost) = (N_EXECS - seen.len(), lost(&stack));
    assert!(
        missing.abs_diff(lost / RECORDS_PER_EXEC) <= SLACK,
        "{missing} execs are missing, and the ledger tells of {lost} records\n{}",
        stack.logs()
    );
    assert!(missing > 0, "the kills took nothing: they came too late to show anything");
    println!("{} of {N_EXECS} execs found once, {missing} missing, {lost} records in the ledger", seen.len());
}

/// What the ledger of all streams says was lost, dropped or rejected.
fn lost(stack: &Stack) -> usize {
    let hosts = stack.json(&["hosts", "--output", "json"]).unwrap_or_default();
    let Some(id) = hosts.first().and_then(|host| host["host"]["id"].as_str()) else { return 0 };
    let shown = stack.json(&["hosts", "show", id, "--output", "json"]).unwrap_or_default();
    let streams = shown.first().and_then(|host| host["streams"].as_array().cloned()).unwrap_or_default();
    let count = |stream: &Value, name: &str| stream[name].as_u64().unwrap_or(0) as usize;
    streams.iter().map(|s| count(s, "lost") + count(s, "dropped") + count(s, "rejected")).sum()
}
