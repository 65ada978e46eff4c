//! `vedette-sensor check`: what this kernel allows, and what cannot be seen on it.

mod collection;
mod containers;
mod spool;

pub use collection::{CollectionReport, LineReport, Taken};
pub use spool::SpoolPlace;

use std::fmt;

use nix::sys::utsname::uname;
use serde::Serialize;

use crate::container::resolver::Source;
use crate::probe::cgroup::{self, Hierarchy};
use crate::probe::hook::Hook;
use crate::probe::sight::Sight;
use crate::probe::{self, KernelVersion, Trial};

/// What was found on this machine. Its `Display` is the text for a terminal; as JSON it is one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The kernel's release, as `uname -r` has it.
    pub kernel: String,
    /// What the sensor needs before any program, in the order to mend it.
    pub needs: Vec<Row>,
    /// What can be seen, one row each.
    pub sights: Vec<Row>,
    /// Whether containers have names.
    pub containers: Row,
    /// Whether what waits for a collector outlives a power cut.
    pub spool: Row,
    /// Which control-group hierarchy says where a process belongs.
    pub cgroup: &'static str,
    /// What cannot be seen here, one sentence each.
    pub blind: Vec<String>,
}

/// One thing that is there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: as events have it, or something the machine must offer.
    pub name: String,
    /// The way in which it is seen here: places in the kernel. Empty where there is none.
    pub way: String,
    /// The programs that are attached there.
    pub programs: Vec<&'static str>,
    /// What it gives.
    pub shows: String,
    /// Whether it is there.
    pub available: bool,
    /// Why it is not, or why it is not seen in a better way.
    pub note: String,
    /// What this kernel would refuse of the ways that come after this one. Each is the best on some kernel.
    pub spare: String,
    /// What is not seen here: without it, or in this way.
    pub blind: String,
    /// Whether the sensor cannot run without it.
    pub required: bool,
}

impl Report {
    /// Looks at this machine. As root every program is tried in the kernel (loaded, not attached);
    /// else only the kernel's description of itself is read. These sources are asked whether they answer; batches would go to
    /// this place on disk.
    pub fn gather(sources: &[Source], spool: Option<&SpoolPlace>) -> Self {
        let version = probe::kernel_version();
        let needs = probe::needs().into_iter().map(Row::from).collect::<Vec<_>>();
        let sights = sight_rows();
        let hierarchy = cgroup::reported();
        let containers = containers::row(sources);
        let spool = spool::row(spool);
        Self {
            kernel: uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default(),
            blind: blind_spots(version, sights.iter().chain([&containers, &spool])),
            needs,
            sights,
            containers,
            spool,
            cgroup: match hierarchy {
                Hierarchy::V2 => "cgroup v2",
                Hierarchy::Pids => "cgroup v1, pids controller",
                Hierarchy::Memory => "cgroup v1, memory controller",
            },
        }
    }

    /// Whether the sensor can run.
    pub fn is_usable(&self) -> bool {
        self.needs.iter().chain(&self.sights).all(|row| row.available || !row.required)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {}, control groups from {}\n", self.kernel, self.cgroup)?;
        let rows = || self.needs.iter().chain(&self.sights).chain([&self.containers, &self.spool]);
        let width = rows().map(|row| row.name.len()).max().unwrap_or(0);
        // What stands in the way of everything is said once.
        let mut said = "";
        for row in rows() {
            let mark = match (row.available, row.required) {
                (true, _) => "yes",
                (false, true) => "NO",
                (false, false) => "no",
            };
            writeln!(f, "{mark:4}{:width$}  {}{}", row.name, row.shows, by(&row.way))?;
            if !row.note.is_empty() && row.note != said {
                writeln!(f, "{:4}{:width$}  {}", "", "", row.note)?;
                said = &row.note;
            }
        }
        writeln!(f, "\nnot seen on this kernel:")?;
        self.blind.iter().try_for_each(|line| writeln!(f, "  - {line}"))
    }
}

fn by(way: &str) -> String {
    if way.is_empty() { String::new() } else { format!(" ({way})") }
}

impl From<probe::Need> for Row {
    fn from(need: probe::Need) -> Self {
        Self {
            name: need.name.into(),
            way: String::new(),
            programs: Vec::new(),
            shows: need.shows.into(),
            available: need.missing.is_none(),
            note: need.missing.unwrap_or_default(),
            spare: String::new(),
            blind: String::new(),
            required: true,
        }
    }
}

