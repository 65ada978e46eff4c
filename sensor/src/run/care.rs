//! How the sensor looks after itself: every five seconds it does what its programs must tell, and looks whether all that is its
//! own is as it left it.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use tokio::sync::watch;
use tracing::{debug, warn};
use wire::authority::AuthorityId;
use wire::event::{Kind, Row};
use wire::field::Field;
use wire::id::HostId;
use wire::time::BootTime;
use wire::value::Value;

use super::RunError;
use super::sensor::Sensor;
use crate::canary::{Bird, Canary, Deeds};
use crate::config::Config;
use crate::guard::{self, Blame, CANARY_FILE, Files, Own, Pace, State};
use crate::identity::Identity;
use crate::probe::{Harm, Probe, cgroup};
use crate::record::{PerClass, Record, Task};

/// How often what takes more than a moment is looked at, in rounds.
const THOROUGH: u64 = 12;
/// How often one process is told of for the same thing, in ns.
const TELL_AGAIN_NS: u64 = 60_000_000_000;
/// The most processes that are remembered for that.
const MAX_TOLD: usize = 256;

/// What a sensor needs to look after itself.
pub(super) struct Care {
    pub(super) canary: Canary,
    own: Own,
    pace: Pace,
    files: Files,
    /// The sensor's own files that are looked at, and the identity's, which the sensor itself replaces.
    watched: Vec<PathBuf>,
    identity: Option<(PathBuf, HostId)>,
    /// The file of the authorities that are trusted, and what it has to hold.
    authorities: PathBuf,
    trusts: watch::Receiver<Vec<AuthorityId>>,
    group: String,
    n_rounds: u64,
    told: HashMap<(Task, Vec<u8>), BootTime>,
    blames: Vec<Blame>,
    n_harms: u64,
    unhealed: Vec<String>,
}

/// What is the sensor's own, as far as its settings tell.
pub(super) fn own(config: &Config, pins: PathBuf, began: BootTime) -> Own {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let executable = fs::read_link("/proc/self/exe").unwrap_or_default();
    let mut files: Vec<PathBuf> = config.collection.iter().map(|path| real(path)).collect();
    files.push(real(&config.file));
    files.extend(group_files());
    files.retain(|path| path.is_absolute());
    let mut folders = vec![pins, real(&config.folder()), real(&config.spool)];
    let elsewhere = config.spool_disk.as_deref().map(real);
    folders.extend(elsewhere.filter(|disk| !folders.iter().any(|folder| disk.starts_with(folder))));
    Own {
        executable: without_deleted(executable),
        pid: std::process::id(),
        before: None,
        began,
        folders,
        files,
    }
}

/// A program that was replaced while it runs is known by the name it had.
fn without_deleted(executable: PathBuf) -> PathBuf {
    match executable.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => path.into(),
        None => executable,
    }
}

/// The files that freeze or kill this process's control group, or one that it is in.
fn group_files() -> Vec<PathBuf> {
    let Some(mount) = cgroup::mounts().into_iter().find(|m| m.hierarchy == cgroup::Hierarchy::V2) else {
        return Vec::new();
    };
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let levels = Path::new(own).ancestors().filter(|level| !level.as_os_str().is_empty());
    levels
        .flat_map(|level| ["cgroup.freeze", "cgroup.kill"].map(|file| mount.at.join(level).join(file)))
        .collect()
}

impl Care {
    pub(super) fn new(
        config: &Config,
        probe: &Probe,
        mut own: Own,
        host: Option<HostId>,
        trusts: watch::Receiver<Vec<AuthorityId>>,
        now: BootTime,
    ) -> Self {
        own.before = probe.sensor_before();
        let is_first = is_in_first_pid_namespace();
        if !is_first {
            warn!(
                "the sensor runs in a pid namespace of its own: what it does itself cannot be told from what others do"
            );
        }
        let is_shown = |bird: Bird| {
            is_first && probe.sights().any(|(sight, way)| sight.name == bird.sight() && way.is_some())
        };
        let folder = config.folder();
        let identity = host.map(|host| (folder.join("host.pem"), host));
        let mut watched = vec![config.file.clone(), own.executable.clone()];
        watched.extend(config.collection.clone());
        watched.push(folder.join("collectors"));
        let mut care = Self {
            canary: Canary::new(own.pid, is_shown, now),
            own,
            pace: Pace::new(monotonic_ns()),
            files: Files::default(),
            watched,
            identity,
            authorities: folder.join("ca.pem"),
            trusts,
            group: group(),
            n_rounds: 0,
            told: HashMap::new(),
            blames: Vec::new(),
            n_harms: 0,
            unhealed: Vec::new(),
        };
        care.look_at_files();
        care
    }

    /// Whether the record is no event: what the canary did. Remembers who is to blame for what it tells.
    pub(super) fn took(&mut self, record: &Record<'_>, now: BootTime) -> bool {
        if self.canary.took(record, now) || self.own.is_own_touch(record) {
            return true;
        }
        if let Some(blame) = self.own.blame(record)
            && self.blames.len() < MAX_TOLD
        {
            self.blames.push(blame);
        }
        false
    }

    /// All that the programs had told was taken.
    pub(super) fn heard_out(&mut self) {
        self.canary.heard_out();
    }

    /// What is not as it should be, for people.
    pub(super) fn troubles(&self) -> Vec<String> {
        let blind = self.canary.blind();
        let mut troubles = Vec::new();
        if !blind.is_empty() {
            troubles.push(format!("not told though this kernel can show it: {}", blind.join(", ")));
        }
        if !self.unhealed.is_empty() {
            troubles.push(format!("tampered with, and not to be repaired: {}", self.unhealed.join(", ")));
        }
        if self.n_harms > 0 {
            troubles.push(format!("tampered with {} times since the sensor started", self.n_harms));
        }
        troubles
    }

