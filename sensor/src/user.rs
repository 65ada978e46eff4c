//! The names of the host's users, from its `/etc/passwd`.
//!
//! Only that file: a static binary has no name service plug-ins, and asking one could block on a
//! network. A user of a container is named by what its uid is on the host.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most bytes of the file that are read, and the longest name that is believed.
const MAX_FILE_BYTES: u64 = 4 << 20;
const MAX_NAME_BYTES: usize = 256;

/// User names by uid, following the file as it changes.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    seen: Option<Seen>,
    names: Names,
}

/// What tells one content of the file from another: it is usually replaced, not rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// User names by uid, as one passwd file has them.
#[derive(Debug, Default)]
pub struct Names {
    text: Box<[u8]>,
    /// (uid, start and end of the name in `text`), by uid.
    places: Box<[(u32, u32, u32)]>,
}

impl Users {
    /// Nobody, until [`Users::refresh`] has read the file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: None, names: Names::default() }
    }

    /// Reads the file again if it has changed. Costs one `stat` when it has not; call it once a second
    /// or so. Returns whether it was read.
    ///
    /// # Errors
    /// When it cannot be read; the names known before stay.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let now = seen(&self.path)?;
        if self.seen == Some(now) {
            return Ok(false);
        }
        let mut text = Vec::new();
        File::open(&self.path)?.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
        self.names = Names::parse(&text);
        self.seen = Some(now);
        Ok(true)
    }

    /// The names known now.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

impl Names {
    /// Reads a passwd file. Lines that are not `NAME:…:UID:…` are skipped; the first name of a uid
    /// counts, as for `getpwuid`.
    pub fn parse(file: &[u8]) -> Self {
        let mut text = Vec::new();
        let mut places = Vec::new();
        for line in file.split(|b| *b == b'\n') {
            let mut columns = line.split(|b| *b == b':');
            let (Some(name), Some(_), Some(uid)) = (columns.next(), columns.next(), columns.next()) else {
                continue;
            };
            let uid = std::str::from_utf8(uid).ok().and_then(|uid| uid.parse::<u32>().ok());
            let Some(uid) = uid.filter(|_| (1..=MAX_NAME_BYTES).contains(&name.len())) else { continue };
            let start = text.len() as u32;
            text.extend_from_slice(name);
            places.push((uid, start, text.len() as u32));
        }
        places.sort_by_key(|(uid, ..)| *uid);
        places.dedup_by_key(|(uid, ..)| *uid);
        Self { text: text.into(), places: places.into() }
    }

    /// The user's name.
    pub fn get(&self, uid: u32) -> Option<&[u8]> {
        let at = self.places.binary_search_by_key(&uid, |(uid, ..)| *uid).ok()?;
        let (_, start, end) = *self.places.get(at)?;
        self.text.get(start as usize..end as usize)
    }
}

fn seen(path: &Path) -> io::Result<Seen> {
    let meta = std::fs::metadata(path)?;
    Ok(Seen {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_uid_and_nonsense_is_skipped() {
        let names = Names::parse(
            b"root:x:0:0:root:/root:/bin/bash\n\n# note\nweb\xff:x:33:33\nx:y\n:x:5:5\n\
              toor:x:0:0\nbig:x:4294967296:1\nmax:x:4294967295:1\nlast:x:1000",
        );
        assert_eq!(names.get(0), Some(&b"root"[..]));
        assert_eq!(names.get(33), Some(&b"web\xff"[..]), "bytes stay bytes");
        assert_eq!(names.get(1000), Some(&b"last"[..]));
        assert_eq!(names.get(u32::MAX), Some(&b"max"[..]));
        assert_eq!(names.get(5), None);
        assert_eq!(names.get(1), None);
    }

    #[test]
    fn a_replaced_file_is_read_again_and_a_missing_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let mut users = Users::new(&path);
        users.refresh().unwrap_err();
        std::fs::write(&path, "a:x:1:1\n").unwrap();
        assert!(users.refresh().unwrap());
        assert!(!users.refresh().unwrap());
        assert_eq!(users.names().get(1), Some(&b"a"[..]));
        let beside = dir.path().join("passwd+");
        std::fs::write(&beside, "b:x:1:1\n").unwrap();
        std::fs::rename(&beside, &path).unwrap();
        assert!(users.refresh().unwrap());
        assert_eq!(users.names().get(1), Some(&b"b"[..]));
        std::fs::remove_file(&path).unwrap();
        users.refresh().unwrap_err();
        assert_eq!(users.names().get(1), Some(&b"b"[..]));
    }
}
