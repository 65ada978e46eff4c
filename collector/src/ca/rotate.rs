//! The files of a rotation, and its two steps. Whatever a crash leaves is one of the states below, and the same step again
//! goes on from it.
//!
//! | files | what it is |
//! |---|---|
//! | `ca.key`, `ca.pem` | one authority |
//! | … and `ca-next.pem` alone | the same: a rotation that was killed before it began |
//! | … and `ca-next.key` | a rotation; `ca.pem` holds the certificates of both, or is about to |
//! | … of which `ca.key` is the copy | finished; `ca.pem` is about to hold the new one only, the others to go |
//!
//! Every file is written whole beside its place, flushed, and renamed.

use std::fs::File;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::keep::{self, CERTIFICATE, KEY};
use super::{Authorities, Authority, CaError, Fingerprint};

const NEXT_KEY: &str = "ca-next.key";
const NEXT_CERTIFICATE: &str = "ca-next.pem";

/// Why an authority was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The files cannot be read or written.
    #[error(transparent)]
    Files(#[from] CaError),
    /// There is no authority here.
    #[error("no authority in {}: a collector makes it at its first start; is --home right?", folder.display())]
    None {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is a next one already.
    #[error(
        "a rotation to {next} is under way already; `vedette-collector ca status` says who is left, and `vedette-collector ca rotate --finish` ends it"
    )]
    UnderWay {
        /// The next authority.
        next: Fingerprint,
    },
    /// There is no next one.
    #[error("no rotation is under way: `vedette-collector ca rotate` begins one")]
    NotBegun,
    /// Another command is at it.
    #[error("another command works on {}; wait for it, and try again", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
}

/// The authority's files, while nobody else may change them.
#[derive(Debug)]
pub struct Rotating {
    folder: PathBuf,
    _lock: File,
}

impl Rotating {
    /// Takes the files of this folder, and removes what a step that was killed has left over.
    ///
    /// # Errors
    /// When there is no authority, or another command holds them.
    pub fn take(folder: &Path) -> Result<Self, RotateError> {
        if !folder.join(KEY).exists() {
            return Err(RotateError::None { folder: folder.to_owned() });
        }
        let path = folder.join("ca.lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(keep::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(RotateError::Busy { path }),
            Err(std::fs::TryLockError::Error(source)) => return Err(keep::file(&path)(source).into()),
        }
        let rotating = Self { folder: folder.to_owned(), _lock: lock };
        rotating.settle()?;
        Ok(rotating)
    }

    /// What the files hold.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn authorities(&self) -> Result<Authorities, RotateError> {
        Ok(Authorities::open(&self.folder)?)
    }

    /// Makes the next authority beside the one there is.
    ///
    /// # Errors
    /// When there is a next one already, or a file cannot be written.
    pub fn begin(&self, now: OffsetDateTime) -> Result<Authorities, RotateError> {
        if let Some(next) = self.authorities()?.next() {
            return Err(RotateError::UnderWay { next: next.fingerprint() });
        }
        // Of another name than the one before, so that nobody has to try both.
        let name = format!("Vedette CA {}", hex::encode(rand::random::<[u8; 4]>()));
        let (certificate, key) = Authority::make(&name, now)?;
        let pem = super::issue::pem(&certificate);
        keep::replace(&self.folder.join(NEXT_CERTIFICATE), pem.as_bytes(), 0o644)?;
        keep::replace(&self.folder.join(NEXT_KEY), key.serialize_pem().as_bytes(), 0o600)?;
        self.settle()?;
        self.authorities()
    }

    /// Puts the next authority in the place of the one there is, whose key is gone then.
    ///
    /// # Errors
    /// When there is no next one, or a file cannot be written.
    pub fn finish(&self) -> Result<Authorities, RotateError> {
        if self.authorities()?.next().is_none() {
            return Err(RotateError::NotBegun);
        }
        let next_key = self.folder.join(NEXT_KEY);
        let key = std::fs::read(&next_key).map_err(keep::file(&next_key))?;
        // From here on it is done: the key says which certificate counts. `ca.pem` holds both until a collector that runs has
        // taken it up, so that the command line of this host trusts what that shows at any moment.
        keep::replace(&self.folder.join(KEY), &key, 0o600)?;
        self.authorities()
    }

    /// Brings the files into one of the two lasting states.
    fn settle(&self) -> Result<(), CaError> {
        let authorities = Authorities::open(&self.folder)?;
        let (path, pem) = (self.folder.join(CERTIFICATE), authorities.pem());
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&pem) {
            keep::replace(&path, pem.as_bytes(), 0o644)?;
        }
        if authorities.next().is_none() {
            keep::remove(&self.folder.join(NEXT_KEY))?;
            keep::remove(&self.folder.join(NEXT_CERTIFICATE))?;
        }
        Ok(())
    }
}

