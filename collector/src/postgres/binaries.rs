//! Where the server's programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::PostgresError;

/// The programs of one installed version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binaries {
    dir: PathBuf,
    major: String,
}

impl Binaries {
    /// The newest installed, or the one that made `data` if that is given.
    ///
    /// # Errors
    /// When none is installed, or not the one that is needed.
    pub fn find(data: Option<(&Path, &str)>) -> Result<Self, PostgresError> {
        let mut found: Vec<Self> = candidates().into_iter().filter_map(Self::at).collect();
        found.sort_by_key(|b| b.major.parse::<u32>().unwrap_or(0));
        found.dedup_by(|a, b| a.major == b.major);
        let Some((path, made_by)) = data else {
            return found.pop().ok_or(PostgresError::NotInstalled);
        };
        if found.is_empty() {
            return Err(PostgresError::NotInstalled);
        }
        let majors = found.iter().map(|b| b.major.clone()).collect();
        found.into_iter().find(|b| b.major == made_by).ok_or_else(|| PostgresError::Version {
            path: path.to_owned(),
            data: made_by.to_owned(),
            found: majors,
        })
    }

    /// The major version, such as `15`.
    pub fn major(&self) -> &str {
        &self.major
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn at(dir: PathBuf) -> Option<Self> {
        if !dir.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self { dir, major })
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` is 15.
fn major_of(version: &str) -> Option<String> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Ok(said) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()));
    }
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        dirs.push(entry.path().join("bin"));
    }
    dirs.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    dirs.retain(|dir| dir.is_absolute());
    dirs
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_major_version_is_read_off() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n").as_deref(), Some("18"));
        assert_eq!(major_of("nothing"), None);
    }

    #[test]
    fn data_of_a_version_that_is_not_there_says_what_to_install() {
        let error = Binaries::find(Some((Path::new("/x/data"), "7"))).unwrap_err().to_string();
        assert!(error.contains("apt-get install postgresql"), "{error}");
    }
}
