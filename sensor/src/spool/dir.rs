//! A folder that is this user's alone, below one that may be everybody's.

use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::statfs;

/// Why a folder cannot be used as a spool.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// It cannot be made or read.
    #[error("cannot use the spool folder {}", path.display())]
    Io {
        /// Which folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Someone else could put batches there or read them.
    #[error(
        "the spool folder {} {found}, expected a folder of uid {} with mode 0700; remove it or set another",
        path.display(), nix::unistd::geteuid()
    )]
    NotPrivate {
        /// Which folder.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A sensor is already running with it.
    #[error("the spool folder {} is in use by another sensor; stop that one or set another", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
}

/// Makes `dir` and what is missing above it, and checks that nobody else can have a hand in it.
///
/// `/dev/shm` is everybody's, so a folder below it may have been put there by another user first.
pub(super) fn make_private(dir: &Path) -> Result<(), DirError> {
    let mut above: Vec<&Path> = dir.ancestors().collect();
    above.reverse();
    let mut shared = false;
    for path in above.into_iter().filter(|p| !p.as_os_str().is_empty()) {
        let io = |source| DirError::Io { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) if path.is_dir() => drop(e),
            done => done.map_err(io)?,
        }
        let meta = fs::symlink_metadata(path).map_err(io)?;
        let last = path == dir;
        if (shared || last)
            && let Some(found) = not_mine(&meta, last)
        {
            return Err(DirError::NotPrivate { path: path.to_owned(), found });
        }
        shared = meta.mode() & 0o002 != 0;
    }
    Ok(())
}

fn not_mine(meta: &Metadata, last: bool) -> Option<String> {
    let mode = meta.mode() & 0o7777;
    let refused = if last { 0o077 } else { 0o022 };
    if !meta.is_dir() {
        Some("is not a folder".into())
    } else if meta.uid() != nix::unistd::geteuid().as_raw() {
        Some(format!("belongs to uid {}", meta.uid()))
    } else if mode & refused != 0 {
        Some(format!("has mode {mode:04o}"))
    } else {
        None
    }
}

/// Takes the folder for this process; given back when the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, DirError> {
    let path = dir.join("lock");
    let io = |source| DirError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DirError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Whether the folder's file system keeps its files in memory.
pub(super) fn is_in_memory(dir: &Path) -> bool {
    statfs::statfs(dir).is_ok_and(|fs| fs.filesystem_type() == statfs::TMPFS_MAGIC)
}
