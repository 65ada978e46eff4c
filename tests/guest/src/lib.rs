//! Plays scenarios before a running sensor: do one thing, expect exactly these events.
//!
//! One program, statically linked, that is everything a scenario needs: the first process of a virtual machine
//! ([`machine`]), what starts the sensor and plays everything before it ([`run`]), the process that plays one scenario
//! ([`player`]), and small jobs in processes of their own ([`job`]). It knows the sensor by its command line and by the
//! events that it prints, and nothing of the workspace's crates.
//!
//! | module | holds |
//! |---|---|
//! | `scenario` | the tables, one file for each category of events |
//! | `stage` | where a scenario acts |
//! | `expect`, `judge` | what must come, and whether it did; pure |
//! | `run`, `sensor`, `act`, `player`, `job` | who runs what |
//! | `machine` | the first process of a virtual machine |
//! | [`report`] | what is written for the host |
//! | `elf`, `sys` | programs of a few bytes, raw system calls |

use std::fs::OpenOptions;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

mod act;
mod elf;
mod expect;
mod job;
mod judge;
mod machine;
mod player;
pub mod report;
mod run;
mod scenario;
mod sensor;
mod stage;
mod sys;
pub mod wait;

/// Does what the program's arguments say.
///
/// # Errors
/// When it cannot; a scenario that fails is none, but a line of the report.
pub fn main(words: &[String]) -> anyhow::Result<()> {
    let is_first = std::process::id() == 1;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["boot"] if is_first => machine::boot(),
        _ if is_first => machine::leave_initramfs(),
        // The sensor, its name, the control group to play in, and the file to write.
        ["run", sensor, name, group, report] => {
            let sensor = sensor::Settings {
                program: PathBuf::from(sensor),
                name: (*name).into(),
                confined_to: Some(group.into()),
            };
            let settings = run::Settings { sensor, group: group.into() };
            let mut out = OpenOptions::new()
                .append(true)
                .create(true)
                .open(report)
                .context("cannot write the report")?;
            run::run(&settings, &mut out)
        }
        ["play", category, name, _] => player::play(category, name),
        ["job", words @ ..] => job::run(words),
        _ => bail!(
            "found {words:?}, expected run SENSOR NAME GROUP REPORT, or what this program calls itself with"
        ),
    }
}
