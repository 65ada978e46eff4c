//! Which container a control group's path belongs to, when it lives, and what its runtime calls it.
//!
//! Pure, but for [`resolver`], which asks runtimes. Runtimes tell their containers apart by nothing the kernel knows, except that each gets a
//! control group of its own whose name holds the container's id. Whoever may make control groups
//! (root, or a user in a delegated subtree) can make such names too, so this is a label and never
//! decides a verdict.

use std::fmt;

use wire::value::Value;

mod component;
pub mod names;
pub mod resolver;
pub mod running;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;

/// A container, as the path of its control group tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// Its id: 64 hex digits for most runtimes, a name for lxc and nspawn.
    pub id: &'a [u8],
    /// What runs it, where the path says so.
    pub runtime: Option<Runtime>,
    /// The uid of the Kubernetes pod it is part of.
    pub pod_uid: Option<String>,
}

/// An id as runtimes give it to their containers: 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 32]);

/// What runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Docker, also as Kubernetes', ECS's and moby's.
    Docker,
    /// Podman.
    Podman,
    /// Containerd, by itself or for Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// LXC, also below Proxmox and Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
}

impl Runtime {
    /// As `container.runtime` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Podman => "podman",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Lxc => "lxc",
            Runtime::Nspawn => "systemd-nspawn",
        }
    }
}

impl From<Runtime> for Value {
    fn from(runtime: Runtime) -> Self {
        Value::from(runtime.name())
    }
}

impl Runtime {
    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Docker, Self::Podman, Self::Containerd, Self::CriO, Self::Lxc, Self::Nspawn];
        all.into_iter().find(|runtime| runtime.name() == name)
    }
}

impl Id {
    /// Reads it; `None` for names, which lxc and systemd-nspawn give.
    pub fn parse(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_lower = id.iter().all(|b| !b.is_ascii_uppercase());
        (is_lower && hex::decode_to_slice(id, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> Container<'a> {
    /// The innermost container that the path lies in; `None` on the host itself, which includes the
    /// monitors that runtimes keep beside their containers.
    pub fn of(cgroup: &'a [u8]) -> Option<Self> {
        let mut outward = cgroup.rsplit(|b| *b == b'/').filter(|part| !part.is_empty()).peekable();
        let mut found: Option<(&[u8], Option<Runtime>)> = None;
        let mut pod_uid = None;
        while let Some(part) = outward.next() {
            if found.is_none() {
                let inside = outward.peek().copied().unwrap_or_default();
                match component::parse(part, inside) {
                    component::Part::Container { id, runtime } => found = Some((id, runtime)),
                    component::Part::Other => {}
                }
            }
            if pod_uid.is_none() {
                pod_uid = component::pod_uid(part);
            }
        }
        let (id, runtime) = found?;
        Some(Self { id, runtime, pod_uid })
    }

    /// The container whose own group this is; `None` for the groups that it made within.
    pub fn of_group(cgroup: &'a [u8]) -> Option<Self> {
        let mut outward = cgroup.rsplit(|b| *b == b'/').filter(|part| !part.is_empty());
        let (part, inside) = (outward.next()?, outward.next().unwrap_or_default());
        match component::parse(part, inside) {
            component::Part::Container { .. } => Self::of(cgroup),
            component::Part::Other => None,
        }
    }
}
