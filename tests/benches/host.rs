//! What a sensor costs its host: CPU, memory, and the slow-down of a fork and exec loop beside bpftrace.
//!
//! Run as root by `make bench BENCH=host`. Each figure is a median of interleaved rounds in one run. The variable
//! `PARTS` names the parts to run, of `slow_down load searchable memory`; all of them without it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

#[path = "host/many.rs"]
mod many;
#[path = "host/tiny.rs"]
mod tiny;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use many::Many;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::group::Group;
use tests::skip::{needs_root, skip};
use tests::stack::{Stack, program};
use tests::usage::{cpu, rss_anon_kib};
use tests::wait::until;
use tiny::Deed;

/// The sensor's name on this host.
const NAME: &str = "bench";
const ROUNDS: usize = 5;
const EXECS_A_ROUND: usize = 2_000;
const RATES: [u64; 3] = [0, 1_000, 10_000];
const RATE_SECONDS: u64 = 10;
/// How many threads make the load: more than there are cores, as each waits for its child most of the time.
const WORKERS: u64 = 16;
/// How many processes the sensor is to know.
const PROCESSES: usize = 50_000;

fn main() {
    if !needs_root("bench host") {
        return;
    }
    let group = Group::new("bench").unwrap();
    let stack = Stack::up(&["--no-sensor"]).unwrap();
    let sensor_home = tempfile::tempdir_in("/var/tmp").unwrap();
    enroll(&stack, sensor_home.path());
    std::fs::write(group.path().join("cgroup.procs"), std::process::id().to_string()).unwrap();

    let host = Host { home: sensor_home.path().to_owned(), group: group.path().to_owned() };
    let wanted = std::env::var("PARTS").unwrap_or_default();
    let wants = |part: &str| wanted.is_empty() || wanted.split_whitespace().any(|name| name == part);
    if wants("slow_down") {
        slow_down(&host);
    }
    if wants("load") {
        load(&host);
    }
    if wants("searchable") {
        searchable(&host, &stack);
    }
    if wants("memory") {
        memory(&host, &stack);
    }
    let root = group.path().parent().unwrap().join("cgroup.procs");
    std::fs::write(root, std::process::id().to_string()).unwrap();
    host.unload();
}

struct Host {
    home: PathBuf,
    group: PathBuf,
}

fn enroll(stack: &Stack, home: &Path) {
    let made = stack.json(&["enroll-token", "create", "--output", "json"]).unwrap();
    let text = |name: &str| made[0][name].as_str().unwrap().to_owned();
    let mut command = Command::new(program("vedette-sensor"));
    command.args([
        "enroll",
        "--collector",
        &format!("127.0.0.1:{}", stack.port()),
        "--token",
        &text("token"),
    ]);
    command.args(["--ca-sha256", &text("ca_sha256"), "--name", NAME, "--home"]).arg(home);
    assert!(command.status().unwrap().success());
}

