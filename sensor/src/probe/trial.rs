//! What this machine offers, found out without leaving anything behind.

use std::fs;

use super::hook::{HOOKS, Hook};
use super::install::{self, Plan};
use super::{ProbeConfig, ProbeError, host};

/// Something the machine must offer before any program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What.
    pub name: &'static str,
    /// What it is for.
    pub shows: &'static str,
    /// Why it is missing and what to do, if it is.
    pub missing: Option<String>,
}

/// What the sensor needs, in the order to mend it.
pub fn needs() -> Vec<Need> {
    let missing = |result: Result<(), ProbeError>| result.err().map(|error| error.to_string());
    let kernel = host::require_kernel();
    let bpffs = if host::has_bpffs() || host::require_rights().is_ok() {
        None
    } else {
        Some("not mounted at /sys/fs/bpf; the sensor mounts it when it runs as root".into())
    };
    vec![
        Need {
            name: "kernel",
            shows: "5.10 or newer",
            missing: match &kernel {
                Err(error @ ProbeError::KernelTooOld { .. }) => Some(error.to_string()),
                _ => None,
            },
        },
        Need {
            name: "BTF",
            shows: "the kernel's description of its types",
            missing: (!host::has_btf()).then(|| ProbeError::NoBtf.to_string()),
        },
        Need { name: "rights", shows: "to load programs", missing: missing(host::require_rights()) },
        Need { name: "bpffs", shows: "keeps programs while the sensor restarts", missing: bpffs },
    ]
}

/// For each hook why this kernel does not take it, or nothing when it does. With the rights for
/// it every program is loaded, without being attached; else only the place is looked for.
pub fn try_hooks() -> Vec<(&'static Hook, Option<String>)> {
    if host::require_rights().is_ok() {
        match load_all() {
            Ok(tried) => return tried,
            Err(error) => {
                let why = wire::cause::chain(&error);
                return HOOKS.iter().map(|hook| (hook, Some(why.clone()))).collect();
            }
        }
    }
    let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    HOOKS
        .iter()
        .map(|hook| (hook, (!hook.is_in(&btf)).then(|| "this kernel has no such place".into())))
        .collect()
}

fn load_all() -> Result<Vec<(&'static Hook, Option<String>)>, ProbeError> {
    let plan = Plan::new(&ProbeConfig::default(), host::require_kernel()?)?;
    let btf = install::kernel_btf()?;
    let mut ebpf = plan.load(&btf)?;
    Ok(HOOKS
        .iter()
        .map(|hook| {
            let refused = install::load_program(&mut ebpf, hook, &btf).err();
            (hook, refused.map(|error| wire::cause::chain(&error)))
        })
        .collect())
}
