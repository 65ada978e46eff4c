//! Which columns there are, and what each told.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nix::sys::utsname::uname;
use tempfile::TempDir;
use tests::skip::skip;

use crate::kernel::{self, Kernel};
use crate::machine::{Boot, architecture};
use crate::told::Told;
use crate::{host, initramfs};

/// As many run at a time: an emulator uses a core and more.
const AT_A_TIME: usize = 2;

/// The programs that are tried and that try, statically linked.
#[derive(Clone)]
pub(crate) struct Programs {
    pub(crate) sensor: PathBuf,
    pub(crate) guest: PathBuf,
}

/// All columns, in the order of the table of kernels; this machine's own is the last one.
pub(crate) struct Matrix {
    pub(crate) columns: Vec<Column>,
}

/// One kernel in one setting.
pub(crate) struct Column {
    pub(crate) title: String,
    /// Whether BPF LSM was asked for; none on a kernel that others booted.
    pub(crate) lsm: Option<bool>,
    pub(crate) outcome: Outcome,
}

/// What came of a column.
pub(crate) enum Outcome {
    /// All that it should tell.
    Told(Told),
    /// Less, and why.
    Failed(String),
    /// This machine cannot run it, and why.
    Skipped(String),
}

impl Column {
    /// What it told, if that is all.
    pub(crate) fn told(&self) -> Option<&Told> {
        match &self.outcome {
            Outcome::Told(told) => Some(told),
            Outcome::Failed(_) | Outcome::Skipped(_) => None,
        }
    }
}

/// What is to be done for a column.
enum Task {
    /// Boot the kernel in this folder.
    Boot { kernel: PathBuf, lsm: bool },
    /// Play on this machine's own.
    Host,
    /// Nothing, for this reason.
    Skip { why: String },
}

/// A column that is to be run, by its place among all.
struct Job {
    place: usize,
    title: String,
    lsm: Option<bool>,
    task: Task,
}

impl Matrix {
    /// Builds the programs and runs every column.
    ///
    /// # Errors
    /// When nothing of it can run here; says why.
    pub(crate) fn run() -> Result<Self, String> {
        if !cfg!(target_arch = "x86_64") {
            return Err("the kernels are those of x86_64".into());
        }
        // Whether they are of this machine's architecture.
        let is_own = architecture().name == "amd64";
        let kernels = kernel::all().unwrap_or_else(|error| panic!("{error:#}"));
        let programs = build().unwrap_or_else(|error| panic!("{error:#}"));
        let mut jobs = VecDeque::new();
        let mut add = |title: String, lsm, task: Result<Task, String>| {
            let task = asked_for(&title).and(task).unwrap_or_else(|why| Task::Skip { why });
            jobs.push_back(Job { place: jobs.len(), title, lsm, task });
        };
        for kernel in kernels {
            for lsm in [false, true] {
                let of = if is_own { String::new() } else { format!(" {}", architecture().name) };
                let title = format!("{}{}{of}", kernel.name, if lsm { " LSM" } else { "" });
                add(title, Some(lsm), can_boot(&kernel).map(|kernel| Task::Boot { kernel, lsm }));
            }
        }
        if !is_own {
            return Ok(Self { columns: run_all(jobs, &programs) });
        }
        let is_root = nix::unistd::geteuid().is_root();
        let host = is_root.then_some(Task::Host).ok_or("loading programs into the kernel takes root");
        add(own_title(), None, host.map_err(str::to_owned));
        Ok(Self { columns: run_all(jobs, &programs) })
    }
}

/// Some at a time, the first ones first.
fn run_all(jobs: VecDeque<Job>, programs: &Programs) -> Vec<Column> {
    let (waiting, done) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(Job { place, title, lsm, task }) = next else { break };
            let start = Instant::now();
            let outcome = run_one(task, &title, programs);
            match &outcome {
                Outcome::Told(told) => {
                    let (n, seconds) = (told.played.len(), start.elapsed().as_secs());
                    let lost = if told.n_lost > 0 {
                        format!(", {} records lost", told.n_lost)
                    } else {
                        String::new()
                    };
                    say(&format!("{title}: {n} scenarios on {} in {seconds} s{lost}", told.release));
                }
                Outcome::Failed(_) => say(&format!("{title}: failed")),
                Outcome::Skipped(why) => skip(&name(&title), why),
            }
            let column = Column { title, lsm, outcome };
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, column));
        }
    };
    std::thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, column)| column).collect()
}

fn run_one(task: Task, title: &str, programs: &Programs) -> Outcome {
    let told = match task {
        Task::Boot { kernel, lsm } => boot(&kernel, lsm, title, programs),
        Task::Host => play_here(programs),
        Task::Skip { why } => return Outcome::Skipped(why),
    };
    told.map_or_else(|error| Outcome::Failed(format!("{error:#}")), Outcome::Told)
}

fn boot(kernel: &Path, lsm: bool, title: &str, programs: &Programs) -> anyhow::Result<Told> {
    let scratch = scratch()?;
    let initramfs = initramfs::build(&scratch.path().join("root"), programs, kernel)?;
    let image = kernel.join("vmlinuz");
    let boot = Boot { kernel: &image, initramfs: &initramfs, lsm, folder: scratch.path() };
    let lines = boot.run(|why| {
        // Past the harness and on a line of its own, where the suites' summary finds it.
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "\nBOOTED TWICE {}: {why}:\n{}", name(title), boot.said());
    })?;
    say(&format!("{title}: {}", boot.timeline()));
    Told::read(&lines).with_context(|| format!("not all was told; the console says:\n{}", boot.said()))
}

fn play_here(programs: &Programs) -> anyhow::Result<Told> {
    let scratch = scratch()?;
    Told::read(&host::run(programs, scratch.path())?)
}

fn scratch() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("vedette-kernels-").tempdir()
}

/// VEDETTE_KERNELS, if it is set, lists the kernels to run, with commas between: `own,6.1`.
fn asked_for(title: &str) -> Result<(), String> {
    let Ok(asked) = std::env::var("VEDETTE_KERNELS") else { return Ok(()) };
    if asked.split(',').any(|kernel| title.split(' ').next() == Some(kernel)) {
        return Ok(());
    }
    Err(format!("VEDETTE_KERNELS asks for {asked} only"))
}

/// The folder of a kernel that can be booted here.
fn can_boot(kernel: &Kernel) -> Result<PathBuf, String> {
    let folder = kernel.folder.clone()?;
    let (emulator, package) = architecture().emulator;
    match Command::new(emulator).arg("--version").output() {
        Ok(_) => Ok(folder),
        Err(error) => Err(format!("{emulator}: {error} (apt-get install {package})")),
    }
}

/// What a column is called where a word is wanted.
fn name(title: &str) -> String {
    format!("kernel-{}", title.replace(' ', "-"))
}

/// Tells how far it is, past the harness, which keeps what a passing test prints.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "kernels: {what}");
}

fn build() -> anyhow::Result<Programs> {
    let script = crate::root().join("setup/static.sh");
    say("linking the programs statically");
    let ran = Command::new(&script).output().with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(ran.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&ran.stderr));
    let folder = crate::root().join(String::from_utf8(ran.stdout)?.trim());
    Ok(Programs { sensor: folder.join("vedette-sensor"), guest: folder.join("vedette-guest") })
}

/// The title of this machine's own column: its version as far as features follow it.
fn own_title() -> String {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let version: Vec<_> = release.split('.').take(2).collect();
    format!("own {}", version.join("."))
}