    /// Those to blame that were not told of lately.
    fn told_now(&mut self, now: BootTime) -> Vec<Blame> {
        let is_old = |at: BootTime| now.ns().saturating_sub(at.ns()) >= TELL_AGAIN_NS;
        self.told.retain(|_, at| !is_old(*at));
        let told = &mut self.told;
        let mut new = std::mem::take(&mut self.blames);
        new.retain(|blame| {
            let is_room = told.len() < MAX_TOLD;
            is_room && told.insert((blame.task, blame.what.clone()), now).is_none()
        });
        new
    }

    /// What became of the sensor's files, its control group and itself, since it last looked.
    fn look_around(&mut self) -> Vec<(String, String)> {
        let mut found = self.look_at_files();
        let group = group();
        if group != self.group {
            found.push(("control group".into(), "the sensor was moved to another one".into()));
            self.group = group;
        }
        if let Some(ns) = self.pace.step(monotonic_ns()) {
            let seconds = Duration::from_nanos(ns).as_secs();
            found.push((
                "process".into(),
                format!("the sensor did not run for {seconds} s: it was stopped, its control group frozen, or it got no time"),
            ));
        }
        found
    }

    fn look_at_files(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let files = &mut self.files;
        let mut look = |path: &Path| files.note(path, fs::metadata(path).ok().as_ref().map(State::of));
        for path in &self.watched {
            if let Some(change) = look(path) {
                found.push((format!("file {}", path.display()), change.name().to_owned()));
            }
        }
        if let Some(change) = look(&self.authorities) {
            // It is written when a collector tells of another authority; then it holds what is trusted.
            let folder = self.authorities.parent().unwrap_or(Path::new("/"));
            let trusts = self.trusts.borrow();
            if !Identity::load(folder).is_ok_and(|identity| identity.trusted_ids() == *trusts) {
                found.push((format!("file {}", self.authorities.display()), change.name().to_owned()));
            }
        }
        if let Some((path, host)) = &self.identity
            && let Some(change) = look(path)
        {
            // A renewal replaces it. Whatever else does has to be this host's certificate, with its key.
            let folder = path.parent().unwrap_or(Path::new("/"));
            if !Identity::load(folder).is_ok_and(|identity| identity.host == *host) {
                found.push((format!("file {}", path.display()), change.name().to_owned()));
            }
        }
        found
    }
}

impl Sensor {
    /// A round, if it is time. Records of the round before have been taken by then.
    pub(super) fn take_care(&mut self, lost: &PerClass<u64>, now: BootTime) -> Result<(), RunError> {
        for blame in self.care.told_now(now) {
            let row = tampered(Bytes::from(blame.what), blame.deed);
            self.care.n_harms += 1;
            self.pipeline.tell_of(blame.task, Kind::SENSOR_TAMPER, row, self.users.names(), now);
        }
        if !self.care.canary.is_due(now) {
            return Ok(());
        }
        let deeds = self.fly();
        if let Some(report) = self.care.canary.round(deeds, lost, now) {
            if report.blind.is_empty() {
                debug!(sent = report.sent, returned = report.returned, "{}", report.reason);
            } else {
                warn!(blind = report.blind.join(", "), "{}", report.reason);
            }
            self.pipeline.tell(Kind::SENSOR_CANARY, report.row(), self.users.names(), now);
        }
        self.tell_neglect(now)?;
        let is_thorough = self.care.n_rounds.is_multiple_of(THOROUGH);
        self.care.n_rounds += 1;
        let harms = self.probe.inspect(is_thorough);
        self.care.unhealed =
            harms.iter().filter(|harm| !harm.repaired).map(|harm| harm.what.clone()).collect();
        for Harm { what, how, repaired } in harms {
            warn!(repaired, "{what} of the sensor's own: {how}");
            let row = tampered(Bytes::from(what), how.to_owned()).with(Field::SensorRepaired, repaired);
            self.tell_tampered(row, now);
        }
        for (what, how) in self.care.look_around() {
            warn!("{what} of the sensor's own: {how}");
            self.tell_tampered(tampered(Bytes::from(what), how), now);
        }
        Ok(())
    }

    pub(super) fn tell_tampered(&mut self, row: Row, now: BootTime) {
        self.care.n_harms += 1;
        self.pipeline.tell(Kind::SENSOR_TAMPER, row, self.users.names(), now);
    }

    /// Does what must be told.
    fn fly(&mut self) -> Deeds {
        if let Err(error) = self.probe.set_canary(Some(gettid().as_raw().cast_unsigned())) {
            debug!(%error, "cannot tell the programs of the canary");
            return Deeds::default();
        }
        let child = crate::sys::short_life().ok();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let has_opened = fs::File::open(CANARY_FILE).is_ok();
        if let Err(error) = self.probe.set_canary(None) {
            debug!(%error, "cannot tell the programs that the canary is back");
        }
        guard::deeds(child, port.ok().map(|address| address.port()), has_opened)
    }
}

/// The values of a tamper event.
pub(super) fn tampered(what: Bytes, how: String) -> Row {
    Row::default()
        .with(Field::SensorTampered, Value::List(vec![what]))
        .with(Field::SensorReason, Bytes::from(how))
}

/// Whether pids mean the same here as in the kernel's records.
fn is_in_first_pid_namespace() -> bool {
    /// `PROC_PID_INIT_INO` of include/linux/proc_ns.h.
    const FIRST: u64 = 0xeffffffc;
    fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == FIRST)
}

fn group() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// The clock that stands still while the machine sleeps.
fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |now| u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX))
}
