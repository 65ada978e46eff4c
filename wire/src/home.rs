//! Where a host's Vedette keeps its state: one rule for every program of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where it is for root.
pub const SYSTEM: &str = "/var/lib/vedette";
/// Where the system's settings are, as packages bring them.
pub const SYSTEM_SETTINGS: &str = "/etc/vedette";

/// No folder to keep state in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither --home, VEDETTE_HOME, XDG_STATE_HOME nor HOME is set; set VEDETTE_HOME to a folder")]
pub struct NoHome;

/// `$VEDETTE_HOME`, else `/var/lib/vedette` for root, else `$XDG_STATE_HOME/vedette`, else
/// `~/.local/state/vedette`; `variable` looks into the environment.
///
/// # Errors
/// When none of these is known.
pub fn choose(variable: impl Fn(&str) -> Option<OsString>, is_root: bool) -> Result<PathBuf, NoHome> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(home) = folder("VEDETTE_HOME") {
        return Ok(home);
    }
    if is_root {
        return Ok(PathBuf::from(SYSTEM));
    }
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("vedette"))
        .ok_or(NoHome)
}

/// Where a program's settings stand, given its folder's name and the file's: under its home; if they are not there, the system's, where
/// those are there. Only what keeps its state in the system's place takes the system's settings.
pub fn settings(home: &Path, folder: &str, file: &str) -> PathBuf {
    let (beside, of_system) = places(home, folder, file);
    let there = of_system.filter(|of_system| !beside.is_file() && of_system.is_file());
    there.unwrap_or(beside)
}

fn places(home: &Path, folder: &str, file: &str) -> (PathBuf, Option<PathBuf>) {
    let of_system = (home == Path::new(SYSTEM)).then(|| Path::new(SYSTEM_SETTINGS).join(file));
    (home.join(folder).join(file), of_system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_settings_are_those_of_the_systems_home() {
        let at = |home: &str| places(Path::new(home), "sensor", "sensor.toml");
        assert_eq!(at("/h"), (PathBuf::from("/h/sensor/sensor.toml"), None));
        let both = ["/var/lib/vedette/sensor/sensor.toml", "/etc/vedette/sensor.toml"].map(PathBuf::from);
        let [beside, of_system] = both;
        assert_eq!(at(SYSTEM), (beside, Some(of_system)));
        let missing = settings(Path::new("/nowhere"), "sensor", "sensor.toml");
        assert_eq!(missing, Path::new("/nowhere/sensor/sensor.toml"), "where they would be");
    }

    #[test]
    fn the_first_that_is_known_counts() {
        let at = |set: &[(&str, &str)], is_root| {
            let variable = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
            choose(variable, is_root).map(|home| home.display().to_string())
        };
        let said = |path: &str| Ok(path.to_owned());
        let all = [("VEDETTE_HOME", "/v"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(at(&all, true), said("/v"));
        assert_eq!(at(&all[1..], true), said(SYSTEM));
        assert_eq!(at(&all[1..], false), said("/x/vedette"));
        assert_eq!(at(&all[2..], false), said("/h/.local/state/vedette"));
        assert_eq!(at(&[("VEDETTE_HOME", ""), ("HOME", "")], false), Err(NoHome));
    }
}
