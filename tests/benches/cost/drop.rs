//! What an open costs that is not told of: dropped by its subject, or by its path after the whole walk.
//!
//! Where no program can be put behind the kernel's own function that opens files, one looks at each system call that
//! returns: then what a call costs that is none of its business is measured too, and taken off for the calls that
//! are no opens.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tests::pairs::median;
use vedette_sensor::probe::Runs;

use super::kernel_time::{during, loaded, total};
use super::site::Site;
use super::watch::{Watching, ledger};
use super::worker::{self, Deed};

const ROUNDS: usize = 3;
const OPENS: u64 = 1_000_000;
/// A user that nobody is.
const USER: u32 = 61_234;
/// What the kernel calls the programs that see files opened; the first of them that runs does.
const PROGRAMS: [&str; 2] = ["file_opened", "syscall_returne"];

/// A way for an open not to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Executable,
    User,
    Outside,
    Path,
    DeepPath,
    /// Told of, to compare with.
    None,
}

impl Way {
    const ALL: [Self; 6] =
        [Self::Executable, Self::User, Self::Outside, Self::Path, Self::DeepPath, Self::None];

    fn name(self) -> &'static str {
        match self {
            Self::Executable => "its executable is excluded",
            Self::User => "its user is excluded",
            Self::Outside => "outside of the sensor's group",
            Self::Path => "no line names its path",
            Self::DeepPath => "the same, 12 folders deep",
            Self::None => "not dropped (everything)",
        }
    }

    fn aim_ns(self) -> Option<f64> {
        match self {
            Self::Executable | Self::User | Self::Outside => Some(150.0),
            Self::Path => Some(1_000.0),
            Self::DeepPath | Self::None => None,
        }
    }
}

/// What the runs of one program took while something was repeated.
struct Ran {
    name: String,
    n: u64,
    ns: f64,
    /// Of all programs together.
    all_ns: f64,
}

pub(crate) fn run(site: &Site) {
    println!(
        "\ndrop: {OPENS} opens by one process, by the kernel's own statistics; medians of {ROUNDS} rounds"
    );
    let empty = site.empty_ns;
    let median_of = |values: Vec<f64>| median(&values).unwrap();
    let other = median_of((0..ROUNDS).map(|_| other_call(site).unwrap()).collect());
    println!(
        "a system call that is no business of the sensor's: {other:.0} ns, net {:.0}",
        net(other, empty)
    );
    println!(
        "{:<32} {:>16} {:>10} {:>9} {:>7} {:>12}",
        "an open", "program", "runs", "ns", "net", "all programs"
    );
    for way in Way::ALL {
        let all: Vec<Ran> = (0..ROUNDS).map(|_| opens(site, way).unwrap()).collect();
        let ns = median_of(
            all.iter().map(|ran| (ran.ns - (ran.n as f64 - OPENS as f64) * other) / OPENS as f64).collect(),
        );
        let aim = way.aim_ns().map(|aim| match net(ns, empty) < aim {
            true => format!("aim: {aim:.0}"),
            false => format!("aim: {aim:.0}, MISSED"),
        });
        println!(
            "{:<32} {:>16} {:>10.0} {ns:>9.0} {:>7.0} {:>12.0}  {}",
            way.name(),
            all[0].name,
            median_of(all.iter().map(|ran| ran.n as f64).collect()),
            net(ns, empty),
            median_of(all.iter().map(|ran| ran.all_ns / OPENS as f64).collect()),
            aim.unwrap_or_default()
        );
    }
}

fn net(ns: f64, empty: f64) -> f64 {
    (ns - empty).max(0.0)
}

/// What the program that sees opens did while a process opened.
fn opens(site: &Site, way: Way) -> anyhow::Result<Ran> {
    let opener = site.scratch().join("opener");
    std::fs::copy(std::env::current_exe()?, &opener)?;
    let everything = site.everything().to_string_lossy().into_owned();
    let words: &[&str] = if way == Way::None { &["--collection", &everything] } else { &[] };
    let variables = match way {
        Way::Executable => {
            vec![("VEDETTE_SENSOR_EXCLUDE_EXECUTABLES", format!("[{:?}]", opener.to_string_lossy()))]
        }
        Way::User => vec![("VEDETTE_SENSOR_EXCLUDE_USERS", format!("[{USER}]"))],
        _ => Vec::new(),
    };
    let path = opened(site, way)?;
    let mut command = Command::new(&opener);
    command.args(worker::repeating(Deed::Open, OPENS, &path));
    if way == Way::User {
        command.uid(USER);
    }
    let start = || match way {
        Way::Outside => site.watcher.start(words, &variables),
        _ => site.watcher.start_unconfined(words, &variables),
    };
    let ran = beside(site, start, &mut command)?;
    let name = PROGRAMS.into_iter().find(|name| ran.iter().any(|runs| runs.name == *name));
    let name =
        name.ok_or_else(|| anyhow::anyhow!("no program that sees opens ran; expected one of {PROGRAMS:?}"))?;
    let (n, ns) = sum(&ran, name);
    Ok(Ran { name: name.to_owned(), n, ns, all_ns: total(&ran).as_nanos() as f64 })
}

/// ns that programs take of a system call that none of them is for; 0 where none looks at all calls.
fn other_call(site: &Site) -> anyhow::Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(worker::repeating(Deed::Ask, OPENS, Path::new("/")));
    let ran = beside(site, || site.watcher.start_unconfined(&[], &[]), &mut command)?;
    let (n, ns) = sum(&ran, PROGRAMS[1]);
    Ok(if n < OPENS { 0.0 } else { ns / n as f64 })
}

/// What the programs of a sensor ran while a command did.
fn beside(
    site: &Site,
    start: impl FnOnce() -> anyhow::Result<Child>,
    command: &mut Command,
) -> anyhow::Result<Vec<Runs>> {
    let known = loaded()?;
    let before = ledger(site)?;
    let watching = Watching::Sensor { site, child: Some(start()?), before };
    let (worked, ran) = during(&known, || worker::finish(command))?;
    drop(watching);
    worked?;
    Ok(ran)
}

/// Runs and ns of the programs of this name.
fn sum(ran: &[Runs], name: &str) -> (u64, f64) {
    let of_name = || ran.iter().filter(|runs| runs.name == name);
    (of_name().map(|runs| runs.n_runs).sum(), of_name().map(|runs| runs.time.as_nanos() as f64).sum())
}

/// A file that no line of the default collection names.
fn opened(site: &Site, way: Way) -> anyhow::Result<PathBuf> {
    let mut folder = site.scratch().to_owned();
    if way == Way::DeepPath {
        // Below /var/tmp/NAME.
        folder.extend((0..9).map(|n| format!("folder{n}")));
    }
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("opened");
    std::fs::write(&path, "nothing")?;
    Ok(path)
}
