//! Whether files are as they were.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells that a file is the same, with the same content and rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    device: u64,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    /// Content, rights or links were changed then; nobody can set this time.
    changed_ns: i64,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone.
    Removed,
    /// It has come to be.
    Made,
    /// Another one stands in its place.
    Replaced,
    /// It has other rights or another owner.
    Rights,
    /// It was written to, or linked.
    Written,
}

/// Files, as they were last.
#[derive(Clone, Debug, Default)]
pub struct Files {
    known: BTreeMap<PathBuf, Option<State>>,
}

impl State {
    /// What this file says of itself.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: metadata.size(),
            changed_ns: metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()),
        }
    }
}

impl Change {
    /// In a few words.
    pub fn name(self) -> &'static str {
        match self {
            Change::Removed => "removed",
            Change::Made => "made",
            Change::Replaced => "replaced",
            Change::Rights => "given other rights",
            Change::Written => "written to",
        }
    }
}

impl Files {
    /// Takes note of how a file is; what became of it since the last time, if it was known.
    pub fn note(&mut self, path: &Path, now: Option<State>) -> Option<Change> {
        let before = self.known.insert(path.to_owned(), now)?;
        match (before, now) {
            (before, now) if before == now => None,
            (Some(_), None) => Some(Change::Removed),
            (None, _) => Some(Change::Made),
            (Some(a), Some(b)) if (a.device, a.inode) != (b.device, b.inode) => Some(Change::Replaced),
            (Some(a), Some(b)) if (a.mode, a.owner) != (b.mode, b.owner) => Some(Change::Rights),
            (Some(_), Some(_)) => Some(Change::Written),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.pem");
        let mut files = Files::default();
        let mut look = || files.note(&path, fs::metadata(&path).ok().as_ref().map(State::of));
        fs::write(&path, "a key").unwrap();
        assert_eq!((look(), look()), (None, None), "what it was before it was known nobody can tell");
        fs::write(&path, "another").unwrap();
        assert_eq!((look(), look()), (Some(Change::Written), None));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!((look(), look()), (Some(Change::Rights), None));
        let other = folder.path().join("other");
        fs::write(&other, "another").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!((look(), look()), (Some(Change::Replaced), None));
        fs::remove_file(&path).unwrap();
        assert_eq!((look(), look()), (Some(Change::Removed), None));
        fs::write(&path, "a key").unwrap();
        assert_eq!((look(), look()), (Some(Change::Made), None));
    }
}
