//! A flood of one class of events loses none of another, and takes no more memory the longer it lasts: not of the sensor, not of
//! the kernel.
//!
//! VEDETTE_SOAK=1 lets it last longer.
#![expect(clippy::unwrap_used, reason = "tests")]

mod child;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::group::Group;
use tests::skip::needs_root;
use tests::stack::program;
use tests::usage::rss_anon_kib;
use tests::wait::until;

/// How much more memory a sensor may have at the end than when the flood had lasted for half of its time, in KiB.
const MORE_KIB: u64 = 12 << 10;

/// Whether it may last long.
fn is_soak() -> bool {
    std::env::var_os("VEDETTE_SOAK").is_some()
}

/// What a sensor has told.
#[derive(Debug, Default)]
struct Told {
    /// How often, by `event.action`.
    actions: BTreeMap<String, u64>,
    /// The arguments of programs that were run.
    execs: Vec<String>,
    /// What `sensor.loss` adds up to.
    lost: u64,
    /// What it says of itself that it should not: that somebody tampers with it, that it is blind without loss.
    wrong: Vec<Value>,
}

/// One flood at a time: each takes the whole machine, and who starts a sensor gets hold of all programs of the kernel.
static ALONE: Mutex<()> = Mutex::new(());

impl Told {
    fn take(&mut self, event: &Value) {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let action = text("/event/action");
        match action {
            "exec" => {
                self.execs.extend(event.pointer("/process/args/1").and_then(Value::as_str).map(str::to_owned))
            }
            "loss" => self.lost += event.pointer("/sensor/lost").and_then(Value::as_u64).unwrap_or(0),
            "canary" if text("/event/outcome") == "success" => {}
            // A ring that is full may lose the canary of its own class like anything else.
            "canary" if text("/sensor/reason").contains("records are lost") => {}
            // Where a flood leaves it no time, it says so.
            "tamper" if text("/sensor/reason").contains("got no time") => {}
            "canary" | "tamper" => self.wrong.push(event.clone()),
            _ => {}
        }
        *self.actions.entry(action.to_owned()).or_default() += 1;
    }

    fn n(&self, action: &str) -> u64 {
        self.actions.get(action).copied().unwrap_or(0)
    }
}

/// A sensor that prints, and whoever reads that.
struct Sensor {
    child: Child,
    told: Arc<Mutex<Told>>,
    reader: Option<JoinHandle<()>>,
    name: String,
    _home: tempfile::TempDir,
}

