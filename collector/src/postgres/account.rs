//! The system user that the server runs as: PostgreSQL refuses to run as root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use super::PostgresError;

/// The user a server runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    uid: Uid,
    gid: Gid,
    /// Whether that is somebody else than the caller.
    switched: bool,
}

impl Account {
    /// The caller; for root, `postgres` if there is such a user, else `vedette`, which is made if need be.
    pub(super) fn choose() -> Result<Self, PostgresError> {
        let uid = Uid::effective();
        if !uid.is_root() {
            let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
            return Ok(Self { name, uid, gid: Gid::effective(), switched: false });
        }
        for name in ["postgres", "vedette"] {
            if let Some(account) = Self::named(name) {
                return Ok(account);
            }
        }
        let made = Command::new("useradd")
            .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "vedette"])
            .output();
        match made {
            Ok(said) if said.status.success() => {
                Self::named("vedette").ok_or_else(|| PostgresError::NoUser("it is still not there".into()))
            }
            Ok(said) => Err(PostgresError::NoUser(String::from_utf8_lossy(&said.stderr).trim().into())),
            Err(e) => Err(PostgresError::NoUser(e.to_string())),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok()??;
        Some(Self { name: user.name, uid: user.uid, gid: user.gid, switched: true })
    }

    /// A command that runs as this user, with none of the caller's `PG…` environment.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
        if self.switched {
            // As root, this drops the supplementary groups too.
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Hands a file or folder to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), PostgresError> {
        if self.switched {
            nix::unistd::chown(path, Some(self.uid), Some(self.gid))
                .map_err(|e| PostgresError::file("hand over", path)(e.into()))?;
        }
        Ok(())
    }

    /// Whether a file or folder belongs to this user.
    pub(super) fn owns(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() == self.uid.as_raw())
    }

    /// Checks that this user may enter every folder above `path`.
    pub(super) fn reaches(&self, path: &Path) -> Result<(), PostgresError> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        for folder in above {
            let Ok(meta) = std::fs::metadata(folder) else { continue };
            let bit = if meta.uid() == self.uid.as_raw() {
                0o100
            } else if meta.gid() == self.gid.as_raw() {
                0o010
            } else {
                0o001
            };
            if meta.mode() & bit == 0 {
                return Err(PostgresError::Unreachable { user: self.name.clone(), path: folder.to_owned() });
            }
        }
        Ok(())
    }
}
