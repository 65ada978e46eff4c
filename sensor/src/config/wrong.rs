//! What the parser of the settings says, as a sentence that names the place and the nearest key.

use std::path::Path;

use figment::error::Kind;

use super::ConfigError;

/// Turns what the parser says into that sentence.
pub(super) fn explain(error: &figment::Error, file: &Path) -> ConfigError {
    let place = match &error.metadata {
        Some(metadata) if metadata.name.contains("environment") => "the environment".to_owned(),
        Some(_) | None => file.display().to_string(),
    };
    match &error.kind {
        Kind::UnknownField(key, known) => ConfigError::unknown_key(key, place, known),
        _ => ConfigError::Other { place, reason: error.to_string().lines().collect::<Vec<_>>().join(" ") },
    }
}