impl From<Trial> for Row {
    fn from(trial: Trial) -> Self {
        let refusals = |refused: &[(&Hook, String)]| {
            let each = refused.iter().map(|(hook, why)| format!("{}: {}", hook.section(), brief(why)));
            each.collect::<Vec<_>>().join("; ")
        };
        Self {
            name: trial.sight.name.into(),
            way: trial.way.map(|way| way.sections()).unwrap_or_default(),
            programs: trial
                .way
                .map_or_else(Vec::new, |way| way.hooks.iter().map(|hook| hook.program).collect()),
            shows: trial.sight.shows.into(),
            available: trial.way.is_some(),
            note: refusals(&trial.refused),
            spare: refusals(&trial.spare),
            blind: trial.way.map_or(trial.sight.without, |way| way.blind).into(),
            required: trial.sight.required,
        }
    }
}

/// A refusal without the verifier's log, if there is nothing in it; else with the end of that.
fn brief(why: &str) -> String {
    let (told, log) = why.split_once(" Verifier output: ").unwrap_or((why, ""));
    let says = |line: &&str| line.chars().any(char::is_alphabetic) && !line.starts_with("processed ");
    match log.lines().rfind(says).filter(|line| !told.contains(line.trim_start_matches([':', ' ']))) {
        Some(line) => format!("{told} {line}"),
        None => told.trim_end_matches('.').to_owned(),
    }
}

fn sight_rows() -> Vec<Row> {
    match probe::try_sights() {
        Ok(trials) => trials.into_iter().map(Row::from).collect(),
        Err(error) => {
            let why = wire::cause::chain(&error);
            Sight::all().map(|sight| Row { note: why.clone(), ..unseen(sight) }).collect()
        }
    }
}

fn unseen(sight: &'static Sight) -> Row {
    Row::from(Trial { sight, way: None, refused: Vec::new(), spare: Vec::new() })
}

/// What no event tells of here. What no kernel shows to this version stands in the README.
fn blind_spots<'a>(version: Option<KernelVersion>, rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let blind = rows.map(|row| row.blind.clone()).filter(|blind| !blind.is_empty());
    let mut blind: Vec<String> = blind.collect();
    blind.dedup();
    blind.push("connections that MPTCP sockets accept, and protocols other than TCP".into());
    blind.push(
        "arguments in pages that were swapped out before exec returned (process.truncated says so)".into(),
    );
    if version < Some(KernelVersion { major: 5, minor: 12 }) {
        blind.push("program runs that the kernel skipped are not counted before 5.12".into());
    }
    blind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(available: bool) -> Vec<Row> {
        Sight::all()
            .map(|sight| Trial {
                sight,
                way: sight.ways.first().filter(|_| available),
                refused: Vec::new(),
                spare: Vec::new(),
            })
            .map(Row::from)
            .collect()
    }

    #[test]
    fn what_is_not_seen_is_told_with_what_it_costs() {
        let new = Some(KernelVersion { major: 6, minor: 1 });
        let n_always = blind_spots(new, rows(true).iter()).len();
        assert_eq!(blind_spots(new, rows(false).iter()).len(), n_always + Sight::all().count());
        assert_eq!(
            blind_spots(Some(KernelVersion { major: 5, minor: 10 }), rows(true).iter()).len(),
            n_always + 1
        );
    }

    #[test]
    fn a_lesser_way_is_told_with_what_it_costs() {
        let accept = Sight::all().find(|sight| sight.name == "network.accept").expect("it is there");
        let row = Row::from(Trial {
            sight: accept,
            way: accept.ways.last(),
            refused: Vec::new(),
            spare: Vec::new(),
        });
        assert!(row.available && row.blind.contains("io_uring"));
    }

    #[test]
    fn a_refusal_is_told_in_one_line() {
        let refused = "the BPF_PROG_LOAD syscall returned Operation not permitted (os error 1). Verifier output: : \
                       Operation not permitted (os error 1)";
        assert_eq!(brief(refused), "the BPF_PROG_LOAD syscall returned Operation not permitted (os error 1)");
        let verified = "the BPF_PROG_LOAD syscall returned EACCES. Verifier output: 0: r1\nR1 is not a scalar\nprocessed 7 insns";
        assert_eq!(brief(verified), "the BPF_PROG_LOAD syscall returned EACCES. R1 is not a scalar");
    }

    #[test]
    fn only_required_rows_make_a_machine_unusable() {
        let mut report = Report {
            kernel: "6.1".into(),
            needs: vec![],
            sights: rows(true),
            containers: containers::row(&[]),
            spool: spool::row(None),
            cgroup: "cgroup v2",
            blind: vec![],
        };
        assert!(report.is_usable());
        let optional = report.sights.iter_mut().find(|row| !row.required).expect("there is one");
        optional.available = false;
        optional.note = "this kernel does not have it".into();
        assert!(report.is_usable());
        assert!(report.to_string().contains("this kernel does not have it"));
        report.sights.iter_mut().for_each(|row| row.available = false);
        assert!(!report.is_usable());
    }
}
