//! This test program once more, as a process that does one thing as fast as it goes.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use tests::group::Group;

const JOB: &str = "VEDETTE_TEST_JOB";
/// How many processes make others at the same time.
const MAKERS: usize = 4;

/// Starts it in the group; what it prints last is its answer.
pub(crate) fn start(group: &Group, words: &[&str]) -> Child {
    let mut command: Command = group.command(env::current_exe().unwrap());
    command.args(["--exact", "child::child", "--nocapture", "--test-threads=1"]);
    command.env(JOB, words.join("\n")).stdout(Stdio::piped()).spawn().unwrap()
}

/// What it has printed.
pub(crate) fn answer(child: Child) -> u64 {
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().find_map(|line| line.split_once("answer ")?.1.trim().parse().ok()).unwrap()
}

/// Does nothing as a test; as a child it does its job.
#[test]
fn child() {
    let Ok(job) = env::var(JOB) else { return };
    let answer = match job.split('\n').collect::<Vec<_>>().as_slice() {
        ["forks", seconds] => forks(seconds.parse().unwrap()),
        ["paths", folder, n] => paths(Path::new(folder), n.parse().unwrap()),
        other => panic!("no job {other:?}"),
    };
    println!("answer {answer}");
}

/// Processes that are born and end, for so many seconds; how many there were.
fn forks(seconds: u64) -> u64 {
    let until = Instant::now() + Duration::from_secs(seconds);
    let counts = tempfile::tempdir().unwrap();
    let makers: Vec<_> = (0..MAKERS)
        .map(|maker| {
            let count = counts.path().join(maker.to_string());
            born(|| {
                let mut n = 0u64;
                while Instant::now() < until {
                    waitpid(born(|| {}), None).unwrap();
                    n += 1;
                }
                fs::write(&count, n.to_string()).unwrap();
            })
        })
        .collect();
    let all = makers.into_iter().enumerate().map(|(maker, pid)| {
        waitpid(pid, None).unwrap();
        fs::read_to_string(counts.path().join(maker.to_string())).unwrap().parse::<u64>().unwrap() + 1
    });
    all.sum()
}

fn born(task: impl FnOnce()) -> nix::unistd::Pid {
    #[expect(unsafe_code, reason = "a process that is only born and ends")]
    // SAFETY: the child takes no lock that another thread of its parent may hold: it writes a small file at most, and ends
    // without running anything else.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            task();
            // SAFETY: it takes a number and does not return.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

/// Files that are made and removed, each with a path of its own; how many there were.
fn paths(folder: &Path, n: u64) -> u64 {
    for number in 0..n {
        let path = folder.join(format!("{:x}-{number}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        drop(fs::File::create(&path).unwrap());
        fs::remove_file(&path).unwrap();
    }
    n
}