impl Sensor {
    fn start(name: &str, group: &Group, collection: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("collection");
        std::fs::write(&file, collection).unwrap();
        let name = format!("{name}-{}", std::process::id());
        let mut child = Command::new(program("vedette-sensor"))
            .args(["run", "--to", "stdout", "--name", &name, "--home"])
            .arg(home.path())
            .arg("--cgroup")
            .arg(group.path())
            .env("VEDETTE_SENSOR_COLLECTION", &file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let (into, out) = (told.clone(), child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let event = serde_json::from_slice(&line).unwrap();
                into.lock().unwrap().take(&event);
            }
        });
        let sensor = Self { child, told, reader: Some(reader), name, _home: home };
        until("the sensor runs", Duration::from_secs(120), || {
            sensor.ask(|told| (told.n("started") > 0).then_some(()))
        });
        sensor
    }

    fn ask<T>(&self, ask: impl FnOnce(&Told) -> T) -> T {
        ask(&self.told.lock().unwrap())
    }

    fn memory(&self) -> Memory {
        Memory { sensor_kib: rss_anon_kib(self.child.id()), maps_bytes: maps_bytes(self.child.id()) }
    }

    fn end(&mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = until("the sensor ends", Duration::from_secs(120), || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        self.reader.take().unwrap().join().unwrap();
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        if self.reader.is_some() {
            drop(self.child.kill());
            drop(self.child.wait());
            drop(Command::new(program("vedette-sensor")).args(["unload", "--name", &self.name]).output());
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    sensor_kib: u64,
    maps_bytes: u64,
}

impl Memory {
    #[track_caller]
    fn is_flat_since(self, before: Memory) {
        println!("{before:?}, then {self:?}");
        assert!(self.sensor_kib <= before.sensor_kib + MORE_KIB, "{before:?}, then {self:?}");
        assert!(self.maps_bytes <= before.maps_bytes + (1 << 20), "{before:?}, then {self:?}");
    }
}

/// What the maps take that a process has open, as the kernel tells it: what really is taken since 6.4.
fn maps_bytes(pid: u32) -> u64 {
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let mut maps: BTreeMap<u64, u64> = BTreeMap::new();
    for text in infos.filter_map(|info| std::fs::read_to_string(info.path()).ok()) {
        let number =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        if let (Some(id), Some(bytes)) = (number("map_id:"), number("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    maps.values().sum()
}

#[test]
fn memory_is_flat_under_a_fork_bomb_and_every_birth_is_told_or_lost() {
    let _alone = ALONE.lock();
    if !needs_root("memory_is_flat_under_a_fork_bomb_and_every_birth_is_told_or_lost") {
        return;
    }
    let group = Group::new("forks").unwrap();
    let mut sensor = Sensor::start("forks", &group, "event.action:open and file.path:/etc/passwd\n");
    let seconds = if is_soak() { 120 } else { 20 };
    let mut bomb = child::start(&group, &["forks", &seconds.to_string()]);
    // Half of the time fills what there is to fill.
    let half = std::time::Instant::now();
    let mut n_files = 0;
    let mut open_one = || {
        let read = group.command("/bin/cat").arg("/etc/passwd").stdout(Stdio::null()).status().unwrap();
        n_files += u64::from(read.success());
    };
    while half.elapsed() < Duration::from_secs(seconds / 2) {
        open_one();
    }
    let before = sensor.memory();
    while bomb.try_wait().unwrap().is_none() {
        open_one();
    }
    let n_forks = child::answer(bomb);
    sensor.memory().is_flat_since(before);
    println!("{n_forks} births in {seconds} s, {n_files} files opened beside them");
    let whole = || {
        sensor.ask(|told| {
            // Each is born and ends; what is lost may have been either, or an exec of those that open files.
            let enough = told.n("fork") + told.n("exit") + told.lost >= 2 * n_forks;
            (enough && told.n("open") >= n_files).then_some(())
        })
    };
    until("every birth and end is told or lost", Duration::from_secs(90), whole);
    sensor.ask(|told| {
        println!("{:?}, {} lost", told.actions, told.lost);
        assert_eq!(told.n("open"), n_files, "another class lost some");
        assert!(told.wrong.is_empty(), "{:?}", told.wrong);
    });
    sensor.end();
}

#[test]
fn memory_is_flat_under_a_million_paths_and_no_exec_is_lost() {
    let _alone = ALONE.lock();
    if !needs_root("memory_is_flat_under_a_million_paths_and_no_exec_is_lost") {
        return;
    }
    let group = Group::new("paths").unwrap();
    // In memory, as the sensor is to be tried and not a disk.
    let folder = tempfile::Builder::new().prefix("vedette-flood-").tempdir_in("/dev/shm").unwrap();
    let mut sensor = Sensor::start("paths", &group, &format!("file.path:{}/*\n", folder.path().display()));
    let n_paths = if is_soak() { 1_000_000 } else { 150_000 };
    let half = (n_paths / 2).to_string();
    let at = folder.path().to_str().unwrap();
    let mut n_execs = 0;
    let mut flood = |sensor: &Sensor| {
        let mut flood = child::start(&group, &["paths", at, &half]);
        while flood.try_wait().unwrap().is_none() {
            let argument = format!("n{n_execs}");
            assert!(group.command("/bin/true").arg(argument).status().unwrap().success());
            n_execs += 1;
        }
        child::answer(flood);
        sensor.memory()
    };
    let before = flood(&sensor);
    flood(&sensor).is_flat_since(before);
    let is_told = |told: &Told| {
        let n = told.execs.iter().filter(|argument| argument.starts_with('n')).count();
        (n >= n_execs && told.n("create") + told.n("unlink") + told.lost >= 2 * n_paths).then_some(())
    };
    until("all is told or lost", Duration::from_secs(120), || sensor.ask(is_told));
    sensor.ask(|told| {
        println!("{n_paths} paths and {n_execs} execs beside them: {:?}, {} lost", told.actions, told.lost);
        let mut execs: Vec<&String> =
            told.execs.iter().filter(|argument| argument.starts_with('n')).collect();
        execs.sort();
        execs.dedup();
        assert_eq!(execs.len(), n_execs, "an exec was lost");
        assert!(told.wrong.is_empty(), "{:#?}", told.wrong);
    });
    sensor.end();
    assert!(Path::new(at).read_dir().unwrap().next().is_none());
}
