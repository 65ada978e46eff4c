//! What the machine must offer before anything is loaded.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use nix::sys::utsname::uname;

use super::ProbeError;
use crate::escape::Host;

/// Where BPF objects are pinned.
pub(super) const BPFFS: &str = "/sys/fs/bpf";

const BTF: &str = "/sys/kernel/btf/vmlinux";
const OLDEST: KernelVersion = KernelVersion { major: 5, minor: 10 };

/// A kernel's release, as far as features follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// 6 in 6.18.
    pub major: u32,
    /// 18 in 6.18.
    pub minor: u32,
}

impl KernelVersion {
    /// Reads the start of a release such as `6.1.0-18-amd64`.
    pub(super) fn parse(release: &str) -> Option<Self> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        let mut next = || parts.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()? })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The running kernel's version; none when its release cannot be read as one.
pub fn kernel_version() -> Option<KernelVersion> {
    KernelVersion::parse(uname().ok()?.release().to_str()?)
}

pub(super) fn require_rights() -> Result<(), ProbeError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    match effective_capabilities(&status) {
        Some(capabilities) if may_load(capabilities) => Ok(()),
        _ => Err(ProbeError::NotRoot),
    }
}

/// The kernel's version, when it is new enough and describes its types.
pub(super) fn require_kernel() -> Result<KernelVersion, ProbeError> {
    judge(kernel_version().unwrap_or(OLDEST), has_btf())
}

fn judge(found: KernelVersion, has_btf: bool) -> Result<KernelVersion, ProbeError> {
    if found < OLDEST {
        return Err(ProbeError::KernelTooOld { found });
    }
    if has_btf { Ok(found) } else { Err(ProbeError::NoBtf) }
}

/// Whether the kernel describes its types.
pub(super) fn has_btf() -> bool {
    Path::new(BTF).exists()
}

/// Mounts the BPF file system where it is missing.
pub(super) fn require_bpffs() -> Result<(), ProbeError> {
    if has_bpffs() {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), BPFFS, Some("bpf"), flags, Some("mode=700"))
        .map_err(|errno| ProbeError::Bpffs { source: errno.into() })
}

/// The host's own namespaces: those of the kernel's threads, which nobody can move; else of the first process, which
/// not everybody may look at. 0 where neither can be seen.
pub fn host_namespaces() -> Host {
    let is_kthreadd = fs::read("/proc/2/comm").is_ok_and(|comm| comm == b"kthreadd\n");
    let find = |kind: &str| {
        let of = |pid: u32| Some(fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok()?.ino());
        let inode = of(2).filter(|_| is_kthreadd).or_else(|| of(1));
        inode.and_then(|inode| u32::try_from(inode).ok()).unwrap_or(0)
    };
    Host { mnt: find("mnt"), pid: find("pid") }
}

/// Whether the BPF file system is mounted.
pub(super) fn has_bpffs() -> bool {
    statfs(BPFFS).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC)
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// CAP_SYS_ADMIN (21), or CAP_PERFMON (38) with CAP_BPF (39).
fn may_load(capabilities: u64) -> bool {
    let has = |bit: u32| capabilities >> bit & 1 == 1;
    has(21) || (has(38) && has(39))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        let version = |release| KernelVersion::parse(release).map(|v| (v.major, v.minor));
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.4-rc1"), Some((5, 4)));
        assert_eq!(version("unknown"), None);
        assert!(KernelVersion { major: 5, minor: 4 } < OLDEST);
        assert!(KernelVersion { major: 6, minor: 0 } > OLDEST);
    }

    #[test]
    fn a_kernel_that_will_not_do_is_told_with_what_would() {
        let version = |release| KernelVersion::parse(release).unwrap_or(OLDEST);
        let told = |release, has_btf| judge(version(release), has_btf).err().map(|e| e.to_string());
        assert_eq!(told("5.10.0", true), None);
        let old = told("5.4.0-200-generic", false).unwrap_or_default();
        assert!(old.contains("kernel 5.4") && old.contains("5.10 or newer"), "{old}");
        let blank = told("6.1.0", false).unwrap_or_default();
        assert!(blank.contains("CONFIG_DEBUG_INFO_BTF"), "{blank}");
    }

    #[test]
    fn rights_are_read_from_status() {
        assert_eq!(effective_capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert!(may_load(1 << 21));
        assert!(may_load(1 << 38 | 1 << 39));
        assert!(!may_load(1 << 39));
        assert!(!may_load(0));
    }
}
