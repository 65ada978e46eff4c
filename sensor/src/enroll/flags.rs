//! The flags of `vedette-sensor enroll`, and the file that stands for most of them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use wire::enrolment::Invitation;

use super::Enrolment;
use crate::identity::{Fingerprint, FingerprintError};

/// The longest invitation that is read, in bytes; ours have some hundred.
const MAX_BYTES: u64 = 64 * 1024;

/// What may be said on the command line.
#[derive(Clone, Args)]
pub struct EnrollArgs {
    /// Where the collectors are, the preferred one first.
    #[arg(
        long = "collector",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "with"
    )]
    pub collectors: Vec<String>,
    /// The token, as `vedette enroll-token create` showed it.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "VEDETTE_ENROLL_TOKEN",
        hide_env_values = true,
        required_unless_present = "with"
    )]
    pub token: Option<String>,
    /// The fingerprint of the fleet's authority, as `vedette enroll-token create` showed it.
    #[arg(long = "ca-sha256", value_name = "HEX", required_unless_present = "with")]
    pub ca_sha256: Option<Fingerprint>,
    /// All three, as `vedette enroll-token create --output json` prints them: a file, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Enrol again, as a new host, though there is an identity.
    #[arg(long)]
    pub force: bool,
    /// Do nothing, and succeed, if there is an identity.
    #[arg(long, conflicts_with = "force")]
    pub unless_enrolled: bool,
}

/// The file with what a host is enrolled with cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is not what `vedette enroll-token create --output json` prints", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It names no authority.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
}

impl EnrollArgs {
    /// What the flags say, and for what they do not say, the file.
    ///
    /// # Errors
    /// When the file is of no use.
    pub fn enrolment(self) -> Result<Enrolment, InvitationError> {
        let Self { collectors, token, ca_sha256, with, force, .. } = self;
        let given = with.as_deref().map(read).transpose()?;
        let given = given.as_ref();
        Ok(Enrolment {
            collectors: match given {
                Some(given) if collectors.is_empty() => given.collectors.clone(),
                _ => collectors,
            },
            token: token.or_else(|| given.map(|given| given.token.clone())).unwrap_or_default(),
            ca_sha256: match (ca_sha256, given) {
                (Some(said), _) => said,
                (None, given) => given.map(|given| given.ca_sha256.as_str()).unwrap_or_default().parse()?,
            },
            force,
        })
    }
}

fn read(path: &Path) -> Result<Invitation, InvitationError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|source| InvitationError::File { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| InvitationError::Content { path: path.to_owned(), source })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: EnrollArgs,
    }

    fn parse(words: &[&str]) -> Result<EnrollArgs, clap::Error> {
        Cli::try_parse_from([&["enroll"][..], words].concat()).map(|cli| cli.args)
    }

    #[test]
    fn a_file_says_what_flags_do_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (a, b) = ("ab".repeat(32), "cd".repeat(32));
        let text = format!(
            r#"{{"token":"vde_x","expires":"2026-12-01T00:00:00Z","ca_sha256":"{a}","collectors":["c:7443"],"new":1}}"#
        );
        std::fs::write(file.path(), text).unwrap();
        let with = file.path().to_str().unwrap();
        let said = parse(&["--with", with]).unwrap().enrolment().unwrap();
        assert_eq!((said.token.as_str(), said.ca_sha256.to_string()), ("vde_x", a));
        assert_eq!(said.collectors, ["c:7443"]);
        let words = ["--with", with, "--collector", "d:1,e:2", "--ca-sha256", &b];
        let said = parse(&words).unwrap().enrolment().unwrap();
        assert_eq!(
            (said.ca_sha256.to_string(), said.collectors),
            (b, vec!["d:1".to_owned(), "e:2".to_owned()])
        );
    }

    #[test]
    fn without_a_file_all_three_are_asked_for() {
        let missing = parse(&["--collector", "c:7443"]).map(drop).unwrap_err().to_string();
        assert!(missing.contains("--token") && missing.contains("--ca-sha256"), "{missing}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let wrong = parse(&["--with", file.path().to_str().unwrap()]).unwrap().enrolment().unwrap_err();
        assert!(wrong.to_string().contains("enroll-token create --output json"), "{wrong}");
    }
}
