//! How processes are born.

use std::fs::{self, File};
use std::io::Read as _;

use anyhow::Context as _;
use io_uring::{opcode, squeue};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getpid, getppid, pipe};
use std::os::fd::AsFd as _;

use super::{Group, Scenario, exec, execute, exit, fork, life};
use crate::expect::{Event, Expect};
use crate::stage::{Ended, Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "fork", about: "A process makes a child by fork(2), which ends.", play: by_fork },
    Scenario {
        name: "vfork",
        about: "A child that borrows its parent's memory (CLONE_VM and CLONE_VFORK) executes a program.",
        play: by_vfork,
    },
    Scenario { name: "clone3", about: "A process makes a child by clone3(2).", play: by_clone3 },
    Scenario {
        name: "clone3 into a control group",
        about: "A child is born into another control group (CLONE_INTO_CGROUP) and executes a program.",
        play: into_group,
    },
    Scenario {
        name: "CLONE_PARENT",
        about: "A process makes a sibling in place of a child; the process that made it is its parent all the same.",
        play: sibling,
    },
    Scenario {
        name: "orphan",
        about: "A process whose parent has ended executes a program; its parent is the one it was born of.",
        play: orphan,
    },
    Scenario {
        name: "a hundred forks",
        about: "A process makes a hundred children, one after another.",
        play: hundred,
    },
    Scenario { name: "thread", about: "A process starts a thread, which is no process.", play: thread },
    Scenario {
        name: "io_uring worker",
        about: "The kernel starts a worker for an io_uring request, which is no process.",
        play: worker,
    },
    Scenario {
        name: "pid namespace",
        about: "A child is born as the first process of a pid namespace; its number is the host's.",
        play: pid_namespace,
    },
];

fn by_fork(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| Ok(3))?)?.with_code(3)?;
    let birth = fork(child.pid)
        .with("process.parent.pid", getpid().as_raw())
        .with_path("process.executable", &std::env::current_exe()?);
    Ok(Expect::nothing().event(birth).event(exit(child)))
}

fn by_vfork(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("after-vfork", 4)?;
    let child = wait(sys::vfork(|| execute(&program, &[]))?)?.with_code(4)?;
    Ok(life(child, exec(child.pid, &program)))
}

fn by_clone3(_: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::clone3(0, None, || Ok(5))?)?.with_code(5)?;
    Ok(Expect::nothing().event(fork(child.pid)).event(exit(child)))
}

fn into_group(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::below(stage.group(), "born-into")?;
    let program = stage.program("born-into-group", 6)?;
    let folder = File::open(&group.0)?;
    let child = wait(sys::clone3(0, Some(folder.as_fd()), || execute(&program, &[]))?)?.with_code(6)?;
    let path = fs::canonicalize(&group.0)?;
    let path = path.strip_prefix("/sys/fs/cgroup")?;
    let image = exec(child.pid, &program).with("process.cgroup", format!("/{}", path.display()));
    Ok(life(child, image))
}

fn sibling(_: &Stage) -> anyhow::Result<Expect> {
    // Only its new parent can wait for it: the pipe closes when it ends.
    let (reads, writes) = pipe()?;
    let child = sys::clone3(libc::CLONE_PARENT as u64, None, || Ok(7))?;
    drop(writes);
    File::from(reads).read_to_end(&mut Vec::new())?;
    let pid = child.as_raw() as u32;
    let birth = fork(pid).with("process.parent.pid", getpid().as_raw());
    Ok(Expect::nothing().event(birth).event(exit(Ended { pid, code: 7 })))
}

fn orphan(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("orphan", 8)?;
    let (reads, writes) = pipe()?;
    let parent = wait(sys::fork(|| {
        let parent = getpid();
        sys::fork(|| {
            while getppid() == parent {
                std::thread::yield_now();
            }
            execute(&program, &[])
        })?;
        Ok(0)
    })?)?;
    // The program has not closed what it inherited: it ends with it.
    drop(writes);
    File::from(reads).read_to_end(&mut Vec::new())?;
    let of_orphan = |action| Event::new(action).with("process.parent.pid", parent.pid);
    let name = |event: Event| event.with_path("process.executable", &program);
    Ok(Expect::nothing()
        .event(fork(parent.pid))
        .event(exit(parent))
        .event(of_orphan("fork"))
        .event(name(of_orphan("exec")))
        .event(name(of_orphan("exit")).with("process.exit_code", 8)))
}

fn hundred(_: &Stage) -> anyhow::Result<Expect> {
    for _ in 0..100 {
        wait(sys::fork(|| Ok(9))?)?.with_code(9)?;
    }
    let mine = |action| Event::new(action).with("process.parent.pid", getpid().as_raw()).times(100);
    Ok(Expect::nothing().event(mine("fork")).event(mine("exit").with("process.exit_code", 9)))
}

fn thread(_: &Stage) -> anyhow::Result<Expect> {
    std::thread::spawn(|| ()).join().ok().context("the thread panicked")?;
    Ok(Expect::nothing())
}

fn worker(_: &Stage) -> anyhow::Result<Expect> {
    sys::uring(&opcode::Nop::new().build().flags(squeue::Flags::ASYNC))?;
    Ok(Expect::nothing())
}

fn pid_namespace(_: &Stage) -> anyhow::Result<Expect> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    let child = wait(sys::fork(|| Ok(if getpid().as_raw() == 1 { 10 } else { 1 }))?)?.with_code(10)?;
    Ok(Expect::nothing().event(fork(child.pid)).event(exit(child)))
}
