//! A confined probe, commands run where it looks, and waiting for what it tells.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use vedette_sensor::probe::sight::Sight;
use vedette_sensor::probe::{Probe, ProbeConfig, cgroup};
use vedette_sensor::record::{Body, Exit, Image, Record};

use crate::feed;

/// A record must have come by then, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test's body as root; else says why not.
pub(crate) fn with_root(name: &str, test: impl AsyncFnOnce(Bench)) {
    if !nix::unistd::geteuid().is_root() {
        return skip(name, "loading BPF programs needs root");
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        test(Bench::new(name)).await;
    });
}

/// Says that a test could not run here: past the harness, which keeps what a passing test prints, and on a line of
/// its own, though the harness is in the middle of one.
pub(crate) fn skip(name: &str, reason: &str) {
    std::io::stderr().lock().write_all(format!("\nSKIPPED {name}: {reason}\n").as_bytes()).unwrap();
}

/// One test's corner of the kernel; gone when it is dropped.
pub(crate) struct Bench {
    pub(crate) probe: Option<Probe>,
    pub(crate) config: ProbeConfig,
    pub(crate) group: Group,
    seen: Vec<Vec<u8>>,
}

impl Bench {
    fn new(name: &str) -> Self {
        let group = Group::new(&format!("vedette-{name}-{}", std::process::id()));
        let config = ProbeConfig {
            name: format!("test-{name}"),
            cgroup: Some(group.0.clone()),
            ..ProbeConfig::default()
        };
        Probe::unload_named(&config.name).unwrap();
        Self { probe: Some(open(&config)), config, group, seen: Vec::new() }
    }

    /// Gives the probe up without unloading it, as a sensor that ends does.
    pub(crate) fn close(&mut self) {
        self.probe = None;
    }

    /// Opens it again, as the next sensor does: what another version's programs have left is read first.
    pub(crate) fn reopen(&mut self) -> &mut Probe {
        let probe = self.probe.insert(open(&self.config));
        for earlier in probe.earlier() {
            earlier.drain(|bytes| self.seen.push(bytes.to_vec()));
        }
        probe.forget_earlier().unwrap();
        probe
    }

    pub(crate) fn probe(&mut self) -> &mut Probe {
        self.probe.as_mut().unwrap()
    }

    /// Takes what waits in the rings.
    pub(crate) fn look(&mut self) {
        let probe = self.probe.as_mut().unwrap();
        probe.drain(usize::MAX, |bytes| self.seen.push(bytes.to_vec()));
    }

    /// Leaves out what was seen so far.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Writes what was seen to the folder VEDETTE_RECORDS, if it is set: what a fuzzer begins with.
    fn keep_records(&self) {
        let Some(folder) = std::env::var_os("VEDETTE_RECORDS").map(PathBuf::from) else { return };
        for (number, some) in self.seen.chunks(8).take(64).enumerate() {
            let input = feed::input(some.iter().map(Vec::as_slice));
            let _ = std::fs::write(folder.join(format!("{}-{number}", self.config.name)), input);
        }
    }

    /// Everything seen so far.
    pub(crate) fn seen(&self) -> impl Iterator<Item = Record<'_>> {
        self.seen.iter().map(|bytes| Record::decode(bytes).unwrap())
    }

    /// Waits until something that was seen, before or from now on, gives an answer.
    pub(crate) async fn find<T>(&mut self, what: &str, mut ask: impl FnMut(&Record<'_>) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            self.look();
            if let Some(found) = self.seen().find_map(|record| ask(&record)) {
                return found;
            }
            if start.elapsed() > PATIENCE {
                for record in self.seen() {
                    eprintln!("{record:?}");
                }
                panic!("no {what} among {} records", self.seen.len());
            }
            self.probe().ready().await;
        }
    }

    /// Waits for the image of a process, and gives its record's bytes.
    pub(crate) async fn image_of(&mut self, pid: u32) -> Seen {
        self.find(&format!("image of process {pid}"), |record| match &record.body {
            Body::Image(image) if image.task.is_some_and(|task| task.key.pid == pid) => Some(record.at),
            _ => None,
        })
        .await;
        // The shell that moved into the group runs first: the last image is the command's.
        let index = self.seen().collect::<Vec<_>>().iter().rposition(|record| match &record.body {
            Body::Image(image) => image.task.is_some_and(|task| task.key.pid == pid),
            _ => false,
        });
        Seen(self.seen.get(index.unwrap()).unwrap().clone())
    }

    /// Waits for the end of a process.
    pub(crate) async fn exit_of(&mut self, pid: u32) -> Exit {
        self.find(&format!("exit of process {pid}"), |record| match record.body {
            Body::Exit(exit) if exit.task.key.pid == pid => Some(exit),
            _ => None,
        })
        .await
    }

    /// A command that moves into the group and then becomes `program`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.group.command(program)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.keep_records();
        self.probe = None;
        let removed = Probe::unload_named(&self.config.name);
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

fn open(config: &ProbeConfig) -> Probe {
    // What it warns of stands in a failing test's output.
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
    let probe = Probe::open(config).unwrap_or_else(|error| panic!("{}", chain(&error)));
    // A hook that this kernel has but does not take would pass silently.
    let btf = fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let has = |sight: &&Sight| sight.ways.iter().any(|way| way.hooks.iter().all(|hook| hook.is_in(&btf)));
    let missing: Vec<_> = probe.missing().filter(has).map(|sight| sight.name).collect();
    if !missing.is_empty() {
        // Nobody else removes what was attached.
        drop(probe);
        drop(Probe::unload_named(&config.name));
        panic!("not attached: {missing:?}; see vedette-sensor check");
    }
    probe
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n  because: ")
}

/// An image record, owned.
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    pub(crate) fn image(&self) -> Image<'_> {
        match Record::decode(&self.0).unwrap().body {
            Body::Image(image) => *image,
            other => panic!("{other:?}"),
        }
    }
}

/// A control group in the hierarchy that records are told from.
pub(crate) struct Group(pub(crate) PathBuf);

impl Group {
    pub(crate) fn new(name: &str) -> Self {
        let reported = cgroup::reported();
        let mount = cgroup::mounts().into_iter().find(|mount| mount.hierarchy == reported).unwrap();
        let path = mount.at.join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A group within this one; it must go first.
    pub(crate) fn below(&self, name: &str) -> Self {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(&self.0).arg(program);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails only while a process of a failed test still is in it.
        drop(fs::remove_dir(&self.0));
    }
}

/// A process that ends with the test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Runs to the end; gives the pid and what it printed.
pub(crate) fn run(command: &mut Command) -> (u32, Output) {
    let child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    (pid, child.wait_with_output().unwrap())
}
