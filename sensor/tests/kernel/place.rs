use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use vedette_sensor::record::{Body, Credentials, Move};
use wire::event::Kind;

use crate::bench::{Bench, run, with_root};
use crate::child;

impl Bench {
    async fn moved(&mut self, pid: u32) -> Move {
        self.find(&format!("move of process {pid}"), |record| match record.body {
            Body::Move(it) if it.task.key.pid == pid => Some(it),
            _ => None,
        })
        .await
    }

    async fn credentials(&mut self, pid: u32, action: Kind) -> Credentials {
        self.find(&format!("{action} of process {pid}"), |record| match &record.body {
            Body::Credentials(it) if it.task.key.pid == pid && it.action == action => Some(**it),
            _ => None,
        })
        .await
    }
}

#[test]
fn who_moves_to_other_namespaces_is_told() {
    with_root("unshare", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "unshare", &[]));
        assert!(out.status.success(), "{out:?}");
        let moved = bench.moved(pid).await;
        let own = u32::try_from(fs::metadata("/proc/self/ns/uts").unwrap().ino()).unwrap();
        assert_ne!(moved.after.uts, own);
        let own = u32::try_from(fs::metadata("/proc/self/ns/net").unwrap().ino()).unwrap();
        assert_eq!(moved.after.net, own);
        assert!(moved.before.is_none() || moved.changed() == ["uts"], "{moved:?}");
    });
}

#[test]
fn mounts_and_roots_are_told_with_their_paths() {
    with_root("mount", async |mut bench| {
        let folder = tempfile::Builder::new().prefix("vedette-mount-").tempdir_in("/var/tmp").unwrap();
        let at = folder.path().join("at");
        fs::create_dir(&at).unwrap();
        let (pid, out) = run(&mut child::command(&bench, "mount", &[at.to_str().unwrap()]));
        assert!(out.status.success(), "{out:?}");
        for action in [Kind::MOUNT, Kind::CHROOT, Kind::UNMOUNT] {
            let told = bench
                .find(&format!("{action} by {pid}"), |record| match &record.body {
                    Body::File(file)
                        if file.action == action && file.path == at.as_os_str().as_encoded_bytes() =>
                    {
                        Some((file.task.key.pid, file.target.to_vec(), file.name.to_vec(), file.error))
                    }
                    _ => None,
                })
                .await;
            assert_eq!((told.0, told.3), (pid, 0), "{action}");
            if action == Kind::MOUNT {
                assert_eq!((&told.1[..], &told.2[..]), (&b"of-nothing"[..], &b"tmpfs"[..]));
            }
        }
    });
}

#[test]
fn changed_credentials_are_told() {
    with_root("setuid", async |mut bench| {
        let (pid, out) = run(&mut child::command(&bench, "setuid", &[]));
        assert!(out.status.success(), "{out:?}");
        let group = bench.credentials(pid, Kind::SETGID).await;
        assert_eq!((group.after.egid, group.after.euid, group.error), (65534, 0, 0));
        let user = bench.credentials(pid, Kind::SETUID).await;
        assert_eq!((user.after.euid, user.after.uid, user.after.capabilities), (65534, 65534, 0));
        assert!(user.before.is_none_or(|before| before.euid == 0 && before.capabilities != 0));
    });
}

pub(crate) fn move_away() {
    unshare(CloneFlags::CLONE_NEWUTS).unwrap();
}

/// Mounts, looks in and takes off again; nobody else sees it.
pub(crate) fn mount_at(at: &str) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    mount(Some("of-nothing"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let root = fs::File::open("/").unwrap();
    nix::unistd::chroot(Path::new(at)).unwrap();
    nix::unistd::fchdir(&root).unwrap();
    nix::unistd::chroot(".").unwrap();
    umount2(at, MntFlags::MNT_DETACH).unwrap();
}

pub(crate) fn give_up_root() {
    nix::unistd::setresgid(65534.into(), 65534.into(), 65534.into()).unwrap();
    nix::unistd::setresuid(65534.into(), 65534.into(), 65534.into()).unwrap();
}
