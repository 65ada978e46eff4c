use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use vedette_sensor::probe::{Probe, ProbeConfig};
use vedette_sensor::record::{Body, Class};

use crate::bench::{Bench, Running, with_root};
use crate::child;

/// A shell that executes a program again and again, with `n0`, `n1` and so on as its argument, until it is told to stop.
struct Loop {
    shell: Running,
    stop: tempfile::TempDir,
}

impl Loop {
    fn start(bench: &Bench) -> Self {
        let stop = tempfile::tempdir().unwrap();
        let script = format!(
            r#"i=0; while [ ! -e {}/stop ]; do /bin/true n$i; i=$((i+1)); done; echo $i"#,
            stop.path().display()
        );
        let shell = bench.command("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
        Self { shell: Running(shell), stop }
    }

    /// How many there were.
    fn end(mut self) -> usize {
        std::fs::write(self.stop.path().join("stop"), "").unwrap();
        let mut printed = String::new();
        self.shell.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        printed.trim().parse().unwrap()
    }
}

/// Finds the exec and the end of each of a loop's programs exactly once, and no loss.
fn each_is_told_once(bench: &mut Bench, n: usize) {
    bench.look();
    let counters = bench.probe().counters().unwrap().of(Class::Process).clone();
    assert_eq!((counters.lost, counters.skipped), (0, 0), "the kernel lost some: this shows nothing");
    let mut execs: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut ends: BTreeMap<u32, usize> = BTreeMap::new();
    for record in bench.seen() {
        match record.body {
            Body::Image(image) if image.just_executed && image.args.starts_with(b"/bin/true\0n") => {
                *execs.entry(image.args.to_vec()).or_default() += 1;
                ends.entry(image.task.unwrap().key.pid).or_default();
            }
            _ => {}
        }
    }
    for record in bench.seen() {
        if let Body::Exit(exit) = record.body
            && let Some(n_ends) = ends.get_mut(&exit.task.key.pid)
        {
            *n_ends += 1;
        }
    }
    let twice: Vec<_> = execs.iter().filter(|(_, n)| **n != 1).collect();
    assert!(twice.is_empty(), "told more than once: {twice:?}");
    assert_eq!(execs.len(), n, "of {n} execs");
    let odd: Vec<_> = ends.iter().filter(|(_, n)| **n != 1).collect();
    assert!(odd.is_empty(), "their ends were told not once: {odd:?}");
}

/// Another version, as far as the kernel can tell: its programs have another constant in them.
fn other_version(config: &ProbeConfig, n: u32) -> ProbeConfig {
    ProbeConfig { unread: Duration::from_secs(1000 + u64::from(n)), ..config.clone() }
}

#[test]
fn an_upgrade_neither_loses_nor_doubles_an_exec() {
    with_root("upgrade", async |mut bench| {
        let load = Loop::start(&bench);
        let numbering = bench.probe().numbering();
        for n in 0..3 {
            bench.look();
            bench.close();
            bench.config = other_version(&bench.config, n);
            let probe = bench.reopen();
            assert!(!probe.is_reopened() && probe.numbers_go_on() && probe.numbering() == numbering);
        }
        let n = load.end();
        each_is_told_once(&mut bench, n);
    });
}

#[test]
fn an_upgrade_to_other_rings_reads_the_old_ones_to_their_end() {
    with_root("upgrade-rings", async |mut bench| {
        let load = Loop::start(&bench);
        let mut numbering = bench.probe().numbering();
        for n in [1u32, 2] {
            bench.close();
            bench.config.ring_bytes = [16 << 20, (4 << 20) * (1 + n), 4 << 20];
            let probe = bench.reopen();
            assert!(!probe.numbers_go_on() && probe.numbering() != numbering);
            numbering = probe.numbering();
        }
        let n = load.end();
        each_is_told_once(&mut bench, n);
        let pins = std::fs::read_dir(bench.probe().folder()).unwrap().flatten();
        let n_counters =
            pins.filter(|pin| pin.file_name().to_string_lossy().starts_with("counters-")).count();
        assert_eq!(n_counters, 1, "what was read is removed");
    });
}

/// Opens a probe when it is told to, and ends.
pub(crate) fn upgrade(words: &[&str]) {
    let [name, group, n, bulk] = words else { panic!("{words:?}") };
    println!("thread {}", nix::unistd::gettid());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let config = ProbeConfig { name: (*name).into(), cgroup: Some(group.into()), ..ProbeConfig::default() };
    let mut config = other_version(&config, n.parse().unwrap());
    let [_, bulk_ring, _] = &mut config.ring_bytes;
    *bulk_ring = bulk.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(Probe::open(&config).unwrap()) });
    println!("open");
}

/// Lets a process upgrade the probe and kills it at its `at`th bpf(2). How many it had made.
#[cfg(target_arch = "x86_64")]
fn killed_upgrade(bench: &Bench, version: u32, bulk: u32, at: usize) -> usize {
    let group = bench.group.0.to_str().unwrap();
    let mut command = child::command_outside(
        "upgrade",
        &[&bench.config.name, group, &version.to_string(), &bulk.to_string()],
    );
    let mut upgrade = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(upgrade.stdout.take().unwrap()).lines().map(Result::unwrap);
    let thread = lines.find_map(|line| Some(line.split_once("thread ")?.1.to_owned())).unwrap();
    let thread = Pid::from_raw(thread.trim().parse().unwrap());
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(thread, options).unwrap();
    ptrace::interrupt(thread).unwrap();
    let wait = || waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    wait();
    upgrade.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let (mut n_calls, mut is_entry) = (0, true);
    while n_calls < at {
        ptrace::syscall(thread, None).unwrap();
        match wait() {
            WaitStatus::PtraceSyscall(_) => {
                let is_bpf = ptrace::getregs(thread).unwrap().orig_rax == nix::libc::SYS_bpf.cast_unsigned();
                n_calls += usize::from(is_entry && is_bpf);
                is_entry = !is_entry;
            }
            WaitStatus::Exited(..) => break,
            _ => {}
        }
    }
    drop(upgrade.kill());
    // What is traced is the tracer's to wait for, before the rest of its process can be.
    while waitpid(thread, Some(WaitPidFlag::__WALL)).is_ok_and(|status| status.pid().is_some()) {}
    drop(upgrade.wait());
    n_calls
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_upgrade_that_is_killed_at_any_step_neither_loses_nor_doubles_an_exec() {
    with_root("upgrade-kill", async |mut bench| {
        bench.close();
        let n_calls = killed_upgrade(&bench, 1, 8 << 20, usize::MAX);
        assert!(n_calls > 100, "{n_calls} calls of bpf(2)");
        bench.reopen();
        bench.look();
        let load = Loop::start(&bench);
        // Each time another version, of which every other one has other rings. How many calls one makes is not always the same:
        // the last may have ended before.
        let mut n_killed = 0;
        for n in 1..=8u32 {
            bench.close();
            let bulk = if n.is_multiple_of(2) { 8 << 20 } else { 16 << 20 };
            let at = n_calls * n as usize / 9;
            n_killed += u32::from(killed_upgrade(&bench, 10 + n, bulk, at) == at);
        }
        assert!(n_killed >= 6, "only {n_killed} of 8 were killed before they ended");
        bench.reopen();
        let n = load.end();
        each_is_told_once(&mut bench, n);
    });
}
