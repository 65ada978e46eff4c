//! One workload beside one watch, once.

use super::site::Site;
use super::watch::{Told, Watch, Watching};
use super::worker::{self, Worked};
use super::workload::Workload;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    /// How much was done a second.
    pub(crate) per_second: f64,
    /// CPU time of what was measured, in µs for each thing done; programs in the kernel that it ran into included.
    pub(crate) workload_us: f64,
    /// CPU time of those who watch, in µs for each thing done.
    pub(crate) own_us: f64,
    /// The same as a share of one core.
    pub(crate) own_share: f64,
    /// Events told of, for each thing done.
    pub(crate) told: f64,
    /// Events lost, for each thing done.
    pub(crate) lost: f64,
}

/// Measures it.
pub(crate) fn measure(site: &Site, workload: Workload, watch: Watch) -> anyhow::Result<Figure> {
    let watching = watch.start(site, workload.is_about_opens())?;
    worker::prime(site, workload)?;
    watching.settle();
    let before = watching.told()?;
    let cpu = watching.cpu();
    let worked = worker::run(site, workload)?;
    watching.settle();
    let own = watching.cpu() - cpu;
    let Worked { done, cpu } = worked;
    let n = done.n as f64;
    let Told { n: told, lost } = since(&watching, before)?;
    Ok(Figure {
        per_second: done.per_second(),
        workload_us: cpu.as_secs_f64() * 1e6 / n,
        own_us: own.as_secs_f64() * 1e6 / n,
        own_share: own.as_secs_f64() / done.took.as_secs_f64(),
        told: told as f64 / n,
        lost: lost as f64 / n,
    })
}

fn since(watching: &Watching<'_>, before: Told) -> anyhow::Result<Told> {
    let now = watching.told()?;
    Ok(Told { n: now.n.saturating_sub(before.n), lost: now.lost.saturating_sub(before.lost) })
}
