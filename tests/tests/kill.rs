//! `kill -9` of sensor, collector and PostgreSQL in turn under load: every exec is found once, or is in the ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::group::Group;
use tests::load::{Load, RECORDS_PER_EXEC};
use tests::skip::needs_root;
use tests::stack::Stack;
use tests::wait::until;

const N_EXECS: usize = 5_000;
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
    let mut load = Load::start(&group, N_EXECS).unwrap();
    // The first falls before the sensor has sealed anything of the load.
    let victims = ["vedette-sensor", "vedette-sensor", "vedette-collector", "postgres"];
    for (at, victim) in [100, 900, 2_000, 3_200].into_iter().zip(victims) {
        load.reached(at);
        let pid =
            *stack.pids(victim).iter().min().unwrap_or_else(|| panic!("{victim} runs\n{}", stack.logs()));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        until(&format!("{victim} is back"), Duration::from_secs(60), || {
            stack.pids(victim).into_iter().any(|new| new != pid).then_some(())
        });
    }
    let fate =
        load.finish(&group, &stack, |fate| fate.seen.len() + fate.lost / RECORDS_PER_EXEC + SLACK >= N_EXECS);
    assert_eq!(fate.twice(), Vec::<&str>::new(), "found twice");
    // What a kill takes is a run of records, of which each third is an exec.
    let missing = N_EXECS - fate.seen.len();
    assert!(
        missing.abs_diff(fate.lost / RECORDS_PER_EXEC) <= SLACK,
        "{missing} execs are missing, and the ledger tells of {} records\n{}",
        fate.lost,
        stack.logs()
    );
    assert!(missing > 0, "the kills took nothing: they came too late to show anything");
    println!(
        "{} of {N_EXECS} execs found once, {missing} missing, {} records in the ledger",
        fate.seen.len(),
        fate.lost
    );
}
