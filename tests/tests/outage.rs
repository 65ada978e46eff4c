//! Stops and outages that nothing may be lost in.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::group::Group;
use tests::load::{Fate, Load};
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;

const N_EXECS: usize = 1_500;

fn assert_whole(fate: &Fate) {
    assert_eq!(fate.twice(), Vec::<&str>::new(), "found twice");
    assert_eq!((fate.seen.len(), fate.lost), (N_EXECS, 0), "found, and in the ledger");
}

#[test]
fn a_sensor_that_is_told_to_stop_and_started_again_misses_nothing() {
    if !needs_root("a_sensor_that_is_told_to_stop_and_started_again_misses_nothing") {
        return;
    }
    let group = Group::new("stop").unwrap();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap()]).unwrap();
    let mut load = Load::start(&group, N_EXECS).unwrap();
    for at in [100, 700] {
        load.reached(at);
        let pid = stack.pids("vedette-sensor")[0];
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        until("the sensor is back", Duration::from_secs(60), || {
            stack.pids("vedette-sensor").into_iter().any(|new| new != pid).then_some(())
        });
    }
    assert_whole(&load.finish(&group, &stack, |fate| fate.seen.len() >= N_EXECS));
}

#[test]
fn what_happens_while_the_collector_hangs_is_stored_afterwards() {
    if !needs_root("what_happens_while_the_collector_hangs_is_stored_afterwards") {
        return;
    }
    let group = Group::new("hang").unwrap();
    let stack = Stack::up(&["--cgroup", group.path().to_str().unwrap()]).unwrap();
    let mut load = Load::start(&group, N_EXECS).unwrap();
    load.reached(100);
    let collector = Pid::from_raw(stack.pids("vedette-collector")[0]);
    kill(collector, Signal::SIGSTOP).unwrap();
    load.reached(N_EXECS);
    until("the sensor gives the connection up", Duration::from_secs(60), || {
        stack.logs().contains("no session with").then_some(())
    });
    kill(collector, Signal::SIGCONT).unwrap();
    assert_whole(&load.finish(&group, &stack, |fate| fate.seen.len() >= N_EXECS));
}

/// The entity of a process that outlives the programs, as its children name their parent.
#[test]
fn a_process_keeps_its_identity_when_everything_is_stopped_and_started() {
    if !needs_root("a_process_keeps_its_identity_when_everything_is_stopped_and_started") {
        return;
    }
    let group = Group::new("identity").unwrap();
    let flags = ["--cgroup", group.path().to_str().unwrap()];
    let stack = Stack::up(&flags).unwrap();
    let mut shell = group
        .command("/bin/sh")
        .args(["-c", "while read line; do /bin/echo $line; done"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let parent_of = |marker: &str| {
        writeln!(shell.stdin.as_ref().unwrap(), "{marker}").unwrap();
        let event = &stack.expect(&format!("event.action:exec and process.args:{marker}"), 1)[0];
        let parent = event["process"]["parent"].clone();
        assert_eq!(parent["pid"], shell.id(), "{event}");
        parent["entity_id"].as_str().unwrap().to_owned()
    };
    let seen_born = parent_of("before");
    assert_eq!(stack.vedette(&["down"]).unwrap().code, 0);
    stack.again(&flags).unwrap();
    let found_living = parent_of("after");
    assert_eq!(seen_born, found_living);
    // Its ancestry is complete: the tree begins above it.
    let tree = stack.vedette(&["tree", &found_living]).unwrap();
    assert!(
        tree.code == 0 && tree.out.contains("before") && tree.out.contains("after"),
        "{}{}",
        tree.out,
        tree.err
    );
    drop(shell.stdin.take());
    shell.wait().unwrap();
}
