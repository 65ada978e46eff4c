//! The process that does what is measured: this very program, started anew in the watched group each time, so that
//! whoever watches sees all of it begin.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tests::loops::{Done, Loopback, execute, open, repeat};
use tests::usage::cpu_of_ended_children;

use super::site::Site;
use super::workload::Workload;

const PRIME: &str = "prime";
const WORK: &str = "work";
const REPEAT: &str = "repeat";

/// What a worker did, and the CPU time of it and of all that it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worked {
    pub(crate) done: Done,
    pub(crate) cpu: Duration,
}

/// What a worker can be told to repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Open,
    Connect,
    Execute,
    /// A system call that nobody watches.
    Ask,
}

/// Runs a workload once.
pub(crate) fn run(site: &Site, workload: Workload) -> anyhow::Result<Worked> {
    let mut command = site.group.command(std::env::current_exe()?);
    finish(command.args([WORK, workload.name()]).arg(site.scratch()))
}

/// Runs each of its programs once.
pub(crate) fn prime(site: &Site, workload: Workload) -> anyhow::Result<()> {
    let mut command = site.group.command(std::env::current_exe()?);
    finish(command.args([PRIME, workload.name()]).arg(site.scratch())).map(drop)
}

/// The words that have this program repeat a deed.
pub(crate) fn repeating(deed: Deed, n: u64, path: &Path) -> Vec<String> {
    let deed = match deed {
        Deed::Open => "open",
        Deed::Connect => "connect",
        Deed::Execute => "execute",
        Deed::Ask => "ask",
    };
    [REPEAT, deed, &n.to_string(), &path.to_string_lossy()].map(str::to_owned).to_vec()
}

fn named(name: &str) -> Workload {
    Workload::ALL.into_iter().find(|workload| workload.name() == name).expect("a workload of this name")
}

fn ask() {
    nix::unistd::getppid();
}

/// Waits for such a command.
pub(crate) fn finish(command: &mut Command) -> anyhow::Result<Worked> {
    let before = cpu_of_ended_children();
    let output = command.output()?;
    let cpu = cpu_of_ended_children() - before;
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the worker ended with {}: {told}{wrong}", output.status);
    let (n, ns) = told.trim().split_once(' ').with_context(|| format!("the worker said {told:?}"))?;
    let done = Done { n: n.parse()?, took: Duration::from_nanos(ns.parse()?) };
    Ok(Worked { done, cpu })
}

/// Whether this process is such a worker.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().nth(1).is_some_and(|word| [PRIME, WORK, REPEAT].contains(&word.as_str()))
}

/// Does what the arguments say, and prints how often and for how many ns.
pub(crate) fn work() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WORK, name, scratch] => named(name).run(Path::new(scratch)).unwrap(),
        [PRIME, name, scratch] => repeat(1, || named(name).prime(Path::new(scratch))),
        [REPEAT, "open", n, path] => {
            let path = PathBuf::from(path);
            repeat(n.parse().unwrap(), || open(&path))
        }
        [REPEAT, "connect", n, _] => {
            let loopback = Loopback::new().unwrap();
            repeat(n.parse().unwrap(), || loopback.connect())
        }
        [REPEAT, "ask", n, _] => repeat(n.parse().unwrap(), ask),
        [REPEAT, "execute", n, _] => repeat(n.parse().unwrap(), execute),
        _ => panic!("found {words:?}, expected what a worker is told"),
    };
    println!("{} {}", done.n, done.took.as_nanos());
}
