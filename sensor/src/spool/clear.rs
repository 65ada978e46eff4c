//! Removing what a sensor leaves that is not coming back.

use std::fs;
use std::io;
use std::path::Path;

use super::{DirError, dir, scan};

/// Removes the spool folder `dir` if every batch in it was acknowledged; false if some wait still, for
/// which it is left alone. One that is not there counts as removed.
///
/// # Errors
/// When a sensor is using it, or it cannot be read or removed.
pub fn clear_if_drained(folder: &Path) -> Result<bool, DirError> {
    let io = |source| DirError::Io { path: folder.to_owned(), source };
    match fs::symlink_metadata(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        found => found.map_err(io)?,
    };
    let _lock = dir::lock(folder)?;
    if scan::scan(folder)?.iter().any(|stream| !stream.parcels.is_empty()) {
        return Ok(false);
    }
    fs::remove_dir_all(folder).map_err(io)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_a_drained_spool_goes() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("spool");
        assert!(clear_if_drained(&folder).unwrap(), "nothing there");
        let stream = folder.join("01a1fdc5-6c40-71c0-b4f9-13e65f7370f4.bulk");
        fs::create_dir_all(&stream).unwrap();
        let waiting = stream.join("00000000000000000007");
        fs::write(&waiting, b"a batch").unwrap();
        assert!(!clear_if_drained(&folder).unwrap());
        assert!(waiting.exists());
        fs::remove_file(&waiting).unwrap();
        assert!(clear_if_drained(&folder).unwrap());
        assert!(!folder.exists());
    }
}
