//! What this machine offers, found out without leaving anything behind.

use std::fs;

use super::hook::Hook;
use super::install;
use super::loader::Loader;
use super::plan::Plan;
use super::sight::{Sight, Way};
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

/// What came of trying to see something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// What.
    pub sight: &'static Sight,
    /// The way in which it can be seen here, if any.
    pub way: Option<&'static Way>,
    /// For each program of a better way why this kernel does not take it.
    pub refused: Vec<(&'static Hook, String)>,
    /// Likewise for the programs of the ways after it, which other kernels need.
    pub spare: Vec<(&'static Hook, String)>,
}

/// Tries every sight. With the rights for it programs are loaded, without being attached; else only
/// their places are looked for.
///
/// # Errors
/// When the kernel refuses the maps: then nothing can be seen.
pub fn try_sights() -> Result<Vec<Trial>, ProbeError> {
    if host::require_rights().is_ok() {
        let plan = Plan::new(&ProbeConfig::default(), host::require_kernel()?)?;
        let btf = install::kernel_btf()?;
        let mut loader = Loader::on_trial(plan.load(&btf, None)?, &btf);
        return Ok(Sight::all().map(|sight| try_sight(sight, &mut |hook| load(&mut loader, hook))).collect());
    }
    let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    let mut find =
        |hook: &Hook| if hook.is_in(&btf) { None } else { Some("this kernel has no such place".to_owned()) };
    Ok(Sight::all().map(|sight| try_sight(sight, &mut find)).collect())
}

fn load(loader: &mut Loader<'_>, hook: &'static Hook) -> Option<String> {
    if loader.load(hook) { None } else { loader.why_not(hook) }
}

/// `why_not` says of a program why this kernel does not take it, or nothing.
fn try_sight(sight: &'static Sight, why_not: &mut dyn FnMut(&'static Hook) -> Option<String>) -> Trial {
    let mut trial = Trial { sight, way: None, refused: Vec::new(), spare: Vec::new() };
    for way in sight.ways {
        let of_way: Vec<_> = way.hooks.iter().filter_map(|hook| Some((*hook, why_not(hook)?))).collect();
        match trial.way {
            Some(_) => trial.spare.extend(of_way),
            None if of_way.is_empty() => trial.way = Some(way),
            None => trial.refused.extend(of_way),
        }
    }
    trial
}
