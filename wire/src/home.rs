//! Where a host's Vedette keeps its state: one rule for every program of it.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where it is for root.
pub const SYSTEM: &str = "/var/lib/vedette";

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

#[cfg(test)]
mod tests {
    use super::*;

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
