//! How many events a second of CPU time a sensor drains, decodes, enriches and seals into batches, out of rings that
//! were filled while nobody read.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::pairs::median;
use tests::usage::{cpu_exactly, own_thread};
use uuid::Uuid;
use vedette_sensor::account::Start;
use vedette_sensor::clock::boot_time;
use vedette_sensor::enrich::Origin;
use vedette_sensor::pipeline::{Pipeline, PipelineConfig};
use vedette_sensor::probe::{Probe, ProbeConfig, host_namespaces};
use vedette_sensor::record::Record;
use vedette_sensor::redact::{Redaction, Redactor};
use vedette_sensor::seal::Bounds;
use vedette_sensor::table::Limits;
use vedette_sensor::user::Users;
use wire::id::{BootId, Epoch, HostId};

use super::burst::{BURSTS, Burst, MIX};
use super::site::Site;
use super::watch::{Watching, ledger};

const ROUNDS: usize = 5;
/// Room for a whole burst in each ring.
const RING_MIB: u32 = 128;
/// The most records taken before batches are shipped, as the sensor has it.
const AT_ONCE: usize = 4096;
/// The most records that wait for their process, as the sensor has it.
const MAX_EARLY: usize = 1024;
const AIM: f64 = 1e6;

/// What became of one burst.
struct Drained {
    n_records: usize,
    n_lost: u64,
    n_events: u64,
    n_bytes: usize,
    cpu: Duration,
}

pub(crate) fn run(site: &Site) {
    println!(
        "\ndrain: rings filled while nobody reads, then read; median of {ROUNDS} rounds (aim: {AIM} a CPU second)"
    );
    println!(
        "{:<22} {:>9} {:>9} {:>7} {:>14} {:>14} {:>10}",
        "", "records", "events", "lost", "records/CPU s", "events/CPU s", "B an event"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    for burst in &BURSTS {
        let all: Vec<Drained> = (0..ROUNDS).map(|_| drained(site, burst).unwrap()).collect();
        let of =
            |value: &dyn Fn(&Drained) -> f64| median(&all.iter().map(value).collect::<Vec<_>>()).unwrap();
        let events = of(&|one| one.n_events as f64 / one.cpu.as_secs_f64());
        println!(
            "{:<22} {:>9.0} {:>9.0} {:>7.0} {:>14.0} {events:>14.0} {:>10.1}{}",
            burst.name,
            of(&|one| one.n_records as f64),
            of(&|one| one.n_events as f64),
            of(&|one| one.n_lost as f64),
            of(&|one| one.n_records as f64 / one.cpu.as_secs_f64()),
            of(&|one| one.n_bytes as f64 / one.n_events as f64),
            if events < AIM { "  MISSED" } else { "" }
        );
    }
    let all: Vec<f64> = (0..ROUNDS).map(|_| whole(site).unwrap()).collect();
    println!(
        "a whole sensor, stopped while {} happens, with spool and uplink: {:.0} events a CPU second",
        MIX.name,
        median(&all).unwrap()
    );
}

fn drained(site: &Site, burst: &Burst) -> anyhow::Result<Drained> {
    let mut probe = Probe::open(&ProbeConfig {
        name: "bench-drain".to_owned(),
        cgroup: Some(site.group.path().to_owned()),
        ring_bytes: [RING_MIB << 20; 3],
        ..ProbeConfig::default()
    })?;
    let done = burst.happen(site).and_then(|()| drain(&mut probe));
    let counters = probe.counters()?;
    probe.unload()?;
    let lost = vedette_sensor::record::Class::ALL.into_iter().map(|class| counters.of(class).lost).sum();
    Ok(Drained { n_lost: lost, ..done? })
}

fn drain(probe: &mut Probe) -> anyhow::Result<Drained> {
    let origin = Origin { host: HostId::new(Uuid::nil()), boot: BootId::new(Uuid::nil()) };
    let config = PipelineConfig {
        origin,
        epoch: Epoch::new(Uuid::nil()),
        start: Start::Fresh,
        limits: Limits::default(),
        bounds: Bounds::default(),
        collection: [0; 16],
        redactor: Redactor::new(&Redaction::default())?,
        host: host_namespaces(),
    };
    let mut pipeline = Pipeline::new(config, boot_time()?);
    let mut users = Users::new("/etc/passwd");
    users.refresh()?;
    probe.seed_each(|seed| {
        if let (Ok(image), Ok(now)) = (seed.image(), boot_time()) {
            pipeline.seed(&image, now);
        }
    })?;
    let mut drained = Drained { n_records: 0, n_lost: 0, n_events: 0, n_bytes: 0, cpu: Duration::ZERO };
    let mut early: Vec<Vec<u8>> = Vec::new();
    let start = own_thread();
    loop {
        let now = boot_time()?;
        let waited = std::mem::take(&mut early);
        let n = probe.drain(AT_ONCE, |bytes| match Record::decode(bytes) {
            Ok(record) if early.len() < MAX_EARLY && pipeline.is_early(&record) => early.push(bytes.to_vec()),
            Ok(record) => pipeline.take(&record, users.names(), now),
            Err(error) => panic!("a record makes no sense: {error}"),
        });
        for bytes in waited {
            pipeline.take(&Record::decode(&bytes)?, users.names(), now);
        }
        pipeline.seal_due(users.names(), now);
        drained.n_records += n;
        if n < AT_ONCE && early.is_empty() {
            pipeline.seal_all(users.names(), now);
        }
        while let Some(ready) = pipeline.next_batch() {
            drained.n_events += u64::from(ready.batch.n_events);
            drained.n_bytes += ready.batch.sealed.header.len() + ready.batch.sealed.payload.len();
        }
        if n == 0 && early.is_empty() {
            break;
        }
    }
    drained.cpu = own_thread() - start;
    Ok(drained)
}

/// Events a second of CPU time that a whole sensor takes, all its threads together.
fn whole(site: &Site) -> anyhow::Result<f64> {
    let everything = site.everything();
    let rings = ["PROCESS", "BULK", "FILE"].map(|ring| format!("VEDETTE_SENSOR_{ring}_RING_MB"));
    let variables: Vec<_> = rings.iter().map(|name| (name.as_str(), RING_MIB.to_string())).collect();
    let child = site.watcher.start(&["--collection", &everything.to_string_lossy()], &variables)?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let watching = Watching::Sensor { site, child: Some(child), before: ledger(site)? };
    watching.settle();
    let before = watching.told()?;
    kill(pid, Signal::SIGSTOP)?;
    let happened = MIX.happen(site);
    let cpu = cpu_exactly(u32::try_from(pid.as_raw())?);
    kill(pid, Signal::SIGCONT)?;
    happened?;
    watching.settle();
    let cpu = watching.cpu() - cpu;
    Ok((watching.told()?.n - before.n) as f64 / cpu.as_secs_f64())
}
