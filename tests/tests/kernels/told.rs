//! What the guest wrote, put in order. Pure.

use anyhow::{Context as _, bail, ensure};
use guest::report::{Line, Played};
use serde_json::Value;

/// All that a column told.
pub(crate) struct Told {
    pub(crate) release: String,
    pub(crate) lsm: Vec<String>,
    pub(crate) sights: Vec<SightRow>,
    pub(crate) attached: Vec<String>,
    pub(crate) played: Vec<Played>,
    /// Records that the sensor said it lost.
    pub(crate) n_lost: u64,
}

/// Something that can be seen, as `vedette-sensor check` tells.
#[derive(Clone, Debug)]
pub(crate) struct SightRow {
    pub(crate) name: String,
    pub(crate) shows: String,
    /// Places in the kernel; empty where it is not seen.
    pub(crate) way: String,
    /// The programs that are attached there.
    pub(crate) programs: Vec<String>,
    pub(crate) required: bool,
    /// Programs of lesser ways that this kernel refuses, and why.
    pub(crate) spare: String,
    /// What is not seen.
    pub(crate) blind: String,
}

impl Told {
    /// # Errors
    /// When it is less than all.
    pub(crate) fn read(lines: &str) -> anyhow::Result<Self> {
        let mut told = Self {
            release: String::new(),
            lsm: Vec::new(),
            sights: Vec::new(),
            attached: Vec::new(),
            played: Vec::new(),
            n_lost: 0,
        };
        let mut n_scenarios = None;
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match serde_json::from_str(line).with_context(|| format!("not a line of the guest's: {line}"))? {
                Line::Kernel { release, lsm } => (told.release, told.lsm) = (release, lsm),
                Line::Check { report } => {
                    told.sights = sight_rows(&report).context("check's report has no sights")?
                }
                Line::Attached { programs } => told.attached = programs,
                Line::Played(played) => told.played.push(played),
                Line::Broken { why } => bail!("{why}"),
                Line::Done { n_scenarios: n, n_lost } => (n_scenarios, told.n_lost) = (Some(n), n_lost),
            }
        }
        ensure!(n_scenarios == Some(told.played.len()), "{} of {n_scenarios:?} scenarios", told.played.len());
        Ok(told)
    }
}

fn sight_rows(report: &Value) -> Option<Vec<SightRow>> {
    let row = |row: &Value| {
        let programs = row.get("programs")?.as_array()?.iter().filter_map(Value::as_str);
        Some(SightRow {
            name: row.get("name")?.as_str()?.to_owned(),
            shows: row.get("shows")?.as_str()?.to_owned(),
            way: row.get("way")?.as_str()?.to_owned(),
            programs: programs.map(str::to_owned).collect(),
            required: row.get("required")?.as_bool()?,
            spare: row.get("spare")?.as_str()?.to_owned(),
            blind: row.get("blind")?.as_str()?.to_owned(),
        })
    };
    report.get("sights")?.as_array()?.iter().map(row).collect()
}
