//! Much at once in the watched group, for rings that nobody reads meanwhile.

use std::path::Path;

use super::site::Site;
use super::worker::{self, Deed};

/// What happens in a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Burst {
    pub(crate) name: &'static str,
    deeds: &'static [(Deed, u64)],
}

pub(crate) const BURSTS: [Burst; 4] = [
    Burst { name: "forks, execs, exits", deeds: &[(Deed::Execute, 4_000)] },
    Burst { name: "connections", deeds: &[(Deed::Connect, 20_000)] },
    Burst { name: "opens of files", deeds: &[(Deed::Open, 150_000)] },
    MIX,
];

/// Some of each.
pub(crate) const MIX: Burst =
    Burst { name: "a mix", deeds: &[(Deed::Execute, 3_000), (Deed::Connect, 4_000), (Deed::Open, 15_000)] };

impl Burst {
    pub(crate) fn happen(&self, site: &Site) -> anyhow::Result<()> {
        for (deed, n) in self.deeds {
            let mut command = site.group.command(std::env::current_exe()?);
            worker::finish(command.args(worker::repeating(*deed, *n, Path::new("/etc/hostname"))))?;
        }
        Ok(())
    }
}