impl Host {
    /// Starts the sensor, outside of the group that it watches.
    fn sensor(&self) -> Child {
        let outside = self.group.parent().unwrap().join("cgroup.procs");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(r#"echo $$ > "$0" && exec "$@""#).arg(outside).arg(program("vedette-sensor"));
        command.args(["run", "--name", NAME, "--home"]).arg(&self.home).arg("--cgroup").arg(&self.group);
        let path = self.home.join("run.log");
        let log = std::fs::File::create(&path).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        until("the sensor reports", Duration::from_secs(20), || {
            std::fs::read_to_string(&path).unwrap().contains("session with").then_some(())
        });
        child
    }

    fn stop(&self, mut sensor: Child) {
        kill(Pid::from_raw(sensor.id() as i32), Signal::SIGTERM).unwrap();
        sensor.wait().unwrap();
        self.unload();
    }

    fn unload(&self) {
        let status = Command::new(program("vedette-sensor")).args(["unload", "--name", NAME]).status();
        assert!(status.unwrap().success());
    }
}

/// ns for each fork, exec and wait of /bin/true.
fn exec_loop(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
    start.elapsed().as_nanos() as f64 / n as f64
}

fn slow_down(host: &Host) {
    let mut figures = [const { Vec::new() }; 3];
    exec_loop(EXECS_A_ROUND);
    for _ in 0..ROUNDS {
        figures[0].push(exec_loop(EXECS_A_ROUND));
        let sensor = host.sensor();
        figures[1].push(exec_loop(EXECS_A_ROUND));
        host.stop(sensor);
        if let Some(bpftrace) = bpftrace() {
            figures[2].push(exec_loop(EXECS_A_ROUND));
            stop_bpftrace(bpftrace);
        }
    }
    let off = median(&mut figures[0]);
    println!(
        "fork, exec and wait of /bin/true, {EXECS_A_ROUND} a round, median of {ROUNDS} interleaved rounds"
    );
    println!("{:<28} {:>10} {:>8}", "", "µs each", "ratio");
    for (name, figures) in ["nothing", "vedette-sensor", "bpftrace, the same trace"].iter().zip(&mut figures)
    {
        if figures.is_empty() {
            println!("{name:<28} SKIPPED: bpftrace is not installed");
            continue;
        }
        let each = median(figures);
        println!("{name:<28} {:>10.1} {:>8.3}", each / 1e3, each / off);
    }
}

/// fork, exec with arguments, and exit, printed to nowhere.
fn bpftrace() -> Option<Child> {
    let trace = r#"
        tracepoint:sched:sched_process_fork { printf("fork %d %d\n", args->parent_pid, args->child_pid); }
        tracepoint:syscalls:sys_enter_execve { printf("exec %d %d %s ", pid, uid, str(args->filename)); join(args->argv); }
        tracepoint:sched:sched_process_exec { printf("image %d %s\n", pid, str(args->filename)); }
        tracepoint:sched:sched_process_exit { printf("exit %d\n", pid); }
        BEGIN { printf("ready\n"); }"#;
    let out = tempfile::NamedTempFile::new().unwrap();
    let file = out.reopen().unwrap();
    let child = Command::new("bpftrace")
        .args(["-B", "line", "-e", trace])
        .stdout(file)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    until("bpftrace traces", Duration::from_secs(30), || {
        std::fs::read_to_string(out.path()).unwrap().contains("ready").then_some(())
    });
    Some(child)
}

fn stop_bpftrace(mut bpftrace: Child) {
    let _ = kill(Pid::from_raw(bpftrace.id() as i32), Signal::SIGINT);
    bpftrace.wait().unwrap();
}

fn load(host: &Host) {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let program = dir.path().join("tiny");
    tiny::write(&program, Deed::Exit).unwrap();
    println!(
        "\nthe sensor's own CPU and memory under execs of a program that ends at once (CPU is of one core)"
    );
    println!(
        "{:>14} {:>14} {:>10} {:>12} {:>14}",
        "asked execs/s", "done execs/s", "CPU", "µs an exec", "RssAnon KiB"
    );
    let sensor = host.sensor();
    for rate in RATES {
        let (before, start) = (cpu(sensor.id()), Instant::now());
        let end = start + Duration::from_secs(RATE_SECONDS);
        let n_done = paced(&program, rate, end);
        let (used, seconds) = ((cpu(sensor.id()) - before).as_secs_f64(), start.elapsed().as_secs_f64());
        println!(
            "{rate:>14} {:>14.0} {:>9.2}% {:>12.1} {:>14}",
            n_done as f64 / seconds,
            used / seconds * 100.0,
            used * 1e6 / n_done.max(1) as f64,
            rss_anon_kib(sensor.id())
        );
    }
    host.stop(sensor);
}

/// Runs the program at this rate until `end`; how often it ran. A thread's child is started by vfork, so that
/// the load is the program's and not the copying of this process.
fn paced(program: &Path, rate: u64, end: Instant) -> u64 {
    let start = Instant::now();
    let worker = || {
        let mut n_done = 0;
        while Instant::now() < end {
            let n_due = (start.elapsed().as_secs_f64() * rate as f64) as u64 / WORKERS;
            if n_done >= n_due {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            assert!(Command::new(program).env_clear().status().unwrap().success());
            n_done += 1;
        }
        n_done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    })
}

fn searchable(host: &Host, stack: &Stack) {
    let sensor = host.sensor();
    let mut took: Vec<f64> = (0..100)
        .map(|i| {
            let mark = format!("bench-mark-{i}");
            let start = Instant::now();
            assert!(Command::new("/bin/true").arg(&mark).status().unwrap().success());
            until("the exec is found", Duration::from_secs(20), || {
                let found = stack.search(&format!("process.args:{mark} and event.action:exec")).unwrap();
                (!found.is_empty()).then_some(())
            });
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("\nexec to searchable (by `vedette search` every 50 ms, {} execs)", took.len());
    println!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", took[49], took[98], took[99]);
    host.stop(sensor);
}

/// The sensor's memory while it knows many processes: that it saw start, and that it found at its own start.
fn memory(host: &Host, stack: &Stack) {
    let sensor = host.sensor();
    println!(
        "\nthe sensor's memory with {PROCESSES} processes of {PROCESSES} command lines alive: RssAnon KiB"
    );
    println!("{:<44} {:>8}", "before them", rss_anon_kib(sensor.id()));
    let many = match Many::start(PROCESSES) {
        Ok(many) => many,
        Err(reason) => {
            host.stop(sensor);
            return skip("bench host memory", &reason);
        }
    };
    let last = format!("process.args:{} and event.action:exec", PROCESSES - 1);
    until("the last process is found", Duration::from_secs(120), || {
        (!stack.search(&last).unwrap().is_empty()).then_some(())
    });
    println!("{:<44} {:>8}", "when it has seen them start", settled(&sensor));
    host.stop(sensor);
    let sensor = host.sensor();
    println!("{:<44} {:>8}", "when it found them at its own start", settled(&sensor));
    drop(many);
    println!("{:<44} {:>8}", "when they have ended", settled(&sensor));
    host.stop(sensor);
}

/// RssAnon a while after the last event, when batches are acknowledged and grace has passed.
fn settled(sensor: &Child) -> u64 {
    std::thread::sleep(Duration::from_secs(10));
    rss_anon_kib(sensor.id())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
