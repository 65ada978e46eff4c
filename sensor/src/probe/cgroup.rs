//! Which control-group hierarchy says where a process belongs.
//!
//! In a hybrid layout every task stands at the root of the v2 hierarchy, so the pids or memory
//! controller's is read there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sensor_bpf::event::{EVENT_HIERARCHY_MEMORY, EVENT_HIERARCHY_PIDS, EVENT_HIERARCHY_V2};

use super::ProbeError;
use crate::host_root::HostRoot;

/// A hierarchy the programs can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The unified one.
    V2,
    /// That of the v1 pids controller.
    Pids,
    /// That of the v1 memory controller.
    Memory,
}

impl Hierarchy {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::V2 => EVENT_HIERARCHY_V2,
            Self::Pids => EVENT_HIERARCHY_PIDS,
            Self::Memory => EVENT_HIERARCHY_MEMORY,
        }
    }
}

/// Where a hierarchy is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Which one.
    pub hierarchy: Hierarchy,
    /// Its directory.
    pub at: PathBuf,
}

/// The hierarchies the programs can read and that are mounted here.
pub fn mounts() -> Vec<Mount> {
    parse_mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// Where the host has the unified hierarchy mounted: every socket belongs to a group in it, in hybrid layouts too. What a
/// container has mounted may be its own part of it only.
pub(super) fn v2_root() -> Result<PathBuf, ProbeError> {
    let host = HostRoot::here();
    let list = if host.is_elsewhere() { "/proc/1/mountinfo" } else { "/proc/self/mountinfo" };
    let mounts = parse_mounts(&fs::read_to_string(list).unwrap_or_default());
    let v2 = mounts.into_iter().find(|mount| mount.hierarchy == Hierarchy::V2);
    v2.map(|mount| host.path(&mount.at)).ok_or_else(|| ProbeError::Cgroup {
        path: "/sys/fs/cgroup".into(),
        why: "the unified hierarchy (cgroup2) is mounted nowhere; mount it: mount -t cgroup2 none /sys/fs/cgroup".into(),
    })
}

/// The root of the unified hierarchy where it is mounted nowhere, as on hosts of the v1 layout alone: it is there all the
/// same, and all sockets belong to its root. It is mounted for a moment.
pub(super) fn v2_root_unmounted() -> io::Result<File> {
    let at = std::env::temp_dir().join(format!("vedette-cgroup2-{}", std::process::id()));
    fs::create_dir(&at)?;
    let found = mount(Some("none"), &at, Some("cgroup2"), MsFlags::empty(), None::<&str>)
        .map_err(io::Error::from)
        .and_then(|()| {
            let root = File::open(&at);
            umount2(&at, MntFlags::MNT_DETACH)?;
            root
        });
    fs::remove_dir(&at)?;
    found
}

/// The hierarchy that records are told from.
pub fn reported() -> Hierarchy {
    choose(&mounts())
}

/// The only part of a host that a sensor sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confinement {
    pub(super) id: u64,
    pub(super) hierarchy: Hierarchy,
}

impl Confinement {
    /// The subtree at this directory of a control-group file system.
    pub(super) fn to(path: &Path) -> Result<Self, ProbeError> {
        let refuse = |why: String| ProbeError::Cgroup { path: path.into(), why };
        let real = path.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let id = fs::metadata(&real).map_err(|error| refuse(error.to_string()))?.ino();
        let mounts = mounts();
        let mount = holding(&mounts, &real).ok_or_else(|| {
            refuse("it is not a directory of the v2 hierarchy, nor of the pids or memory controller's".into())
        })?;
        Ok(Self { id, hierarchy: mount.hierarchy })
    }
}

fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.at)).max_by_key(|mount| mount.at.as_os_str().len())
}

fn choose(mounts: &[Mount]) -> Hierarchy {
    [Hierarchy::Pids, Hierarchy::Memory]
        .into_iter()
        .find(|hierarchy| mounts.iter().any(|mount| mount.hierarchy == *hierarchy))
        .unwrap_or(Hierarchy::V2)
}

/// proc(5): `ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS`.
fn parse_mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let at = PathBuf::from(left.split(' ').nth(4)?);
    let mut right = right.split(' ');
    let kind = right.next()?;
    let mut options = right.nth(1)?.split(',');
    let hierarchy = match kind {
        "cgroup2" => Hierarchy::V2,
        "cgroup" => options.find_map(|option| match option {
            "pids" => Some(Hierarchy::Pids),
            "memory" => Some(Hierarchy::Memory),
            _ => None,
        })?,
        _ => return None,
    };
    Some(Mount { hierarchy, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
";

    #[test]
    fn a_hybrid_layout_is_read_from_its_pids_controller() {
        assert_eq!(choose(&parse_mounts(HYBRID)), Hierarchy::Pids);
        let without_pids: String =
            HYBRID.lines().filter(|l| !l.contains("pids")).map(|l| format!("{l}\n")).collect();
        assert_eq!(choose(&parse_mounts(&without_pids)), Hierarchy::Memory);
    }

    #[test]
    fn a_plain_layout_is_read_from_v2() {
        let mounts = parse_mounts("29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        assert_eq!(choose(&mounts), Hierarchy::V2);
        assert!(holding(&mounts, Path::new("/sys/fs/cgroup/a/b")).is_some());
        assert!(holding(&mounts, Path::new("/sys/fs/other")).is_none());
    }

    #[test]
    fn the_nearest_mount_holds_a_path() {
        let mounts = parse_mounts(HYBRID);
        let found = holding(&mounts, Path::new("/sys/fs/cgroup/unified/x")).map(|mount| mount.hierarchy);
        assert_eq!(found, Some(Hierarchy::V2));
        assert!(holding(&mounts, Path::new("/sys/fs/cgroup/systemd/x")).is_none());
    }

    #[test]
    fn a_hierarchy_that_is_mounted_nowhere_has_the_same_root() {
        let Ok(mounted) = v2_root()
            .and_then(|path| fs::metadata(&path).map_err(|source| ProbeError::Folder { path, source }))
        else {
            return;
        };
        // Only root may mount; kernel tests run as root.
        if let Ok(root) = v2_root_unmounted() {
            assert_eq!(root.metadata().expect("it is open").ino(), mounted.ino());
            let left =
                mounts().into_iter().any(|mount| mount.at.to_string_lossy().contains("vedette-cgroup2-"));
            assert!(!left, "it is still mounted");
        }
    }
}
