//! `syscall`: the calls that the collection asks for ([`crate::sensor`] has it), and those it does not.

use std::io;

use anyhow::{Context as _, ensure};
use nix::libc::{self, c_long};
use nix::unistd::{Uid, setuid};

use super::{Absent, Scenario};
use crate::expect::{Event, Expect, Want};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "call", about: "A process makes a call that is asked for, three times.", play: asked },
    Scenario { name: "failing call", about: "A call that is asked for fails.", play: failing },
    Scenario { name: "32-bit call", about: "The same call through int 0x80.", play: thirty_two },
    Scenario {
        name: "call by number",
        about: "A call is made that is asked for by its number.",
        play: numbered,
    },
    Scenario {
        name: "nameless call",
        about: "A call is made that the kernel does not have, and that has no name.",
        play: nameless,
    },
    Scenario {
        name: "call of a user",
        about: "Root and a user make a call that is asked for of the user.",
        play: of_user,
    },
    Scenario {
        name: "calls not asked for",
        about: "A process makes calls that are not asked for, or of another program only.",
        play: unasked,
    },
    Scenario {
        name: "call of a thread",
        about: "A thread makes a call that is asked for: it is its process's.",
        play: of_thread,
    },
];

/// A process.
const WHO: c_long = 1;

fn told(action: &str, pid: u32, number: c_long, found: &io::Result<c_long>) -> Event {
    let event = Event::new(action).by(pid).with("event.category", "syscall").with("syscall.number", number);
    match found {
        Ok(result) => event
            .with("syscall.result", *result)
            .with("event.outcome", "success")
            .want("error.code", Want::Absent),
        Err(error) => event
            .with("syscall.result", -error.raw_os_error().unwrap_or_default())
            .with("event.outcome", "failure")
            .want("error.code", Want::Any),
    }
}

fn asked(_: &Stage) -> anyhow::Result<Expect> {
    let given = [WHO, 0, 12, -1, 14, 15];
    let found = sys::call(libc::SYS_ioprio_get, given)?;
    for _ in 0..2 {
        ensure!(sys::call(libc::SYS_ioprio_get, given)? == found, "another priority");
    }
    let args = given.map(|arg| arg.cast_unsigned().to_string());
    let event = told("ioprio_get", std::process::id(), libc::SYS_ioprio_get, &Ok(found));
    Ok(Expect::nothing().event(event.with("syscall.args", args.to_vec()).times(3)))
}

fn failing(_: &Stage) -> anyhow::Result<Expect> {
    let found = sys::call(libc::SYS_ioprio_get, [99, 0, 0, 0, 0, 0]);
    ensure!(found.is_err(), "there is no such kind of who");
    let event = told("ioprio_get", std::process::id(), libc::SYS_ioprio_get, &found);
    Ok(Expect::nothing().event(event.with("syscall.result", -libc::EINVAL).with("error.code", "EINVAL")))
}

#[cfg(target_arch = "x86_64")]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    const SYS_IOPRIO_GET: u32 = 290;
    let child = wait(sys::fork(|| {
        let found = sys::thirty_two(SYS_IOPRIO_GET, [WHO as u32, 0, 4_000_000_000].map(sys::Given::Number));
        let failed = sys::thirty_two(SYS_IOPRIO_GET, [99, 0, 4_000_000_001].map(sys::Given::Number));
        Ok(u8::from(found.is_err() || failed.is_ok()))
    })?)?;
    if child.code == 128 + libc::SIGSEGV {
        return Err(Absent("this kernel runs no 32-bit programs").into());
    }
    let pid = child.with_code(0)?.pid;
    let found = sys::call(libc::SYS_ioprio_get, [WHO, 0, 0, 0, 0, 0])?;
    let (number, here) = (c_long::from(SYS_IOPRIO_GET), libc::SYS_ioprio_get);
    let failed = Err(io::Error::from_raw_os_error(libc::EINVAL));
    let with = |event: Event, third: &str| event.want("syscall.args", Want::Holds(third.into()));
    Ok(Expect::nothing()
        .event(with(told("ioprio_get", pid, number, &Ok(found)), "4000000000"))
        .event(with(told("ioprio_get", pid, number, &failed), "4000000001"))
        .event(told("ioprio_get", std::process::id(), here, &Ok(found))))
}

#[cfg(not(target_arch = "x86_64"))]
fn thirty_two(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("32-bit programs are tried on x86-64 only").into())
}

fn numbered(_: &Stage) -> anyhow::Result<Expect> {
    const NUMBER: c_long = 136;
    let name = if cfg!(target_arch = "x86_64") { "ustat" } else { "rt_sigpending" };
    let found = sys::call(NUMBER, [0; 6]);
    Ok(Expect::nothing().event(told(name, std::process::id(), NUMBER, &found)))
}

fn nameless(_: &Stage) -> anyhow::Result<Expect> {
    let found = sys::call(499, [1, 2, 3, 4, 5, 6]);
    let event = told("syscall_499", std::process::id(), 499, &found);
    let args = ["1", "2", "3", "4", "5", "6"].map(str::to_owned).to_vec();
    Ok(Expect::nothing().event(event.with("syscall.args", args).with("error.code", "ENOSYS")))
}

fn of_user(_: &Stage) -> anyhow::Result<Expect> {
    let number = libc::SYS_timer_getoverrun;
    let error = sys::call(number, [1 << 20, 0, 0, 0, 0, 0]).err().context("there is no such timer")?;
    let child = wait(sys::fork(|| {
        setuid(Uid::from_raw(65534))?;
        Ok(u8::from(sys::call(libc::SYS_timer_getoverrun, [1 << 20, 0, 0, 0, 0, 0]).is_ok()))
    })?)?
    .with_code(0)?;
    Ok(Expect::nothing().event(told("timer_getoverrun", child.pid, number, &Err(error))))
}

fn unasked(_: &Stage) -> anyhow::Result<Expect> {
    // Beside those that are asked for, and of whatever is asked for of another program.
    for number in [libc::SYS_ioprio_set, libc::SYS_keyctl, libc::SYS_timer_getoverrun, SYS_GETPMSG] {
        drop(sys::call(number, [-1, -1, 0, 0, 0, 0]));
    }
    Ok(Expect::nothing())
}

/// Which no kernel has; elsewhere it has no number.
const SYS_GETPMSG: c_long = if cfg!(target_arch = "x86_64") { 181 } else { 498 };

fn of_thread(_: &Stage) -> anyhow::Result<Expect> {
    let call = || sys::call(libc::SYS_ioprio_get, [WHO, 0, 0, 0, 0, 0]);
    let found = std::thread::spawn(call).join().ok().context("the thread panicked")??;
    Ok(Expect::nothing().event(told("ioprio_get", std::process::id(), libc::SYS_ioprio_get, &Ok(found))))
}