/// The authority that serves, and the next one if there is one; nothing is written.
pub(super) fn read(folder: &Path) -> Result<(Authority, Option<Authority>), CaError> {
    let (next_key, next_pem) = (folder.join(NEXT_KEY), folder.join(NEXT_CERTIFICATE));
    let next = match (next_key.exists(), next_pem.exists()) {
        (true, true) => Some(Authority::open(&next_key, &next_pem)?),
        _ => None,
    };
    let serving = Authority::open(&folder.join(KEY), &folder.join(CERTIFICATE));
    let serving = match (serving, &next) {
        // The key was replaced before `ca.pem` ever held both: not by us, but by whoever copied files.
        (Err(CaError::Content { .. }), Some(_)) => Authority::open(&folder.join(KEY), &next_pem)?,
        (serving, _) => serving?,
    };
    // The same: finished, and what lies beside is about to go.
    let next = next.filter(|next| next.id() != serving.id());
    Ok((serving, next))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Authority::open_or_create(folder.path(), OffsetDateTime::now_utc()).unwrap();
        folder
    }

    fn begin(folder: &Path) -> Result<Authorities, RotateError> {
        Rotating::take(folder)?.begin(OffsetDateTime::now_utc())
    }

    #[test]
    fn a_rotation_begins_once_and_ends_with_the_next_one_alone() {
        let folder = folder();
        let old = Authorities::open(folder.path()).unwrap();
        let both = begin(folder.path()).unwrap();
        let next = both.next().unwrap();
        assert_eq!(both.serving().id(), old.serving().id());
        assert_eq!(keep::certificates(&folder.path().join(CERTIFICATE)).unwrap().len(), 2);
        let again = begin(folder.path()).unwrap_err();
        assert!(again.to_string().contains("--finish"), "{again}");

        let new = Rotating::take(folder.path()).unwrap().finish().unwrap();
        assert_eq!((new.serving().id(), new.next().is_none()), (next.id(), true));
        assert_eq!(keep::certificates(&folder.path().join(CERTIFICATE)).unwrap().len(), 2);
        drop(Rotating::take(folder.path()).unwrap());
        assert_eq!(keep::certificates(&folder.path().join(CERTIFICATE)).unwrap().len(), 1);
        assert!(!folder.path().join(NEXT_KEY).exists() && !folder.path().join(NEXT_CERTIFICATE).exists());
        let again = Rotating::take(folder.path()).unwrap().finish().unwrap_err();
        assert!(matches!(again, RotateError::NotBegun), "{again}");
    }

    #[test]
    fn what_a_killed_step_leaves_is_the_state_before_or_after() {
        let folder = folder();
        let old = Authorities::open(folder.path()).unwrap().serving().id();
        let copy = |from: &str, to: &str| std::fs::copy(folder.path().join(from), folder.path().join(to));
        // Killed before the key was there: nothing has begun.
        std::fs::write(folder.path().join(NEXT_CERTIFICATE), "half a certif").unwrap();
        assert!(Authorities::open(folder.path()).unwrap().next().is_none());
        copy(CERTIFICATE, "before.pem").unwrap();
        let next = begin(folder.path()).unwrap().next().unwrap().id();
        // Killed before `ca.pem` held both.
        copy("before.pem", CERTIFICATE).unwrap();
        let read = Authorities::open(folder.path()).unwrap();
        assert_eq!((read.serving().id(), read.next().unwrap().id()), (old, next));
        drop(Rotating::take(folder.path()).unwrap());
        assert_eq!(keep::certificates(&folder.path().join(CERTIFICATE)).unwrap().len(), 2);
        // Killed after the key was replaced.
        copy(NEXT_KEY, KEY).unwrap();
        let read = Authorities::open(folder.path()).unwrap();
        assert_eq!((read.serving().id(), read.next().is_none()), (next, true));
        drop(Rotating::take(folder.path()).unwrap());
        assert!(!folder.path().join(NEXT_KEY).exists());
        assert_eq!(keep::certificates(&folder.path().join(CERTIFICATE)).unwrap().len(), 1);
    }

    #[test]
    fn one_command_at_a_time() {
        let folder = folder();
        let first = Rotating::take(folder.path()).unwrap();
        assert!(matches!(Rotating::take(folder.path()), Err(RotateError::Busy { .. })));
        drop(first);
        Rotating::take(folder.path()).unwrap();
    }
}
