//! Where the host's own files are, for a sensor that has a mount namespace of its own: in a container, or as a service that may
//! not write.
//!
//! What paths of the settings name is the host's: its users, the sockets of its runtimes, its programs. They are looked up from
//! where the host's first process stands.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::probe::host_namespaces;

/// The root of the host's own mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoot {
    /// The way to it; none: it is this process's own.
    through: Option<PathBuf>,
    /// The namespace's inode; 0: not known.
    namespace: u32,
}

/// The same for all of the process's life.
static HERE: LazyLock<HostRoot> = LazyLock::new(HostRoot::find);

impl HostRoot {
    /// That of this host, as far as it can be reached; else this process's own.
    pub fn here() -> &'static Self {
        &HERE
    }

    fn find() -> Self {
        const FIRST: &str = "/proc/1/root";
        let namespace = |process: &str| fs::metadata(format!("/proc/{process}/ns/mnt")).ok();
        let inode = |process: &str| namespace(process).map(|meta| meta.ino()).unwrap_or_default();
        let host = u64::from(host_namespaces().mnt);
        // In a pid namespace of its own the sensor sees another first process, or no namespace of the host's at all.
        let is_elsewhere = host != 0 && inode("self") != host;
        let through =
            (is_elsewhere && inode("1") == host && fs::metadata(FIRST).is_ok()).then(|| FIRST.into());
        Self { through, namespace: host_namespaces().mnt }
    }

    /// Whether it is another than this process's own.
    pub fn is_elsewhere(&self) -> bool {
        self.through.is_some()
    }

    /// Where to find what the host calls so: an absolute path.
    pub fn path(&self, path: &Path) -> PathBuf {
        match (&self.through, path.strip_prefix("/")) {
            (Some(through), Ok(below)) => through.join(below),
            _ => path.to_owned(),
        }
    }

    /// The way to the root of this mount namespace, if it is the host's and another than this process's.
    pub fn way_to(&self, namespace: u32) -> Option<&Path> {
        self.through.as_deref().filter(|_| namespace != 0 && namespace == self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_hosts() {
        let elsewhere = HostRoot { through: Some("/proc/1/root".into()), namespace: 7 };
        let at = |root: &HostRoot, path: &str| root.path(Path::new(path));
        assert_eq!(at(&elsewhere, "/etc/passwd"), Path::new("/proc/1/root/etc/passwd"));
        assert_eq!(at(&elsewhere, "relative"), Path::new("relative"));
        assert_eq!(elsewhere.way_to(7), Some(Path::new("/proc/1/root")));
        assert_eq!(elsewhere.way_to(8), None);
        let same = HostRoot { through: None, namespace: 7 };
        assert_eq!(at(&same, "/etc/passwd"), Path::new("/etc/passwd"));
        assert_eq!(same.way_to(7), None, "paths lead there as they are");
    }
}
