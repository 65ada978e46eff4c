//! What can be wrong with a program's settings, in one sentence each.

use std::path::PathBuf;

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

impl ConfigError {
    /// A key that is not among those known, with the nearest of them.
    pub fn unknown_key(key: &str, place: String, known: &[&str]) -> Self {
        let nearest = known
            .iter()
            .map(|name| (strsim::osa_distance(key, name), *name))
            .filter(|(distance, name)| *distance <= name.len() / 2)
            .min();
        Self::UnknownKey {
            key: key.to_owned(),
            place,
            nearest: nearest.map(|(_, name)| name.to_owned()),
            known: known.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named_if_one_is_near() {
        let told = |key| ConfigError::unknown_key(key, "x.toml".to_owned(), &["listen", "log"]).to_string();
        assert_eq!(
            told("lisen"),
            r#"unknown key "lisen" in x.toml, did you mean listen?; the keys are listen, log"#
        );
        assert_eq!(told("retention"), r#"unknown key "retention" in x.toml; the keys are listen, log"#);
    }
}
