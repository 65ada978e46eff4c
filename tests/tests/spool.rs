//! What waits for a collector when the host's memory goes, or its disk is full.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::group::Group;
use tests::load::{Load, RECORDS_PER_EXEC};
use tests::lone::LoneSensor;
use tests::skip::{needs_root, skip};
use tests::stack::Stack;
use tests::wait::until;

const A_MINUTE: Duration = Duration::from_secs(60);
/// Execs by which the ledger's records may differ from the missing ones: what is taken is a run of records of each CPU, which
/// begins and ends anywhere in a fork, exec and exit.
const SLACK: usize = 16;

/// The bundles of a lane below a spool's folder on disk.
fn bundles(spool: &Path, lane: &str) -> Vec<PathBuf> {
    let inside =
        |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let streams = inside(spool.to_owned()).flat_map(inside);
    let streams = streams.filter(|path| path.extension().is_some_and(|extension| extension == lane));
    let is_bundle = |path: &PathBuf| path.extension().is_none() && path.to_string_lossy().contains('-');
    streams.flat_map(inside).filter(|path| path.file_name().is_some_and(|_| is_bundle(path))).collect()
}

/// How often each of a load's execs was found.
fn found(stack: &Stack, query: &str) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for event in stack.search(query).unwrap() {
        let argument = event.pointer("/process/args/1").and_then(Value::as_str).unwrap();
        *times.entry(argument.to_owned()).or_default() += 1;
    }
    times
}

fn signal(stack: &Stack, signal: Signal) {
    let collector = *stack.pids("vedette-collector").first().unwrap();
    kill(Pid::from_raw(collector), signal).unwrap();
}

/// Waits until each exec is found or in the ledger; how many are missing, and how many records the ledger tells of.
fn all_accounted_for(stack: &Stack, sensor: &LoneSensor<'_>, query: &str, n_execs: usize) -> (usize, usize) {
    let mut seen = HashMap::new();
    let mut lost = 0;
    let is_whole = || {
        seen = found(stack, query);
        lost = sensor.lost()?;
        (seen.len() + lost / RECORDS_PER_EXEC + SLACK >= n_execs).then_some(())
    };
    let whole = tests::wait::poll(A_MINUTE, is_whole);
    assert!(
        whole.is_some(),
        "{} found, {lost} records in the ledger\n{}\n{}",
        seen.len(),
        sensor.log(),
        stack.logs()
    );
    let twice: Vec<_> = seen.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "found twice: {twice:?}");
    (n_execs - seen.len(), lost)
}

#[test]
fn what_was_durable_outlives_the_hosts_memory_and_the_rest_is_in_the_ledger() {
    const N_EXECS: usize = 6_000;
    if !needs_root("what_was_durable_outlives_the_hosts_memory_and_the_rest_is_in_the_ledger") {
        return;
    }
    let (idle, group) = (Group::new("spool-idle").unwrap(), Group::new("spool").unwrap());
    let stack = Stack::up(&["--cgroup", idle.path().to_str().unwrap()]).unwrap();
    let mut sensor = LoneSensor::enroll(&stack, &group, "spool").unwrap();
    sensor.start(&[]).unwrap();
    let started = format!("event.action:started and host.id:{}", sensor.id());
    stack.expect(&started, 1);
    // Nobody answers any more; what the sensor itself has to say is the first to go to disk.
    signal(&stack, Signal::SIGSTOP);
    until("batches go to disk", A_MINUTE, || (!bundles(&sensor.disk(), "critical").is_empty()).then_some(()));
    let mut load = Load::start(&group, N_EXECS).unwrap();
    load.reached(1_000);
    let before = bundles(&sensor.disk(), "critical").len();
    until("more of them go to disk", A_MINUTE, || {
        (bundles(&sensor.disk(), "critical").len() > before).then_some(())
    });
    sensor.kill();
    std::fs::remove_dir_all(sensor.memory()).unwrap();
    sensor.start(&[]).unwrap();
    until("the sensor runs again", A_MINUTE, || sensor.log().contains("sensor runs").then_some(()));
    signal(&stack, Signal::SIGCONT);
    let query = format!("{} and host.id:{}", load.end(&group), sensor.id());
    let (n_missing, n_lost) = all_accounted_for(&stack, &sensor, &query, N_EXECS);
    assert!(
        n_missing.abs_diff(n_lost / RECORDS_PER_EXEC) <= SLACK,
        "{n_missing} execs are missing, and the ledger tells of {n_lost} records\n{}",
        sensor.log()
    );
    assert!(n_missing > 0, "all was durable: the sensor was killed too late to show anything");
    assert!(n_missing < N_EXECS / 2, "hardly anything was durable: {n_missing} are missing");
    let told =
        stack.expect(&format!("event.action:loss and host.id:{} and sensor.reason:*memory*", sensor.id()), 1);
    let reason = told.first().unwrap().pointer("/sensor/reason").and_then(Value::as_str).unwrap().to_owned();
    assert!(reason.contains("from number"), "{reason}");
    until("the backlog is taken off the disk", A_MINUTE, || {
        bundles(&sensor.disk(), "critical").is_empty().then_some(())
    });
    println!(
        "{} of {N_EXECS} execs found once, {n_missing} missing, {n_lost} records in the ledger",
        N_EXECS - n_missing
    );
    sensor.stop();
}

