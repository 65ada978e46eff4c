//! The one place that wires the rooms: rings → pipeline → outbox → uplink.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use wire::id::{BootId, HostId};

use crate::clock::boot_time;
use crate::collection::{self, FileError};
use crate::config::{Config, To};
use crate::enrich::Origin;
use crate::guard::Own;
use crate::identity::{Identity, IdentityError};
use crate::metrics::{Metrics, MetricsError};
use crate::outbox::{DiskConfig, DiskThread, Outbox, OutboxConfig};
use crate::plan::{Collection, Refusal};
use crate::probe::{Probe, ProbeConfig, ProbeError};
use crate::redact::RedactionError;
use crate::spool::{DirError, SystemFiles};
use outlet::{Outlet, Shipping};
use positions::{Kept, PositionsFile};
use report::{Report, Shared};
use sensor::Sensor;
use stdout::Stdout;

mod before;
mod care;
mod exclude;
mod host;
mod intake;
mod memory;
mod outlet;
mod positions;
mod report;
mod sensor;
mod service;
mod stdout;
mod tick;

/// How long it may take to bring to disk what waits when the sensor stops.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Why a sensor cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What is to be shipped cannot be told.
    #[error("cannot use the collection that says what is shipped")]
    Collection(#[from] FileError),
    /// The sensor needs room in the kernel's tables for itself.
    #[error(
        "cannot ask the kernel for what the sensor needs to look after itself, beside what the collection asks for: {0}"
    )]
    Own(Refusal),
    /// The programs cannot be loaded or read.
    #[error("cannot watch the kernel")]
    Probe(#[from] ProbeError),
    /// The spool cannot be used.
    #[error("cannot keep batches")]
    Spool(#[from] DirError),
    /// Batches cannot go to disk.
    #[error("cannot start the thread that brings batches to disk")]
    Disk(#[source] io::Error),
    /// There is no identity, or it is of no use.
    #[error("cannot report to a collector; enrol this host first, or look at its events with --to stdout")]
    Identity(#[from] IdentityError),
    /// No collector to report to.
    #[error("no collector is known: give one with --collector HOST:PORT")]
    NoCollector,
    /// The certificates are refused.
    #[error("cannot use this host's certificates")]
    Tls(#[source] rustls::Error),
    /// The kernel has no boot clock.
    #[error("cannot read the boot clock, which kernels have since 2.6.39")]
    Clock(#[from] nix::Error),
    /// /proc is missing.
    #[error("cannot read the boot's id from /proc; mount /proc")]
    Boot(#[source] io::Error),
    /// Secrets cannot be looked for.
    #[error("cannot replace secrets in arguments")]
    Redaction(#[from] RedactionError),
    /// Executables cannot be read.
    #[error("cannot start the thread that reads executables")]
    Hash(#[source] io::Error),
    /// Runtimes cannot be asked for their containers.
    #[error("cannot start the thread that asks for the names of containers")]
    Containers(#[source] io::Error),
    /// The sensor's own counters cannot be served.
    #[error("cannot serve the sensor's metrics")]
    Metrics(#[from] MetricsError),
}

/// Watches this host's kernel until `shutdown`, then seals what waits. Programs and rings stay in the kernel, so
/// that the next run reads on from there; to standard output they do not.
///
/// # Errors
/// When it cannot start; see [`RunError`].
pub async fn run(config: &Config, to: To, shutdown: CancellationToken) -> Result<(), RunError> {
    let boot = host::boot_id().map_err(RunError::Boot)?;
    if let Some(address) = config.metrics {
        tokio::spawn(Metrics::bind(address).await?.serve(shutdown.clone()));
    }
    match to {
        To::Stdout => print(config, boot, &shutdown).await,
        To::Collector => report(config, boot, &shutdown).await,
    }
}

async fn print(config: &Config, boot: BootId, shutdown: &CancellationToken) -> Result<(), RunError> {
    // A host that is not enrolled has no id yet.
    let host = match Identity::load(&config.folder()) {
        Ok(identity) => identity.host,
        Err(_) => HostId::new(Uuid::nil()),
    };
    let outlet = Outlet::Stdout(Stdout::new(host, host::name()));
    let collection = collection::load(config.collection.as_deref())?;
    let (probe, own) = open_probe(config, &collection)?;
    let origin = Origin { host, boot };
    let mut sensor = Sensor::start(config, probe, outlet, origin, collection.digest(), own)?;
    sensor.service.ready("prints what it sees");
    let worked = sensor.work(shutdown).await;
    let stopped = sensor.stop();
    sensor.probe.unload()?;
    info!("sensor stopped; its programs are removed");
    worked.and(stopped)
}

async fn report(config: &Config, boot: BootId, shutdown: &CancellationToken) -> Result<(), RunError> {
    let identity = Identity::load(&config.folder())?;
    let collection = collection::load(config.collection.as_deref())?;
    let shipping = open_outbox(config, identity.host, boot)?;
    let (probe, own) = open_probe(config, &collection)?;
    let about = report::about(boot, &probe);
    let outbox = shipping.outbox.clone();
    let origin = Origin { host: identity.host, boot };
    let outlet = Outlet::Outbox(shipping);
    let mut sensor = Sensor::start(config, probe, outlet, origin, collection.digest(), own)?;
    let disk = match config.spool_disk {
        Some(_) => Some(DiskThread::start(outbox.clone()).map_err(RunError::Disk)?),
        None => None,
    };
    let shared = Shared { outbox, link: sensor.link.clone(), facts: sensor.facts.subscribe(), about };
    let status = format!("watches this host as {}", identity.host);
    let report = Report::start(config, identity, shared)?;
    sensor.service.ready(&status);
    let worked = sensor.work(shutdown).await;
    let stopped = sensor.stop();
    report.stop().await;
    if let Some(disk) = disk {
        // What nobody has acknowledged by now may have to wait for longer than this boot.
        drop(tokio::task::spawn_blocking(move || disk.stop(LAST_WRITES)).await);
    }
    info!(pins = %sensor.probe.folder().display(), "sensor stopped; its programs run on for the next one");
    worked.and(stopped)
}

/// What is left out and what is shipped is set before any program is at work.
fn open_probe(config: &Config, collection: &Collection) -> Result<(Probe, Own), RunError> {
    let own = care::own(config, Probe::folder_of(&config.name)?, boot_time()?);
    let tables = collection.tables_with(&own.queries()).map_err(RunError::Own)?;
    let mut prepared = Probe::prepare(&ProbeConfig {
        name: config.name.clone(),
        cgroup: config.cgroup.clone(),
        ring_bytes: config.ring_bytes,
        dns_ports: config.dns_ports.clone(),
        on_demand: !tables.calls.is_empty(),
        ..ProbeConfig::default()
    })?;
    let set = prepared.set_filter(&exclude::filter(&config.exclude));
    let generation = match set.and_then(|()| prepared.set_collection(&tables)) {
        Ok(generation) => generation,
        Err(error) => {
            prepared.give_up();
            return Err(error.into());
        }
    };
    let probe = prepared.attach()?;
    info!(
        collection = %hex::encode(collection.digest()),
        generation,
        n_rows = tables.n_rows,
        "the collection decides in the kernel what is shipped"
    );
    for sight in probe.missing() {
        warn!(sight = sight.name, "not seen on this kernel: {}", sight.without);
    }
    Ok((probe, own))
}

fn open_outbox(config: &Config, host: HostId, boot: BootId) -> Result<Shipping, RunError> {
    // What waits from before this host was enrolled anew is another host's, and no business of this one.
    let dir = config.spool.join(host.to_string());
    let file = PositionsFile::in_folder(&dir);
    let now = boot_time()?;
    let disk = |folder: &PathBuf| DiskConfig {
        dir: folder.join(host.to_string()),
        max_bytes: config.spool_disk_bytes,
        files: Arc::new(SystemFiles),
        boot,
        now,
    };
    let disk = config.spool_disk.as_ref().map(disk);
    let outbox = Outbox::open(&OutboxConfig { dir, max_bytes: config.spool_bytes, disk })?;
    let on_disk = || Kept::decode(outbox.positions_before()?, boot);
    let kept = file.read(boot).or_else(on_disk).unwrap_or_else(|| Kept::nothing(boot));
    Ok(Shipping {
        outbox: Arc::new(outbox),
        max_bytes: config.spool_bytes,
        file,
        kept,
        shed: [0; 2],
        shedding: false,
    })
}
