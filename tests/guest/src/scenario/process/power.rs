//! What processes may do, and do to one another.

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{pause, setresgid, setresuid};

use super::{exit, fork};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Scenario;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "setresuid", about: "A process gives up root for good.", play: give_up },
    Scenario { name: "kill", about: "A process kills another one, which both of them tell.", play: kills },
    Scenario { name: "ptrace", about: "A process takes hold of another one.", play: holds },
];

fn give_up(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        setresgid(65534.into(), 65534.into(), 65534.into())?;
        setresuid(65534.into(), 65534.into(), 65534.into())?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let new = |action: &str| Event::new(action).by(child.pid).with("event.outcome", "success");
    Ok(Expect::nothing()
        .event(fork(child.pid))
        .event(new("setgid").with("process.new.group.id", 65534))
        .event(new("setuid").with("process.new.user.id", 65534).with("process.new.capabilities", 0))
        .event(exit(child)))
}

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

/// A child that waits to be killed.
fn sleeper() -> anyhow::Result<nix::unistd::Pid> {
    Ok(sys::fork(|| {
        pause();
        Ok(0)
    })?)
}
