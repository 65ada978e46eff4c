//! With which words and names programs are run: bytes that whoever runs them may choose.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::unistd::execv;

use super::{Scenario, exec, exit, fork, life};
use crate::expect::{Expect, Want};
use crate::stage::{Stage, run, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "20 KiB of arguments",
        about: "More arguments than an event carries: cut, with their true length.",
        play: long,
    },
    Scenario { name: "2 MiB of arguments", about: "As many arguments as the kernel takes.", play: longest },
    Scenario {
        name: "no arguments",
        about: "A program is executed with an empty list of arguments.",
        play: empty,
    },
    Scenario {
        name: "false name",
        about: "A program is executed under another program's name.",
        play: false_name,
    },
    Scenario {
        name: "path that is not text",
        about: "The path holds bytes that are not UTF-8, a new line and an escape.",
        play: bytes,
    },
    Scenario {
        name: "false arguments",
        about: "A process overwrites its arguments in memory; those that it was executed with are told.",
        play: overwritten,
    },
    Scenario {
        name: "false comm",
        about: "A process takes another name by prctl(2) and through /proc; its executable is told all the same.",
        play: comm,
    },
];

fn long(stage: &Stage) -> anyhow::Result<Expect> {
    with_arguments(stage, &["x".repeat(20 << 10), "last".into()])
}

fn longest(stage: &Stage) -> anyhow::Result<Expect> {
    // A single one may have 128 KiB, all of them and the environment a quarter of the stack's limit, here 8 MiB.
    let all: Vec<_> = (0..15).map(|n| char::from(b'a' + n).to_string().repeat(120 << 10)).collect();
    with_arguments(stage, &all)
}

fn with_arguments(stage: &Stage, words: &[String]) -> anyhow::Result<Expect> {
    let program = stage.program("long", 15)?;
    let child = run(Command::new(&program).args(words).env_clear())?.with_code(15)?;
    let n_bytes = program.as_os_str().len() + 1 + words.iter().map(|word| word.len() + 1).sum::<usize>();
    let image = exec(child.pid, &program)
        .with("process.truncated", true)
        .with("process.args_bytes", n_bytes)
        .with("process.args_count", 1 + words.len());
    Ok(life(child, image))
}

fn empty(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("no-arguments", 16)?;
    let path = CString::new(program.as_os_str().as_bytes())?;
    let child = wait(sys::fork(|| {
        execv::<CString>(&path, &[])?;
        Ok(1)
    })?)?
    .with_code(16)?;
    Ok(life(child, exec(child.pid, &program)))
}

fn false_name(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program("true-name", 17)?;
    let child = run(Command::new(&program).arg0("[kworker/0:1]"))?.with_code(17)?;
    let image = exec(child.pid, &program)
        .with("process.name", "true-name")
        .with("process.args", serde_json::json!(["[kworker/0:1]"]));
    Ok(life(child, image))
}

fn bytes(stage: &Stage) -> anyhow::Result<Expect> {
    let program = stage.program(b"\xff\xfe\n\x1b[2J\xe6", 18)?;
    let child = run(&mut Command::new(&program))?.with_code(18)?;
    let path = format!("{}/\\xff\\xfe\n\x1b[2J\\xe6", stage.folder().display());
    let image =
        exec(child.pid, Path::new(&path)).want("event.escaped", Want::Holds("process.executable".into()));
    Ok(life(child, image))
}

fn overwritten(stage: &Stage) -> anyhow::Result<Expect> {
    let child = run(&mut stage.job(&["overwrite-arguments", "guilty"]))?.with_code(21)?;
    let words = serde_json::json!([stage.me().to_string_lossy(), "job", "overwrite-arguments", "guilty"]);
    let end = exit(child).with("process.args", words.clone());
    let image = exec(child.pid, stage.me()).with("process.args", words);
    Ok(Expect::nothing().event(fork(child.pid)).event(image).event(end))
}

/// The job of [`overwritten`].
pub(crate) fn overwrite_arguments() -> anyhow::Result<()> {
    const ARG_START: usize = 48;
    const AFTER_NAME: usize = 3;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat has no name")?;
    let start = fields.split(' ').nth(ARG_START - AFTER_NAME).context("/proc/self/stat is short")?.parse()?;
    File::options().write(true).open("/proc/self/mem")?.write_all_at(b"harmless\0", start)?;
    ensure!(fs::read("/proc/self/cmdline")?.starts_with(b"harmless\0"), "the arguments are as they were");
    std::process::exit(21);
}

fn comm(stage: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        nix::sys::prctl::set_name(c"sshd")?;
        ensure!(fs::read_to_string("/proc/self/comm")? == "sshd\n", "prctl");
        fs::write("/proc/self/comm", "cron")?;
        Ok(19)
    })?)?
    .with_code(19)?;
    let end = exit(child).with_path("process.executable", stage.me());
    Ok(Expect::nothing().event(fork(child.pid)).event(end))
}
