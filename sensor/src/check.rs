//! `vedette-sensor check`: what this kernel allows, and what cannot be seen on it.

use std::fmt;

use nix::sys::utsname::uname;
use serde::Serialize;

use crate::probe::cgroup::{self, Hierarchy};
use crate::probe::hook::{HOOKS, Hook};
use crate::probe::{self, KernelVersion};

/// What was found on this machine. Its `Display` is the text for a terminal; as JSON it is one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The kernel's release, as `uname -r` has it.
    pub kernel: String,
    /// What the sensor needs before any program, in the order to mend it.
    pub needs: Vec<Row>,
    /// One row for each program.
    pub hooks: Vec<Row>,
    /// Which control-group hierarchy says where a process belongs.
    pub cgroup: &'static str,
    /// What cannot be seen here, one sentence each.
    pub blind: Vec<String>,
}

/// One thing that is there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: a place in the kernel, or something the machine must offer.
    pub name: String,
    /// What it gives.
    pub shows: String,
    /// Whether it is there.
    pub available: bool,
    /// Why it is not, or how it is known to be.
    pub note: String,
    /// Whether the sensor cannot run without it.
    pub required: bool,
}

impl Report {
    /// Looks at this machine. As root every program is tried in the kernel (loaded, not attached);
    /// else only the kernel's description of itself is read.
    pub fn gather() -> Self {
        let version = probe::kernel_version();
        let needs = probe::needs().into_iter().map(Row::from).collect::<Vec<_>>();
        let hooks = hook_rows();
        let hierarchy = cgroup::reported();
        Self {
            kernel: uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default(),
            blind: blind_spots(version, &hooks),
            needs,
            hooks,
            cgroup: match hierarchy {
                Hierarchy::V2 => "cgroup v2",
                Hierarchy::Pids => "cgroup v1, pids controller",
                Hierarchy::Memory => "cgroup v1, memory controller",
            },
        }
    }

    /// Whether the sensor can run.
    pub fn is_usable(&self) -> bool {
        self.needs.iter().chain(&self.hooks).all(|row| row.available || !row.required)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {}, control groups from {}\n", self.kernel, self.cgroup)?;
        let rows = || self.needs.iter().chain(&self.hooks);
        let width = rows().map(|row| row.name.len()).max().unwrap_or(0);
        // What stands in the way of everything is said once.
        let mut said = "";
        for row in rows() {
            let mark = match (row.available, row.required) {
                (true, _) => "yes",
                (false, true) => "NO",
                (false, false) => "no",
            };
            writeln!(f, "{mark:4}{:width$}  {}", row.name, row.shows)?;
            if !row.available && row.note != said {
                writeln!(f, "{:4}{:width$}  {}", "", "", row.note)?;
                said = &row.note;
            }
        }
        writeln!(f, "\nnot seen on this kernel:")?;
        self.blind.iter().try_for_each(|line| writeln!(f, "  - {line}"))
    }
}

impl From<probe::Need> for Row {
    fn from(need: probe::Need) -> Self {
        Self {
            name: need.name.into(),
            shows: need.shows.into(),
            available: need.missing.is_none(),
            note: need.missing.unwrap_or_default(),
            required: true,
        }
    }
}

fn hook_rows() -> Vec<Row> {
    let tried = probe::try_hooks();
    HOOKS
        .iter()
        .map(|hook| {
            hook_row(hook, tried.iter().find(|(tried, _)| *tried == hook).and_then(|(_, why)| why.as_deref()))
        })
        .collect()
}

fn hook_row(hook: &Hook, why_not: Option<&str>) -> Row {
    Row {
        name: hook.section(),
        shows: hook.shows.into(),
        available: why_not.is_none(),
        note: why_not.unwrap_or_default().into(),
        required: hook.required,
    }
}

/// What no event tells of here. What no kernel shows to this version stands in the README.
fn blind_spots(version: Option<KernelVersion>, hooks: &[Row]) -> Vec<String> {
    let mut blind: Vec<String> = HOOKS
        .iter()
        .filter(|hook| hooks.iter().any(|row| row.name == hook.section() && !row.available))
        .map(|hook| hook.without.into())
        .collect();
    blind.push("a connection accepted through io_uring is told when it is first read from".into());
    blind.push("connections of MPTCP sockets and of protocols other than TCP".into());
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
        HOOKS.iter().map(|hook| hook_row(hook, (!available).then_some("refused"))).collect()
    }

    #[test]
    fn a_missing_hook_is_named_with_what_it_costs() {
        let new = Some(KernelVersion { major: 6, minor: 1 });
        let n_always = blind_spots(new, &rows(true)).len();
        assert_eq!(blind_spots(new, &rows(false)).len(), n_always + HOOKS.len());
        assert_eq!(blind_spots(Some(KernelVersion { major: 5, minor: 10 }), &rows(true)).len(), n_always + 1);
    }

    #[test]
    fn only_required_rows_make_a_machine_unusable() {
        let mut report = Report {
            kernel: "6.1".into(),
            needs: vec![],
            hooks: rows(true),
            cgroup: "cgroup v2",
            blind: vec![],
        };
        assert!(report.is_usable());
        let optional = report.hooks.iter_mut().find(|row| !row.required).expect("there is one");
        optional.available = false;
        optional.note = "this kernel does not have it".into();
        assert!(report.is_usable());
        assert!(report.to_string().contains("this kernel does not have it"));
        report.hooks.iter_mut().for_each(|row| row.available = false);
        assert!(!report.is_usable());
    }
}
