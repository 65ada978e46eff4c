//! What else the machine does while the load is offered: nothing, or loops that want all of its cores.

use std::process::{Child, Command};

use crate::batches::{Load, n_events};
use crate::fleet::Fleet;
use crate::offer::{self, Offered};
use tests::counts::Counts;

/// Busy processes; ended when dropped.
pub(crate) struct Burn {
    loops: Vec<Child>,
}

impl Burn {
    /// So many loops, each of which would take a core for itself.
    pub(crate) fn start(n: u64) -> Self {
        let busy = || Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        Self { loops: (0..n).map(|_| busy()).collect() }
    }
}

/// Offers so many events a second while `n_loops` burn, which end when all is offered. Tells what became of sessions
/// until then, and until all was acknowledged. `ours` is what the hosts count.
pub(crate) fn offer_beside(
    fleet: &mut Fleet,
    loads: &[Load],
    events_per_s: u64,
    (n_loops, ours): (u64, impl Fn() -> String),
) -> Offered {
    let now = |fleet: &Fleet| Counts::fetch(fleet.metrics.unwrap()).with(Counts::parse(&ours()));
    let (before, burn) = (now(fleet), Burn::start(n_loops));
    let offered = offer::at_rate(fleet, loads, events_per_s, |fleet, took, n_acknowledged| {
        let n_batches: usize = loads.iter().map(|load| load.measured.len()).sum();
        println!(
            "with {n_loops} loops beside: {} events offered in {took:.1?}, {} % of them acknowledged by then; \
             {} hosts have no session; {}",
            n_events(loads),
            n_acknowledged * 100 / n_batches.max(1),
            fleet.n_down(),
            now(fleet).since(&before).of_sessions()
        );
        drop(burn);
    });
    println!("in all {:.1?}: {}", offered.took, now(fleet).since(&before).of_sessions());
    offered
}

impl Drop for Burn {
    fn drop(&mut self) {
        for child in &mut self.loops {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
