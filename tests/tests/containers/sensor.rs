//! A sensor that prints its events, confined to a place.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::stack::program;

use crate::place::Place;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running sensor, and what it has printed so far.
pub(crate) struct Sensor {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Sensor {
    /// One that asks these sources for names; it runs when this returns.
    pub(crate) fn start(place: &Place, sources: &[String]) -> Self {
        let settings = format!("container_sources = {sources:?}\nhash = false\n");
        Self::with_settings(place, &settings)
    }

    /// The same with these settings.
    pub(crate) fn with_settings(place: &Place, settings: &str) -> Self {
        let file = place.path("sensor.toml");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program("vedette-sensor"));
        command.args(["run", "--to", "stdout", "--name", &name(place)]).arg("--config").arg(file);
        command.arg("--cgroup").arg(place.group.path()).arg("--home").arg(place.path("home"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                drop(sender.send(serde_json::from_str(&line).unwrap()));
            }
        });
        let mut sensor = Self { child, lines, seen: Vec::new() };
        sensor.find("that it runs", |event| is(event, "sensor", "started"));
        sensor
    }

    /// Waits until it tells of something, or has told of it.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut n_looked_at = 0;
        loop {
            if let Some(found) = self.seen.iter().skip(n_looked_at).find(|event| wanted(event)) {
                return found.clone();
            }
            n_looked_at = self.seen.len();
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => self.seen.push(event),
                Err(_) => panic!("nothing is told of {what}: {}", self.words()),
            }
        }
    }

    /// Waits for the start of a container.
    pub(crate) fn start_of(&mut self, id: &str) -> Value {
        self.find("a start", |event| is(event, "container", "start") && text(event, "container.id") == id)
    }

    /// Waits for its stop.
    pub(crate) fn stop_of(&mut self, id: &str) -> Value {
        self.find("a stop", |event| is(event, "container", "stop") && text(event, "container.id") == id)
    }

    /// Waits for an exec with these arguments.
    pub(crate) fn exec_of(&mut self, words: &[&str]) -> Value {
        self.find("an exec", |event| {
            is(event, "process", "exec") && field(event, "process.args") == &serde_json::json!(words)
        })
    }

    /// Ends it; the answer is all that it has told.
    pub(crate) fn end(mut self) -> Vec<Value> {
        self.signal(Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
        while let Ok(event) = self.lines.recv() {
            self.seen.push(event);
        }
        std::mem::take(&mut self.seen)
    }

    /// Kills it: its programs run on.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal);
    }

    fn words(&self) -> String {
        let line = |event: &Value| {
            let words =
                ["event.category", "event.action", "process.executable", "container.id", "container.name"];
            words.map(|name| field(event, name).to_string()).join(" ")
        };
        self.seen.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::SIGTERM);
            drop(self.child.wait());
        }
    }
}

/// What `vedette-sensor check` says of the names of containers with these settings.
pub(crate) fn check(place: &Place, settings: &str) -> Value {
    let file = place.path("check.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(program("vedette-sensor"));
    let out = command.args(["check", "--output", "json", "--config"]).arg(file).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    field(&report, "containers").clone()
}

/// Removes the programs of a sensor that was killed.
pub(crate) fn unload(place: &Place) {
    let unload = Command::new(program("vedette-sensor")).args(["unload", "--name", &name(place)]).output();
    assert!(unload.unwrap().status.success());
}

fn name(place: &Place) -> String {
    place.group.path().file_name().unwrap().to_str().unwrap().to_owned()
}

/// A source of names.
pub(crate) fn source(runtime: &str, path: &Path) -> String {
    format!("{runtime}:{}", path.display())
}

/// A field of an event; null where it has none.
pub(crate) fn field<'a>(event: &'a Value, name: &str) -> &'a Value {
    name.split('.').fold(event, |value, key| value.get(key).unwrap_or(&Value::Null))
}

/// A text of an event; empty where it has none.
pub(crate) fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    field(event, name).as_str().unwrap_or_default()
}

pub(crate) fn is(event: &Value, category: &str, action: &str) -> bool {
    text(event, "event.category") == category && text(event, "event.action") == action
}
