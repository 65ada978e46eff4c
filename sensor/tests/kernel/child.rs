//! This test program once more, as a process that does one thing and ends: what no shell can do.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use vedette_sensor::probe::{Probe, ProbeConfig};
use vedette_sensor::record::{Body, Record};

use crate::bench::Bench;

const JOB: &str = "VEDETTE_TEST_JOB";

/// A command in the bench's group that does `job` with these arguments.
pub(crate) fn command(bench: &Bench, job: &str, args: &[&str]) -> Command {
    let mut command = bench.command(env::current_exe().unwrap());
    command.args(["--exact", "child::child", "--nocapture", "--test-threads=1"]);
    command.env(JOB, [&[job], args].concat().join("\n"));
    command
}

/// The same, outside of the group.
pub(crate) fn command_outside(job: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child::child", "--nocapture", "--test-threads=1"]);
    command.env(JOB, [&[job], args].concat().join("\n"));
    command
}

/// Does nothing as a test; as a child it does its job.
#[test]
fn child() {
    let Ok(job) = env::var(JOB) else { return };
    let mut words = job.split('\n');
    match words.next().unwrap() {
        "connect" => connect(words.next().unwrap(), words.next().unwrap().parse().unwrap()),
        "accept-from-stdin" => accept_from_stdin(),
        "exec-in-thread" => exec_in_thread(words.next().unwrap()),
        "end-with-threads" => end_with_threads(),
        "hold-probe" => {
            hold_probe(words.next().unwrap(), words.next().unwrap(), words.next().unwrap().parse().unwrap())
        }
        "write-file" => crate::file::write_file(words.next().unwrap()),
        "change-names" => {
            let mut next = || words.next().unwrap();
            crate::file::change_names(next(), next(), next(), next(), next());
        }
        "change-attributes" => crate::file::change_attributes(words.next().unwrap()),
        "listen" => drop(TcpListener::bind(words.next().unwrap()).unwrap()),
        "bind" => crate::bind::bind_all(),
        "socket" => crate::socket::make_all(),
        "udp-exchange" => crate::flow::exchange(),
        "udp-send" => crate::flow::send_when_told(words.next().unwrap()),
        "udp-wait" => crate::flow::wait_bound(),
        "udp-translated" => crate::flow::exchange_translated(),
        "udp-many" => {
            let n_sockets = words.next().unwrap().parse().unwrap();
            crate::flow::send_to_many(n_sockets, words.next().unwrap().parse().unwrap());
        }
        "ask" => {
            let mut next = || words.next().unwrap();
            crate::dns::ask(next(), next(), next());
        }
        "unshare" => crate::place::move_away(),
        "mount" => crate::place::mount_at(words.next().unwrap()),
        "setuid" => crate::place::give_up_root(),
        "ptrace" => seize(words.next().unwrap().parse().unwrap()),
        "upgrade" => crate::upgrade::upgrade(&words.collect::<Vec<_>>()),
        "open-pin" => crate::tamper::open_pin(words.next().unwrap()),
        "flood-files" => crate::file::flood(words.next().unwrap(), words.next().unwrap().parse().unwrap()),
        other => panic!("no job {other:?}"),
    }
}

/// Connects, sends so many bytes and reads until the other side is done.
fn connect(to: &str, n_bytes: usize) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(&vec![b'x'; n_bytes]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// Accepts one connection from the listener that the parent passed as standard input, reads all and answers.
fn accept_from_stdin() {
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    stream.write_all(&[b'y'; 500]).unwrap();
}

/// Becomes another program from a thread that is not the group's leader.
fn exec_in_thread(program: &str) {
    std::thread::scope(|scope| {
        scope.spawn(|| panic!("{}", Command::new(program).exec()));
    });
}

/// Ends while its threads are ending too, so that several of them may be the last.
fn end_with_threads() {
    let barrier = &*Box::leak(Box::new(std::sync::Barrier::new(9)));
    for _ in 0..8 {
        std::thread::spawn(|| barrier.wait());
    }
    barrier.wait();
    std::process::exit(5);
}

/// Opens a probe, takes some records, says which, and waits to be killed.
fn hold_probe(name: &str, group: &str, n_records: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = ProbeConfig { name: name.into(), cgroup: Some(group.into()), ..ProbeConfig::default() };
        let mut probe = Probe::open(&config).unwrap();
        println!("open");
        let mut taken = 0;
        while taken < n_records {
            taken += probe.drain(n_records - taken, |bytes| {
                let record = Record::decode(bytes).unwrap();
                let (at, is_touch) = (record.at, matches!(record.body, Body::Touch(_)));
                println!("took {} {} {} {}", at.class as u8, at.cpu, at.seq, u8::from(is_touch));
            });
            probe.ready().await;
        }
        println!("done");
        std::future::pending::<()>().await;
    });
}

/// Takes hold of another process, and ends.
fn seize(pid: i32) {
    nix::sys::ptrace::seize(nix::unistd::Pid::from_raw(pid), nix::sys::ptrace::Options::empty()).unwrap();
}
