//! One collector in one home: a second would take the first one's database away when it stops.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::ServeError;

/// Locks the collector's folder, made if need be, for as long as the file lives; a killed process leaves no lock.
pub(super) fn take(folder: &Path) -> Result<File, ServeError> {
    let path = folder.join("lock");
    let open = || {
        std::fs::create_dir_all(folder)?;
        File::options().write(true).create(true).truncate(false).open(&path)
    };
    let file = match open() {
        Ok(file) => file,
        Err(source) => return Err(ServeError::File { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(ServeError::File { path, source }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_collector_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("collector");
        let first = take(&folder).unwrap();
        assert!(matches!(take(&folder), Err(ServeError::Locked { .. })));
        drop(first);
        take(&folder).unwrap();
    }
}
