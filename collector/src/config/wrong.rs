//! What is wrong with the settings, in one sentence each.

use std::path::{Path, PathBuf};

use figment::error::Kind;

/// Settings that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The named file is not there.
    #[error("no file {}, as --config says; name one that exists", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// A key that does not exist.
    #[error("unknown key {key:?} in {place}{}; the keys are {known}", nearest.as_ref().map(|n| format!(", did you mean {n}?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file, or the environment.
        place: String,
        /// The nearest key that exists.
        nearest: Option<String>,
        /// All keys.
        known: String,
    },
    /// A value that does not fit its key.
    #[error("invalid {key} {found:?}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Anything else, in the words of the parser.
    #[error("{place}: {reason}")]
    Other {
        /// The file, or the environment.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// Turns what the parser says into a sentence that names the place and the nearest key.
pub(super) fn explain(error: &figment::Error, file: &Path) -> ConfigError {
    let place = match &error.metadata {
        Some(metadata) if metadata.name.contains("environment") => "the environment".to_owned(),
        Some(_) | None => file.display().to_string(),
    };
    match &error.kind {
        Kind::UnknownField(key, known) => ConfigError::UnknownKey {
            key: key.clone(),
            place,
            nearest: nearest(key, known),
            known: known.join(", "),
        },
        _ => ConfigError::Other { place, reason: error.to_string().lines().collect::<Vec<_>>().join(" ") },
    }
}

fn nearest(key: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|name| (strsim::osa_distance(key, name), *name))
        .filter(|(distance, name)| *distance <= name.len() / 2)
        .min()
        .map(|(_, name)| name.to_owned())
}
