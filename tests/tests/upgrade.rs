//! A sensor is replaced by one of another make while programs are run: each is found once, and the ledger knows of no loss.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::group::Group;
use tests::load::Load;
use tests::skip::needs_root;
use tests::stack::{Stack, program};
use tests::wait::until;

const N_EXECS: usize = 2_500;

/// A sensor of the product's fleet that is started and ended by the test.
struct Sensor<'a> {
    stack: &'a Stack,
    group: &'a Group,
    name: String,
    id: String,
    child: Option<Child>,
}

impl Sensor<'_> {
    /// Rings of another size are rings of another make: another version's programs need others, too.
    fn start(&mut self, ring_mb: u32) {
        let log = std::fs::File::create(self.stack.home().join(format!("log/upgrade-{ring_mb}"))).unwrap();
        let child = Command::new(program("vedette-sensor"))
            .args(["run", "--name", &self.name, "--home"])
            .arg(self.stack.home())
            .arg("--cgroup")
            .arg(self.group.path())
            .env("VEDETTE_SENSOR_PROCESS_RING_MB", ring_mb.to_string())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = until("the sensor ends", Duration::from_secs(60), || child.try_wait().unwrap());
        assert!(status.success(), "{status}\n{}", self.stack.logs());
    }

    /// What the ledger says was lost, dropped or rejected.
    fn lost(&self) -> u64 {
        let shown = self.stack.json(&["hosts", "show", &self.id, "--output", "json"]).unwrap();
        let streams = shown.first().unwrap().get("streams").unwrap().as_array().unwrap();
        let counts =
            streams.iter().flat_map(|stream| ["lost", "dropped", "rejected"].map(|name| &stream[name]));
        counts.map(|count| count.as_u64().unwrap()).sum()
    }
}

impl Drop for Sensor<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        drop(Command::new(program("vedette-sensor")).args(["unload", "--name", &self.name]).output());
    }
}

#[test]
fn a_sensor_of_another_make_goes_on_where_the_one_before_was() {
    if !needs_root("a_sensor_of_another_make_goes_on_where_the_one_before_was") {
        return;
    }
    let (idle, group) = (Group::new("upgrade-idle").unwrap(), Group::new("upgrade").unwrap());
    let stack = Stack::up(&["--cgroup", idle.path().to_str().unwrap()]).unwrap();
    let name = format!("upgrade-{}", std::process::id());
    let id = stack.enroll(&name).unwrap();
    let mut sensor = Sensor { stack: &stack, group: &group, name, id, child: None };
    sensor.start(8);
    let started = format!("event.action:started and host.id:{}", sensor.id);
    stack.expect(&started, 1);
    let mut load = Load::start(&group, N_EXECS).unwrap();
    for (n, ring_mb) in [(1, 16), (2, 8), (3, 32)] {
        load.reached(600 * n);
        sensor.stop();
        sensor.start(ring_mb);
        stack.expect(&started, n + 1);
    }
    let query = format!("{} and host.id:{}", load.end(&group), sensor.id);
    let found = until("every exec is found", Duration::from_secs(60), || {
        let found = stack.search(&query).unwrap();
        (found.len() >= N_EXECS).then_some(found)
    });
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &found {
        *times.entry(event.pointer("/process/args/1").and_then(Value::as_str).unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty() && times.len() == N_EXECS, "{} found, twice: {twice:?}", times.len());
    assert_eq!(sensor.lost(), 0, "{}", stack.logs());
    let reasons = stack.search(&started).unwrap();
    let upgraded = |event: &&Value| {
        event
            .pointer("/sensor/reason")
            .and_then(Value::as_str)
            .is_some_and(|why| why.starts_with("programs replaced"))
    };
    assert_eq!(reasons.iter().filter(upgraded).count(), 3, "{reasons:#?}");
    sensor.stop();
}
