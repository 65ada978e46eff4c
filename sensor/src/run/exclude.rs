//! What the settings leave out, as the kernel knows it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tracing::warn;

use crate::config::Exclude;
use crate::host_root::HostRoot;
use crate::probe::Filter;

/// The filter for these settings. A file or control group that is not there excludes nothing.
pub(super) fn filter(exclude: &Exclude) -> Filter {
    let identity = |path: &Path| match std::fs::metadata(HostRoot::here().path(path)) {
        Ok(meta) => Some((meta.dev(), meta.ino())),
        Err(error) => {
            warn!(%error, path = %path.display(), "what should be excluded is not there");
            None
        }
    };
    Filter {
        uids: exclude.users.iter().copied().collect(),
        executables: exclude.executables.iter().filter_map(|path| identity(path)).collect(),
        // A control group's id is the inode of its directory.
        cgroups: exclude.cgroups.iter().filter_map(|path| identity(path)).map(|(_, inode)| inode).collect(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn paths_become_what_the_kernel_compares() {
        let exclude = Exclude {
            users: vec![33],
            executables: vec!["/proc/self/exe".into(), "/no/such/file".into()],
            cgroups: vec!["/".into()],
        };
        let own = std::fs::metadata("/proc/self/exe").unwrap();
        let found = filter(&exclude);
        assert_eq!(found.uids, [33].into());
        assert_eq!(found.executables, [(own.dev(), own.ino())].into());
        assert_eq!(found.cgroups, [std::fs::metadata("/").unwrap().ino()].into());
    }
}
