//! The sockets of container runtimes on this host: whoever may talk to one rules it.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Where they are, on most hosts.
pub const USUAL: &[&str] = &[
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock.ttrpc",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/dockershim.sock",
    "/run/podman/podman.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
];

/// Those that are there, by device (as `stat` has it) and inode. Reads the file system: the same socket has other numbers when
/// its runtime has started again.
pub fn find<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> BTreeSet<(u64, u64)> {
    let found = paths.into_iter().filter_map(|path| std::fs::metadata(path).ok());
    found.filter(|meta| meta.file_type().is_socket()).map(|meta| (meta.dev(), meta.ino())).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_sockets_that_are_there_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, file) = (folder.path().join("s"), folder.path().join("f"));
        let _listener = UnixListener::bind(&socket).unwrap();
        std::fs::write(&file, "").unwrap();
        let meta = std::fs::metadata(&socket).unwrap();
        let found = find([&socket, &file, &folder.path().join("none")]);
        assert_eq!(found, [(meta.dev(), meta.ino())].into());
    }
}
