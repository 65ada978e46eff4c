//! A running sensor that prints its events.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::expect::text;
use crate::wait::poll;

/// How long it may take until it says that it runs, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where the BPF file system is.
const PINS: &str = "/sys/fs/bpf/vedette";

/// What it ships: of files only those that scenarios watch, of system calls those that one of them makes.
const COLLECTION: &str = "\
event.category:(process or network or dns or kernel or container or escape)
file.path:*/vedette-guest-*/watched*
event.category:syscall and event.action:(ioprio_get or syscall_499)
syscall.number:136 and not process.executable:/nowhere/*
event.action:timer_getoverrun and process.user.id:65534
event.action:getpmsg and process.executable:/nowhere/*
";

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its name on this kernel.
    pub(crate) name: String,
    /// The control group that it is confined to, if it is.
    pub(crate) confined_to: Option<PathBuf>,
}

impl Settings {
    /// Where its programs are pinned.
    pub(crate) fn pins(&self) -> PathBuf {
        Path::new(PINS).join(&self.name)
    }
}

pub(crate) struct Sensor {
    child: Child,
    /// What it prints, as it is read: the sensor never waits for who looks at it.
    printed: Receiver<Value>,
    events: RefCell<Vec<Value>>,
    reader: Option<JoinHandle<()>>,
    pins: PathBuf,
}

impl Sensor {
    /// Starts it and waits until it says that it runs.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let home = std::env::temp_dir().join(format!("vedette-guest-home-{}", std::process::id()));
        let mut command = Command::new(&settings.program);
        std::fs::create_dir_all(&home)?;
        let collection = home.join("collection");
        std::fs::write(&collection, COLLECTION)?;
        command.args(["run", "--to", "stdout", "--name", &settings.name, "--home"]).arg(home);
        command.env("VEDETTE_SENSOR_COLLECTION", collection);
        if let Some(group) = &settings.confined_to {
            command.arg("--cgroup").arg(group);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", settings.program.display()))?;
        let out = child.stdout.take().context("its output is piped")?;
        let (into, printed) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let event = serde_json::from_slice(&line).unwrap_or(Value::Null);
                // Whoever looks may be gone; the sensor is heard out.
                let _ = into.send(event);
            }
        });
        let events = RefCell::default();
        let mut sensor = Self { child, printed, events, reader: Some(reader), pins: settings.pins() };
        let mut ended = None;
        let started = poll(PATIENCE, || {
            ended = sensor.child.try_wait().ok().flatten();
            let is_start = |event: &Value| {
                text(event, "event.category") == Some("sensor")
                    && text(event, "event.action") == Some("started")
            };
            (ended.is_some() || sensor.look(|events| events.iter().any(is_start))).then_some(())
        });
        ensure!(ended.is_none(), "the sensor ended with {:?}; its own words are on the console", ended);
        started.context("the sensor did not say that it runs")?;
        Ok(sensor)
    }

    /// What it has printed so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.look(<[Value]>::to_vec)
    }

    /// Looks at what it has printed so far.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&[Value]) -> T) -> T {
        self.events.borrow_mut().extend(self.printed.try_iter());
        at(&self.events.borrow())
    }

    /// The programs that are attached now: those whose links are pinned.
    pub(crate) fn attached(&self) -> anyhow::Result<Vec<String>> {
        let folder =
            std::fs::read_dir(&self.pins).with_context(|| format!("no pins in {}", self.pins.display()))?;
        let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut programs: Vec<_> =
            names.filter_map(|name| name.strip_prefix("link_").map(str::to_owned)).collect();
        programs.sort();
        Ok(programs)
    }

    /// Ends it as a host does, and gives all that it has printed.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
        let status = self.end()?;
        ensure!(status.success(), "the sensor ended with {status}");
        ensure!(!self.pins.exists(), "the sensor has ended and left pins in {}", self.pins.display());
        Ok(self.events())
    }

    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        }
        let status = poll(PATIENCE, || self.child.try_wait().ok().flatten());
        if status.is_none() {
            self.child.kill()?;
        }
        // All that it printed has been read when its end of the pipe is closed.
        if let Some(reader) = self.reader.take() {
            reader.join().map_err(|_| anyhow!("the reader of the sensor's output panicked"))?;
        }
        status.with_context(|| format!("the sensor did not end within {PATIENCE:?} of SIGTERM"))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        drop(self.end());
    }
}
