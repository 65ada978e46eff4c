//! How processes end and stop one another.

use std::fs;

use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, pause, setpgid};

use super::{Group, exit, fork};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Scenario;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "kill", about: "A process kills another one, which both of them tell.", play: kills },
    Scenario {
        name: "pidfd_send_signal",
        about: "A process kills another one by a descriptor of it.",
        play: by_pidfd,
    },
    Scenario {
        name: "tgkill",
        about: "A process ends another one by a signal to its thread.",
        play: by_thread,
    },
    Scenario {
        name: "sigqueue",
        about: "A process ends another one by a signal with a number.",
        play: queued,
    },
    Scenario { name: "signal to a group", about: "A process ends a group of two processes.", play: group },
    Scenario { name: "stopped", about: "A process stops another one.", play: stops },
    Scenario {
        name: "cgroup.freeze",
        about: "A control group is frozen, which sends no signal.",
        play: freezes,
    },
];

fn kills(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    let sent = Event::new("signal")
        .by(std::process::id())
        .with("signal.number", 9)
        .with("target.process.pid", ended.pid)
        .want("target.process.entity_id", Want::Any);
    Ok(Expect::nothing().event(fork(ended.pid)).event(sent).event(exit(ended)))
}

/// A child that waits to be killed.
pub(super) fn sleeper() -> anyhow::Result<nix::unistd::Pid> {
    Ok(sys::fork(|| {
        pause();
        Ok(0)
    })?)
}

/// A signal of this process's to another one.
fn sent(to: u32, signal: Signal) -> Event {
    Event::new("signal")
        .by(std::process::id())
        .with("signal.number", signal as i32)
        .with("target.process.pid", to)
}

/// A child is ended by a signal.
fn ends(signal: Signal, send: fn(Pid) -> anyhow::Result<()>) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    send(victim)?;
    let ended = wait(victim)?.with_code(128 + signal as i32)?;
    Ok(Expect::nothing().event(fork(ended.pid)).event(sent(ended.pid, signal)).event(exit(ended)))
}

fn by_pidfd(_: &Stage) -> anyhow::Result<Expect> {
    ends(Signal::SIGKILL, |victim| Ok(sys::signal_by_pidfd(victim, libc::SIGKILL)?))
}

fn by_thread(_: &Stage) -> anyhow::Result<Expect> {
    ends(Signal::SIGTERM, |victim| Ok(sys::signal_thread(victim, victim, libc::SIGTERM)?))
}

fn queued(_: &Stage) -> anyhow::Result<Expect> {
    ends(Signal::SIGTERM, |victim| Ok(sys::queue_signal(victim, libc::SIGTERM)?))
}

fn group(_: &Stage) -> anyhow::Result<Expect> {
    let leader = sleeper()?;
    setpgid(leader, leader)?;
    let other = sleeper()?;
    setpgid(other, leader)?;
    killpg(leader, Signal::SIGKILL)?;
    let mut expect = Expect::nothing();
    for victim in [leader, other] {
        let ended = wait(victim)?.with_code(137)?;
        expect = expect.event(fork(ended.pid)).event(sent(ended.pid, Signal::SIGKILL)).event(exit(ended));
    }
    Ok(expect)
}

fn stops(_: &Stage) -> anyhow::Result<Expect> {
    let victim = sleeper()?;
    kill(victim, Signal::SIGSTOP)?;
    waitpid(victim, Some(WaitPidFlag::WUNTRACED))?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    Ok(Expect::nothing()
        .event(fork(ended.pid))
        .event(sent(ended.pid, Signal::SIGSTOP))
        .event(sent(ended.pid, Signal::SIGKILL))
        .event(exit(ended)))
}

fn freezes(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::below(stage.group(), "to-be-frozen")?;
    let victim = sleeper()?;
    fs::write(group.0.join("cgroup.procs"), victim.to_string())?;
    fs::write(group.0.join("cgroup.freeze"), "1")?;
    fs::write(group.0.join("cgroup.freeze"), "0")?;
    kill(victim, Signal::SIGKILL)?;
    let ended = wait(victim)?.with_code(137)?;
    drop(group);
    Ok(Expect::nothing()
        .event(fork(ended.pid))
        .event(sent(ended.pid, Signal::SIGKILL))
        .event(exit(ended))
        .unseen(
            sent(ended.pid, Signal::SIGSTOP),
            "the kernel asks no hook; only the opening of the group's file can be seen, if the collection asks for it",
        ))
}
