//! One component of a control group's path.

use super::Runtime;

/// What a component names.
pub(super) enum Part<'a> {
    /// A container.
    Container { id: &'a [u8], runtime: Option<Runtime> },
    /// Something else: also the monitors that runtimes keep beside their containers (conmon, lxc.monitor).
    Other,
}

/// Prefixes of units and groups that are followed by a 64-digit id.
const PREFIXES: &[(&[u8], Runtime)] = &[
    (b"docker-", Runtime::Docker),
    (b"libpod-payload-", Runtime::Podman),
    (b"libpod-", Runtime::Podman),
    (b"cri-containerd-", Runtime::Containerd),
    (b"containerd-", Runtime::Containerd),
    (b"nerdctl-", Runtime::Containerd),
    (b"crio-", Runtime::CriO),
];

/// Groups whose members are containers' ids, bare.
const HOLDERS: &[(&[u8], Runtime)] = &[
    (b"docker", Runtime::Docker),
    (b"moby", Runtime::Docker),
    (b"actions_job", Runtime::Docker),
    (b"libpod_parent", Runtime::Podman),
    (b"k8s.io", Runtime::Containerd),
    (b"default", Runtime::Containerd),
];

/// Reads a component; `inside` is the one it lies in.
pub(super) fn parse<'a>(part: &'a [u8], inside: &[u8]) -> Part<'a> {
    let unit = part.strip_suffix(b".scope").unwrap_or(part);
    // containerd with systemd's names but cgroupfs' driver: SLICE:cri-containerd:ID
    if let [_, b"cri-containerd", id] = unit.split(|b| *b == b':').collect::<Vec<_>>().as_slice()
        && is_id(id)
    {
        return Part::Container { id, runtime: Some(Runtime::Containerd) };
    }
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = unit.strip_prefix(*prefix).filter(|id| is_id(id)) {
            return Part::Container { id, runtime: Some(*runtime) };
        }
    }
    if is_id(unit) {
        let runtime = HOLDERS.iter().find(|(name, _)| *name == inside).map(|(_, runtime)| *runtime);
        return Part::Container { id: unit, runtime };
    }
    let named = lxc(part, inside).map(|id| (id, Runtime::Lxc)).or_else(|| {
        let id = part.strip_prefix(b"systemd-nspawn@")?.strip_suffix(b".service")?;
        Some((id, Runtime::Nspawn))
    });
    match named {
        Some((id, runtime)) if is_name(id) => Part::Container { id, runtime: Some(runtime) },
        _ => Part::Other,
    }
}

/// The uid of the pod that a component names, in the usual spelling.
pub(super) fn pod_uid(part: &[u8]) -> Option<String> {
    let unit = part.split(|b| *b == b':').next().unwrap_or_default();
    let unit = unit.strip_suffix(b".slice").unwrap_or(unit);
    // cgroupfs: podUID; systemd: kubepods[-CLASS]-podUID, with underscores in the uid, and with
    // whatever prefix kubelet was given before it.
    let uid = match unit.strip_prefix(b"pod") {
        Some(uid) => uid,
        None => {
            let at = unit.windows(4).rposition(|w| w == b"-pod")?;
            let (before, uid) = unit.split_at_checked(at)?;
            before.windows(8).any(|w| w == b"kubepods").then_some(uid.get(4..)?)?
        }
    };
    let dashed = |(i, b): (usize, &u8)| match i {
        8 | 13 | 18 | 23 => matches!(b, b'-' | b'_'),
        _ => is_hex(*b),
    };
    let valid = match uid.len() {
        36 => uid.iter().enumerate().all(dashed),
        // Static pods are named by a hash of their manifest.
        32 => uid.iter().all(|b| is_hex(*b)),
        _ => false,
    };
    valid.then(|| uid.iter().map(|b| if *b == b'_' { '-' } else { char::from(*b) }).collect())
}

/// `lxc.payload.NAME`, `lxc.payload/NAME` or `lxc/NAME`.
fn lxc<'a>(part: &'a [u8], inside: &[u8]) -> Option<&'a [u8]> {
    match part.strip_prefix(b"lxc.payload.") {
        Some(name) => Some(name),
        None => matches!(inside, b"lxc" | b"lxc.payload").then_some(part),
    }
}

fn is_id(id: &[u8]) -> bool {
    id.len() == 64 && id.iter().all(|b| is_hex(*b))
}

fn is_name(name: &[u8]) -> bool {
    (1..=128).contains(&name.len())
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}
