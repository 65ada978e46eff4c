//! How processes end.

use std::fs;
use std::process::Command;
use std::sync::Barrier;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{getpid, pause};

use super::{Group, Scenario, exec, exit, fork, life};
use crate::expect::{Expect, Want};
use crate::scenario::Absent;
use crate::stage::{Stage, run, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "exit code", about: "A program ends with code 43.", play: code },
    Scenario {
        name: "signal",
        about: "A process is killed with SIGKILL, which its end tells.",
        play: signal,
    },
    Scenario {
        name: "threads",
        about: "Ten processes with eight more threads each end while those end too: one end each.",
        play: threads,
    },
    Scenario {
        name: "leader first",
        about: "The first thread of a process ends long before its last one, with which the process ends.",
        play: leader_first,
    },
    Scenario {
        name: "cgroup.kill",
        about: "All processes of a control group are killed by a write to its file (Linux 5.14).",
        play: group_kill,
    },
];

fn code(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("ends-with-43", 43)?;
    let child = run(&mut Command::new(&program))?.with_code(43)?;
    let end = exit(child).want("process.duration_ns", Want::Any).want("signal.number", Want::Absent);
    Ok(Expect::nothing().event(fork(child.pid)).event(exec(child.pid, &program)).event(end))
}

fn signal(_: &Stage) -> anyhow::Result<Expect> {
    let child = sleeper()?;
    kill(child, Signal::SIGKILL)?;
    let child = wait(child)?.with_code(137)?;
    Ok(Expect::nothing().event(fork(child.pid)).event(exit(child).with("signal.number", 9)))
}

fn threads(stage: &Stage) -> anyhow::Result<Expect> {
    // Which thread is the last one is a race.
    let mut expect = Expect::nothing();
    for _ in 0..10 {
        let child = run(&mut stage.job(&["end-with-threads"]))?.with_code(5)?;
        expect = expect.event(fork(child.pid)).event(exec(child.pid, stage.me())).event(exit(child));
    }
    Ok(expect)
}

/// The job of [`threads`].
pub(crate) fn end_with_threads() -> ! {
    let barrier = &*Box::leak(Box::new(Barrier::new(9)));
    for _ in 0..8 {
        std::thread::spawn(|| barrier.wait());
    }
    barrier.wait();
    std::process::exit(5);
}

fn leader_first(stage: &Stage) -> anyhow::Result<Expect> {
    // The code of the first thread, and since Linux 5.17 that of the last one: what wait(2) says is told.
    let child = run(&mut stage.job(&["end-leader-first"]))?;
    ensure!([21, 22].contains(&child.code), "it ended with {}", child.code);
    Ok(life(child, exec(child.pid, stage.me())))
}

/// The job of [`leader_first`].
pub(crate) fn end_leader_first() -> ! {
    std::thread::spawn(|| {
        let stat = format!("/proc/self/task/{}/stat", getpid());
        while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
            std::thread::yield_now();
        }
        sys::end_thread(22)
    });
    sys::end_thread(21)
}

fn group_kill(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::below(stage.group(), "to-be-killed")?;
    let file = group.0.join("cgroup.kill");
    if !file.exists() {
        return Err(Absent("this kernel has no cgroup.kill").into());
    }
    let children = [sleeper()?, sleeper()?];
    for child in children {
        fs::write(group.0.join("cgroup.procs"), child.to_string())?;
    }
    fs::write(&file, "1").context("cgroup.kill")?;
    let mut expect = Expect::nothing();
    for child in children {
        let child = wait(child)?.with_code(137)?;
        expect = expect.event(fork(child.pid)).event(exit(child).with("signal.number", 9));
    }
    ensure!(fs::read_to_string(group.0.join("cgroup.procs"))?.is_empty(), "the group still has processes");
    Ok(expect)
}

/// A child that waits for a signal.
fn sleeper() -> std::io::Result<nix::unistd::Pid> {
    sys::fork(|| {
        loop {
            pause();
        }
    })
}
