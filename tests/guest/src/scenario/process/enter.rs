//! Ways into other processes.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicU8;

use anyhow::ensure;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::signal::sleeper;
use super::{exit, fork};
use crate::expect::{Event, Expect};
use crate::scenario::Scenario;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "ptrace", about: "A process takes hold of another one.", play: holds },
    Scenario {
        name: "/proc/PID/mem",
        about: "A process writes into another one's memory through its file.",
        play: by_mem,
    },
    Scenario {
        name: "process_vm_writev",
        about: "A process writes into another one's memory by a system call.",
        play: by_writev,
    },
    Scenario {
        name: "process_vm_readv",
        about: "A process reads another one's memory by a system call.",
        play: by_readv,
    },
    Scenario {
        name: "pidfd_getfd",
        about: "A process takes a copy of another one's descriptor.",
        play: takes,
    },
];

fn holds(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    ptrace::seize(victim, ptrace::Options::empty())?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let held = Event::new("ptrace")
        .by(std::process::id())
        .with("event.outcome", "success")
        .with("target.process.pid", ended.pid);
    Ok(Expect::nothing().event(fork(ended.pid)).event(held).event(exit(ended)))
}

/// What a victim's memory holds at a place that both processes know.
static MEMORY: AtomicU8 = AtomicU8::new(1);

/// Another process is entered; `blind` says why that is not seen where system calls are looked at, if it is not.
fn enters(
    stage: &Stage,
    action: &str,
    enter: fn(Pid, usize) -> anyhow::Result<()>,
    blind: bool,
) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    enter(victim, MEMORY.as_ptr() as usize)?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let entered = Event::new(action).by(std::process::id()).with("target.process.pid", ended.pid);
    Ok(Expect::nothing().event(fork(ended.pid)).event(exit(ended)).event_if(
        !blind || stage.has_hook("fexit/security_ptrace_access_check"),
        entered,
        "where system calls are looked at, of ways into other processes only ptrace and process_vm_writev are",
    ))
}

fn by_mem(stage: &Stage) -> anyhow::Result<Expect> {
    enters(
        stage,
        "ptrace",
        |victim, at| {
            let memory = fs::File::options().read(true).write(true).open(format!("/proc/{victim}/mem"))?;
            Ok(memory.write_all_at(&[2], at as u64)?)
        },
        true,
    )
}

fn by_writev(stage: &Stage) -> anyhow::Result<Expect> {
    enters(
        stage,
        "process_vm_write",
        |victim, base| {
            let there = [RemoteIoVec { base, len: 1 }];
            ensure!(process_vm_writev(victim, &[IoSlice::new(&[2])], &there)? == 1, "nothing was written");
            Ok(())
        },
        false,
    )
}

fn by_readv(stage: &Stage) -> anyhow::Result<Expect> {
    enters(
        stage,
        "ptrace",
        |victim, base| {
            let there = [RemoteIoVec { base, len: 1 }];
            let mut here = [0];
            ensure!(
                process_vm_readv(victim, &mut [IoSliceMut::new(&mut here)], &there)? == 1,
                "nothing was read"
            );
            ensure!(here == [1], "found {here:?}");
            Ok(())
        },
        true,
    )
}

fn takes(stage: &Stage) -> anyhow::Result<Expect> {
    enters(
        stage,
        "ptrace",
        |victim, _| sys::take_descriptor(victim.as_raw() as u32, 0).map(drop).map_err(Into::into),
        true,
    )
}
