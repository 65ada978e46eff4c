//! `container`: what a runtime does, without one: a control group named as it names them, and a mount namespace.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};

use super::Scenario;
use super::process::execute;
use crate::expect::{Event, Expect};
use crate::stage::{Ended, Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "life",
        about: "A process enters a container's control group and a mount namespace of its own, executes a program, and ends.",
        play: life,
    },
    Scenario {
        name: "group below",
        about: "The only processes of a container are in a control group that it made within its own.",
        play: below,
    },
    Scenario {
        name: "only made",
        about: "A runtime's process executes a program in a container's control group and ends before the container has begun.",
        play: made,
    },
];

const ID: &str = "3f4a0b6c2d1e8f7a9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6";

fn life(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::new(stage, "")?;
    let runtime = stage.program("runtime", 0)?;
    let program = stage.program("first-program", 3)?;
    let child = group.run(|| {
        // The runtime executes itself once more, in its own world; this is not the container's start.
        wait(sys::fork(|| execute(&runtime, &[]))?)?.with_code(0)?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        execute(&program, &[])
    })?;
    Ok(lives(child.with_code(3)?, &program))
}

fn below(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::new(stage, "init.scope")?;
    let program = stage.program("first-program", 0)?;
    let child = group.run(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        execute(&program, &[])
    })?;
    Ok(lives(child.with_code(0)?, &program))
}

fn made(stage: &Stage) -> anyhow::Result<Expect> {
    let group = Group::new(stage, "")?;
    let runtime = stage.program("runtime", 0)?;
    group.run(|| execute(&runtime, &[]))?.with_code(0)?;
    Ok(Expect::nothing())
}

/// The start and the stop of a container whose first process this was.
fn lives(first: Ended, program: &Path) -> Expect {
    let event = |action: &str| {
        let event = Event::new(action).by(first.pid).with_path("process.executable", program);
        event.with("container.id", ID).with("container.runtime", "docker")
    };
    Expect::nothing().event(event("start")).event(event("stop").with("process.exit_code", first.code))
}

/// A container's control group, with another one within it or not; gone when it is dropped.
struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    fn new(stage: &Stage, below: &str) -> anyhow::Result<Self> {
        let mut folder = stage.group().to_owned();
        let mut group = Self { folders: Vec::new() };
        for name in ["docker", ID, below] {
            if name.is_empty() {
                continue;
            }
            folder.push(name);
            fs::create_dir(&folder)?;
            group.folders.push(folder.clone());
        }
        Ok(group)
    }

    /// A child that enters the innermost group and does this, until its end.
    fn run(&self, task: impl sys::Task) -> anyhow::Result<Ended> {
        let procs = self.folders.last().map(|folder| folder.join("cgroup.procs")).unwrap_or_default();
        wait(sys::fork(|| {
            fs::write(procs, "0")?;
            task()
        })?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in self.folders.iter().rev() {
            drop(fs::remove_dir(folder));
        }
    }
}
