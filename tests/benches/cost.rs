//! What a sensor costs the programs that run beside it, and its host, with other ways to watch the same in the same run.
//!
//! Run as root by `make bench BENCH=cost`. `PARTS` names the parts to run, of `redis compile exec open connect drain
//! drop`; all of them without it. `PAIRS` is how often each watch is measured beside nothing (20), and `WATCHES` names
//! those to measure, of `default everything bpftrace auditd`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

#[path = "cost/auditd.rs"]
mod auditd;
#[path = "cost/burst.rs"]
mod burst;
#[path = "cost/compile.rs"]
mod compile;
#[path = "cost/drain.rs"]
mod drain;
#[path = "cost/drop.rs"]
mod drop;
#[path = "cost/kernel_time.rs"]
mod kernel_time;
#[path = "cost/measure.rs"]
mod measure;
#[path = "cost/redis.rs"]
mod redis;
#[path = "cost/rounds.rs"]
mod rounds;
#[path = "cost/site.rs"]
mod site;
#[path = "cost/table.rs"]
mod table;
#[path = "cost/watch.rs"]
mod watch;
#[path = "cost/worker.rs"]
mod worker;
#[path = "cost/workload.rs"]
mod workload;

use site::Site;
use tests::skip::needs_root;
use watch::Watch;
use workload::Workload;

const PAIRS: usize = 20;

fn main() {
    if worker::is_asked_for() {
        return worker::work();
    }
    if !needs_root("bench cost") {
        return;
    }
    let pairs = variable("PAIRS").map_or(PAIRS, |n| n.parse().expect("PAIRS is a number"));
    let parts = Named(variable("PARTS"));
    let watches = Named(variable("WATCHES"));
    let site = Site::new().unwrap();
    let mut wanted = vec![Watch::Nothing];
    wanted.extend(Watch::OTHERS.into_iter().filter(|watch| watches.has(watch.short())));
    for workload in Workload::ALL.into_iter().filter(|workload| parts.has(workload.name())) {
        match workload.missing() {
            Some(reason) => tests::skip::skip(&format!("bench cost {}", workload.name()), &reason),
            None => rounds::run(&site, workload, &wanted, pairs),
        }
    }
    if parts.has("drain") {
        drain::run(&site);
    }
    if parts.has("drop") {
        drop::run(&site);
    }
    site.leave().unwrap();
    auditd::leave();
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Names in a variable; all of them if it is not there.
struct Named(Option<String>);

impl Named {
    fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.split_whitespace().any(|found| found == name))
    }
}
