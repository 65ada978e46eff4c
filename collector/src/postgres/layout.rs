//! Where a private server keeps its things.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::PostgresError;
use super::account::Account;

/// What the kernel takes as a socket's path (`sun_path` is 108 bytes with the end).
const MAX_SOCKET_PATH: usize = 107;
/// What PostgreSQL makes in the folder; the number stands for the port, which is not used.
const SOCKET_NAME: &str = ".s.PGSQL.5432.lock";

/// The folders and files of one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Holds everything else, and belongs to the server's user.
    pub(super) root: PathBuf,
    /// The database.
    pub(super) data: PathBuf,
    /// The socket's folder.
    pub(super) run: PathBuf,
    /// What the server says.
    pub(super) log: PathBuf,
}

impl Layout {
    pub(super) fn under(home: &Path) -> Self {
        let root = home.join("postgres");
        let run = socket_folder(&root);
        Self { data: root.join("data"), run, log: home.join("log").join("postgres.log"), root }
    }

    /// Where a database is made before it is renamed to [`Layout::data`], so that half a one is never taken for one.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join("data.unfinished")
    }

    /// The major version that made the data, if there is any.
    pub(super) fn made_by(&self) -> Result<Option<String>, PostgresError> {
        match std::fs::read_to_string(self.data.join("PG_VERSION")) {
            Ok(version) => Ok(Some(version.trim().to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut there = std::fs::read_dir(&self.data).into_iter().flatten();
                if there.next().is_some() {
                    Err(PostgresError::NotADatabase(self.data.clone()))
                } else {
                    Ok(None)
                }
            }
            Err(e) => Err(PostgresError::file("read", self.data.join("PG_VERSION"))(e)),
        }
    }

    /// Makes the folders, for this user.
    pub(super) fn make(&self, account: &Account) -> Result<(), PostgresError> {
        folder(&self.root, 0o755, None)?;
        account.reaches(&self.data)?;
        account.give(&self.root)?;
        set_mode(&self.root, 0o700)?;
        folder(&self.run, 0o700, Some(account))?;
        if let Some(logs) = self.log.parent() {
            folder(logs, 0o755, None)?;
            account.reaches(&self.log)?;
        }
        // Made here, as the folder of logs need not belong to the server's user.
        let open = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        drop(open.map_err(PostgresError::file("open", &self.log))?);
        set_mode(&self.log, 0o640)?;
        account.give(&self.log)
    }
}

/// `run` beside the data, or a short path where that would be too long for a socket.
fn socket_folder(root: &Path) -> PathBuf {
    let beside = root.join("run");
    if beside.as_os_str().len() + 1 + SOCKET_NAME.len() <= MAX_SOCKET_PATH {
        return beside;
    }
    let name = blake3::hash(root.as_os_str().as_bytes()).to_hex();
    let base = if nix::unistd::Uid::effective().is_root() { "/run" } else { "/tmp" };
    Path::new(base).join(format!("vedette-{}", name.get(..16).unwrap_or_default()))
}

fn folder(path: &Path, mode: u32, owner: Option<&Account>) -> Result<(), PostgresError> {
    let made = DirBuilder::new().mode(mode).recursive(owner.is_none()).create(path);
    match (made, owner) {
        (Ok(()), Some(account)) => account.give(path),
        (Ok(()), None) => Ok(()),
        (Err(e), Some(account)) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            // In a folder that everybody may write to, somebody else may have been there first.
            let is_folder = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
            if !is_folder || !account.owns(path) {
                return Err(PostgresError::ForeignSocket(path.to_owned()));
            }
            set_mode(path, mode)
        }
        (Err(e), _) => Err(PostgresError::file("make", path)(e)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), PostgresError> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(PostgresError::file("chmod", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_home_gets_a_short_socket() {
        let short = Layout::under(Path::new("/var/lib/vedette"));
        assert_eq!(short.run, Path::new("/var/lib/vedette/postgres/run"));
        let long = Layout::under(&Path::new("/").join("x".repeat(120)));
        assert!(long.run.as_os_str().len() + 1 + SOCKET_NAME.len() <= MAX_SOCKET_PATH, "{:?}", long.run);
        assert_ne!(long.run, Layout::under(&Path::new("/").join("y".repeat(120))).run);
    }
}
