//! `kernel`: what processes do to the tree of mounts, to where they live, and to the kernel.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::chroot;

use super::Scenario;
use crate::expect::{Event, Expect, Want};
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "unshare", about: "A process leaves its host name's namespace.", play: leave },
    Scenario {
        name: "mount",
        about: "In a mount namespace of its own, a process mounts a tmpfs and takes it off.",
        play: mounts,
    },
    Scenario { name: "chroot", about: "A process takes a directory for its root.", play: root },
];

fn leave(stage: &Stage) -> anyhow::Result<Expect> {
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let sees = stage.has_hook("fentry/switch_task_namespaces");
    let changed = if sees { Want::Holds("uts".into()) } else { Want::Absent };
    Ok(Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid).want("namespace.changed", changed)))
}

fn mounts(stage: &Stage) -> anyhow::Result<Expect> {
    let at = stage.folder().join("at");
    fs::create_dir(&at)?;
    let child = wait(sys::fork(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&Path>, "/", None::<&Path>, private, None::<&Path>)?;
        mount(Some("of-nothing"), &at, Some("tmpfs"), MsFlags::empty(), None::<&Path>)?;
        umount2(&at, MntFlags::MNT_DETACH)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    let done = |action: &str, path: &Path| Event::new(action).by(child.pid).with_path("file.path", path);
    Ok(Expect::nothing()
        .event(Event::new("namespace_change").by(child.pid))
        .event(done("mount", Path::new("/")))
        .event(done("mount", &at).with("file.target_path", "of-nothing").with("kernel.object.name", "tmpfs"))
        .event(done("unmount", &at)))
}

fn root(stage: &Stage) -> anyhow::Result<Expect> {
    let folder = stage.folder().to_owned();
    let child = wait(sys::fork(|| {
        chroot(&folder)?;
        Ok(0)
    })?)?
    .with_code(0)?;
    Ok(Expect::nothing().event(Event::new("chroot").by(child.pid).with_path("file.path", stage.folder())))
}
