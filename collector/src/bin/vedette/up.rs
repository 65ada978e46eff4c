//! `vedette up`: everything on this host, in two processes and a private PostgreSQL.
//!
//! The collector starts and stops its PostgreSQL itself. What runs here is only the order: collector,
//! enrolment, sensor, first events; and, at the end, the same backwards.

pub(crate) mod child;
mod detach;
mod enrol;
pub(crate) mod instance;
mod progress;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::Found;
use crate::cli::UpArgs;
use crate::home;
use crate::up::child::{Child, Program};
use crate::up::instance::Instance;
use crate::up::progress::Progress;

/// How long the collector may take to be ready: the first start makes a database.
const COLLECTOR_READY: Duration = Duration::from_secs(120);
/// How long the sensor may take until its first event is stored.
const FIRST_EVENTS: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: UpArgs) -> anyhow::Result<Found> {
    let home = home::resolve(args.home.clone())?;
    if args.detach {
        return detach::run(&home).await;
    }
    let mut instance = Instance::claim(&home)?;
    let mut stop = Stop::new()?;
    let mut progress = Progress::new();

    let mut collector = None;
    let mut sensor = None;
    let started = tokio::select! {
        started = start(&args, &home, &mut progress, &mut collector, &mut sensor) => started,
        () = stop.asked() => Ok(()),
    };
    let ended = match started {
        Ok(()) if !stop.was_asked() => {
            instance.ready(&collector_url(&args))?;
            progress.ready(&home, &args, sensor.is_some());
            supervise(&mut collector, &mut sensor, &mut stop).await
        }
        other => other,
    };
    progress.step("stopping");
    stop_all(&home, sensor, collector).await;
    progress.done("everything is stopped");
    ended.map(|()| Found::Something)
}

async fn start(
    args: &UpArgs,
    home: &Path,
    progress: &mut Progress,
    collector_slot: &mut Option<Child>,
    sensor_slot: &mut Option<Child>,
) -> anyhow::Result<()> {
    progress.step("collector and database");
    let _ = std::fs::remove_file(ready_file(home));
    let collector = collector_slot.insert(Child::start(Program::collector(home, args)?)?);
    collector.wait_for_file(&ready_file(home), COLLECTOR_READY).await?;
    progress.done("");

    if args.no_sensor || !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    progress.step("enrolment");
    progress.done(enrol::this_host(home, args).await?);

    progress.step("sensor");
    let begun = jiff::Timestamp::now();
    let sensor = sensor_slot.insert(Child::start(Program::sensor(home, args)?)?);
    progress.done("");
    progress.step("first events");
    let n = tokio::select! {
        n = enrol::first_events(home, begun, FIRST_EVENTS) => n?,
        ended = sensor.ended() => bail!("the sensor ended: {ended}\nwithout a sensor on this host: vedette up --no-sensor"),
    };
    progress.done(&n);
    Ok(())
}

/// Waits for the end; a program that dies meanwhile is started again.
async fn supervise(
    collector: &mut Option<Child>,
    sensor: &mut Option<Child>,
    stop: &mut Stop,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            () = child::keep_alive(collector) => {}
            () = child::keep_alive(sensor) => {}
        }
    }
}

/// The sensor first, so that what it still holds is acknowledged; then its programs in the kernel; then the rest.
async fn stop_all(home: &Path, sensor: Option<Child>, collector: Option<Child>) {
    if let Some(mut sensor) = sensor {
        sensor.stop(Duration::from_secs(15)).await;
        if let Err(error) = unload(home).await {
            eprintln!("vedette: {error:#}");
        }
    }
    if let Some(mut collector) = collector {
        collector.stop(Duration::from_secs(40)).await;
    }
}

/// Removes every program and pin of the sensor of this home.
pub(crate) async fn unload(home: &Path) -> anyhow::Result<()> {
    let program = child::sibling("vedette-sensor")?;
    let output = tokio::process::Command::new(&program)
        .args(["unload", "--name", &home::sensor_name(home)])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("could not remove the sensor's programs: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Where the collector says that it is ready.
fn ready_file(home: &Path) -> std::path::PathBuf {
    home.join("collector/ready")
}

fn collector_url(args: &UpArgs) -> String {
    format!("https://{}", reachable(args.listen))
}

/// The address to call for one that may be "every interface".
fn reachable(mut listen: std::net::SocketAddr) -> std::net::SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// Ctrl-C, SIGTERM, or a terminal that went away.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    was_asked: bool,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            was_asked: false,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        self.was_asked = true;
    }

    fn was_asked(&self) -> bool {
        self.was_asked
    }
}
