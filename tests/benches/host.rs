//! What a sensor costs its host: CPU, memory, and the slow-down of a fork and exec loop beside bpftrace.
//!
//! Run as root by `make bench BENCH=host`. Each figure is a median of interleaved rounds in one run.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::group::Group;
use tests::skip::needs_root;
use tests::stack::{Stack, program};
use tests::wait::until;

/// The sensor's name on this host.
const NAME: &str = "bench";
const ROUNDS: usize = 5;
const EXECS_A_ROUND: usize = 2_000;
const RATES: [u64; 3] = [0, 1_000, 10_000];
const RATE_SECONDS: u64 = 8;

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
    slow_down(&host);
    load(&host);
    searchable(&host, &stack);
    memory(&host, &group);
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
    println!("\nthe sensor's own CPU and memory under execs (CPU is of one core)");
    println!("{:>14} {:>14} {:>10} {:>14}", "asked execs/s", "done execs/s", "CPU", "RssAnon KiB");
    let sensor = host.sensor();
    for rate in RATES {
        let before = cpu(sensor.id());
        let start = Instant::now();
        let end = start + Duration::from_secs(RATE_SECONDS);
        let done = if rate == 0 {
            std::thread::sleep(Duration::from_secs(RATE_SECONDS));
            0
        } else {
            paced(rate, end)
        };
        let seconds = start.elapsed().as_secs_f64();
        let used = (cpu(sensor.id()) - before).as_secs_f64() / seconds;
        println!(
            "{rate:>14} {:>14.0} {:>9.2}% {:>14}",
            done as f64 / seconds,
            used * 100.0,
            rss_anon_kib(sensor.id())
        );
    }
    host.stop(sensor);
}

fn paced(rate: u64, end: Instant) -> u64 {
    let start = Instant::now();
    let mut done = 0;
    while Instant::now() < end {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
        if done >= due {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        assert!(Command::new("/bin/true").status().unwrap().success());
        done += 1;
    }
    done
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

/// Memory with 50,000 processes alive.
fn memory(host: &Host, group: &Group) {
    const N: usize = 50_000;
    let script = format!(
        "import os, time\nfor _ in range({N}):\n    if os.fork() == 0:\n        os.pause() if hasattr(os, 'pause') else time.sleep(3600)\nprint('ready', flush=True)\ntime.sleep(3600)\n"
    );
    let sensor = host.sensor();
    let mut many =
        group.command("/usr/bin/python3").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(many.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    if line.trim() == "ready" {
        println!("\nwith {N} more processes alive: RssAnon {} KiB", rss_anon_kib(sensor.id()));
    } else {
        println!("\nSKIPPED memory with {N} processes: this machine could not fork so many");
    }
    std::fs::write(group.path().parent().unwrap().join("cgroup.procs"), std::process::id().to_string())
        .unwrap();
    let _ = many.kill();
    for pid in std::fs::read_to_string(group.path().join("cgroup.procs")).unwrap().lines() {
        let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
    }
    let _ = many.wait();
    host.stop(sensor);
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// User and system time of a process so far.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn rss_anon_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