#[test]
fn a_backlog_waits_on_disk_while_the_sensor_is_stopped_and_memory_is_emptied() {
    const N_EXECS: usize = 500;
    if !needs_root("a_backlog_waits_on_disk_while_the_sensor_is_stopped_and_memory_is_emptied") {
        return;
    }
    let (idle, group) = (Group::new("spool-idle").unwrap(), Group::new("spool-stop").unwrap());
    let stack = Stack::up(&["--cgroup", idle.path().to_str().unwrap()]).unwrap();
    let mut sensor = LoneSensor::enroll(&stack, &group, "spool-stop").unwrap();
    sensor.start(&[]).unwrap();
    stack.expect(&format!("event.action:started and host.id:{}", sensor.id()), 1);
    signal(&stack, Signal::SIGSTOP);
    let mut load = Load::start(&group, N_EXECS).unwrap();
    let query = format!("{} and host.id:{}", load.end(&group), sensor.id());
    // As on a shutdown of the host: what waits goes to disk before the end.
    sensor.stop();
    std::fs::remove_dir_all(sensor.memory()).unwrap();
    sensor.start(&[]).unwrap();
    signal(&stack, Signal::SIGCONT);
    assert_eq!(all_accounted_for(&stack, &sensor, &query, N_EXECS), (0, 0), "{}", sensor.log());
    sensor.stop();
}

/// A file system of so many bytes and files, taken off when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, options: &str) -> nix::Result<Self> {
        std::fs::create_dir_all(&at).unwrap();
        mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(options))?;
        Ok(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn on_a_full_disk_older_batches_give_way_and_the_sensor_goes_on() {
    const NAME: &str = "on_a_full_disk_older_batches_give_way_and_the_sensor_goes_on";
    const N_EXECS: usize = 1_500;
    if !needs_root(NAME) {
        return;
    }
    let (idle, group) = (Group::new("spool-idle").unwrap(), Group::new("spool-full").unwrap());
    let stack = Stack::up(&["--cgroup", idle.path().to_str().unwrap()]).unwrap();
    let mut sensor = LoneSensor::enroll(&stack, &group, "spool-full").unwrap();
    // It has bytes, and no room for more files than these: the kernel says ENOSPC where nobody foresees it.
    let small = match SmallDisk::mount(stack.home().join("small"), "size=64m,nr_inodes=14,mode=0700") {
        Ok(small) => small,
        Err(error) => return skip(NAME, &format!("a tmpfs cannot be mounted: {error}")),
    };
    let folder = small.0.join("spool");
    let settings =
        [("VEDETTE_SENSOR_SPOOL_DISK", folder.to_str().unwrap()), ("VEDETTE_SENSOR_SPOOL_MB", "1")];
    sensor.start(&settings).unwrap();
    stack.expect(&format!("event.action:started and host.id:{}", sensor.id()), 1);
    signal(&stack, Signal::SIGSTOP);
    let mut load = Load::start(&group, N_EXECS).unwrap();
    let query = format!("{} and host.id:{}", load.end(&group), sensor.id());
    // Something happens all the time, so that there is something to write.
    let happen = || drop(group.command("/bin/true").status());
    until("the disk is full", 2 * A_MINUTE, || {
        happen();
        sensor.log().contains("is full").then_some(())
    });
    until("older ones give way", 2 * A_MINUTE, || {
        happen();
        assert!(sensor.runs(), "{}", sensor.log());
        let streams = std::fs::read_dir(folder.join(sensor.id())).into_iter().flatten().flatten();
        let mut files =
            streams.flat_map(|stream| std::fs::read_dir(stream.path()).into_iter().flatten().flatten());
        files.any(|file| file.path().extension().is_some_and(|end| end == "shed")).then_some(())
    });
    signal(&stack, Signal::SIGCONT);
    let (n_missing, n_lost) = all_accounted_for(&stack, &sensor, &query, N_EXECS);
    until("the backlog is taken off the disk", A_MINUTE, || {
        bundles(&folder, "critical").is_empty().then_some(())
    });
    assert!(!sensor.log().contains("is closed until"), "{}", sensor.log());
    println!("{n_missing} of {N_EXECS} execs gave way; {n_lost} records in the ledger");
    sensor.stop();
}
