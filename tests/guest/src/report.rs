//! What the guest writes: one JSON object a line.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Where it plays.
    Kernel {
        /// As `uname -r` has it.
        release: String,
        /// The security modules that are active.
        lsm: Vec<String>,
    },
    /// What `vedette-sensor check --output json` printed.
    Check {
        /// The whole report.
        report: Value,
    },
    /// Which programs are attached while the sensor runs.
    Attached {
        /// Their names, sorted.
        programs: Vec<String>,
    },
    /// How one scenario ended.
    Played(Played),
    /// The guest could not do its work; nothing else follows.
    Broken {
        /// The chain of causes.
        why: String,
    },
    /// Everything was played.
    Done {
        /// Records that the sensor said it lost, in all.
        n_lost: u64,
        /// How many scenarios there were.
        n_scenarios: usize,
    },
}

/// How one scenario ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// The category: of the table that the scenario stands in.
    pub category: String,
    /// Its name, unique within the category.
    pub name: String,
    /// What it does, in one sentence.
    pub about: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Exactly the events that it should cause came.
    Seen,
    /// Those came, and a part of what happened shows in no event, for a reason that is known.
    Partly {
        /// The reason.
        why: String,
    },
    /// No event tells of it, for a reason that is known.
    Unseen {
        /// The reason.
        why: String,
    },
    /// This kernel does not do such a thing.
    Absent {
        /// What it lacks.
        why: String,
    },
    /// What came is not what should.
    Failed {
        /// What was expected and what was found.
        why: String,
    },
}

impl Line {
    /// Writes it to the end of `out`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}
