//! The schemas that records come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The schema of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The Open Cybersecurity Schema Framework, 1.8.0 (`docs/ocsf.md`).
    #[default]
    Ocsf,
    /// The Elastic Common Schema, 8.
    Ecs,
    /// What `vedette search --output json` prints.
    Native,
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {found:?}, expected ocsf, ecs or native")]
pub struct FormatError {
    found: String,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Ocsf, Format::Ecs, Format::Native];

    /// Its name in settings and options.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Ocsf => "ocsf",
            Format::Ecs => "ecs",
            Format::Native => "native",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let known = Format::ALL.into_iter().find(|format| format.name() == text);
        known.ok_or_else(|| FormatError { found: text.chars().take(64).collect() })
    }
}
