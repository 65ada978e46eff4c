//! Puts this version's programs behind the doors, and takes away what only others had.

use aya::{Btf, Ebpf};
use tracing::{debug, info, warn};

use super::doors::{self, Maker};
use super::loader::Loader;
use super::pins::{self, Pins};
use super::plan::{COUNTERS, Plan, RINGS};
use super::sight::Sight;
use super::{Hook, ProbeError, flow, syscalls};

/// The kernel's type information.
pub(super) fn kernel_btf() -> Result<Btf, ProbeError> {
    Btf::from_sys_fs().map_err(|source| ProbeError::Btf { source: Box::new(source) })
}

/// Puts every program in place, one after another. Whatever was there goes on until it is replaced; a sensor that dies in
/// the midst leaves both versions' programs at work, each behind its own doors, and the next one begins again.
pub(super) fn install(plan: &Plan, ebpf: Ebpf, btf: &Btf, pins: &Pins) -> Result<(), ProbeError> {
    let before = pins.attached()?;
    pins.identify(None)?;
    let mut loader = Loader::new(ebpf, btf);
    let mut maker = Maker::new(btf);
    for sight in Sight::all().filter(|sight| plan.wants(sight)) {
        match loader.take(sight, pins, &mut maker)? {
            Some(way) => debug!(sight = sight.name, "{} by {}", sight.name, way.sections()),
            None => {
                let refused = loader.refusals(sight);
                warn!(
                    sight = sight.name,
                    refused, "this kernel does not show {}: {}", sight.shows, sight.without
                );
            }
        }
    }
    // Of what each sight has no better way for; a version before this one had the same, or another map.
    let in_place = |hook: &Hook| loader.in_place().contains(&hook.program);
    syscalls::fill(pins.map("syscall_shapes")?, in_place)?;
    if let Err(error) = loader.keep_flows(pins) {
        warn!(error = %wire::cause::chain(&error), "flows of datagrams are not told to end");
    }
    for program in before.iter().filter(|program| !loader.in_place().contains(&program.as_str())) {
        info!(program, "no longer attached: this version has another way, or none");
        doors::remove(pins, program)?;
    }
    forget_maps(pins)?;
    pins.identify(Some(plan.identity()))
}

/// Removes maps that this version has no use for. Rings and what numbers their records stay: they are read to the end first.
fn forget_maps(pins: &Pins) -> Result<(), ProbeError> {
    let is_kept = |pin: &str| {
        let is_of_rings = |(name, _): (&str, &str)| name == COUNTERS || RINGS.contains(&name);
        pins::is_of_door(pin)
            || pin == flow::ENDED_PIN
            || pin.rsplit_once('-').is_some_and(is_of_rings)
            || pins.maps().values().any(|known| known == pin)
    };
    pins.all()?.iter().filter(|pin| !is_kept(pin)).try_for_each(|pin| pins.forget(pin))
}
