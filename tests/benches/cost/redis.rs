//! redis-benchmark beside a server of its own, which keeps nothing on disk.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::loops::Done;
use tests::stack::free_port;
use tests::wait::until;

/// Of each of the two commands.
const REQUESTS: u64 = 60_000;
const CLIENTS: u64 = 50;

pub(crate) fn about() -> String {
    format!("redis-benchmark -t set,get -n {REQUESTS} -c {CLIENTS}, over loopback TCP")
}

pub(crate) fn run(scratch: &Path) -> anyhow::Result<Done> {
    let port = free_port()?.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
    let mut server = command.arg(scratch).stdout(Stdio::null()).spawn()?;
    until("redis listens", Duration::from_secs(10), || TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    let start = Instant::now();
    let mut client = Command::new("redis-benchmark");
    client.args(["-h", "127.0.0.1", "-p", &port, "-t", "set,get", "-q", "--csv"]);
    client.args(["-n", &REQUESTS.to_string(), "-c", &CLIENTS.to_string()]);
    let output = client.output();
    let took = start.elapsed();
    kill(Pid::from_raw(i32::try_from(server.id())?), Signal::SIGTERM)?;
    server.wait()?;
    let output = output?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && told.contains("\"GET\""), "redis-benchmark said {told}");
    Ok(Done { n: 2 * REQUESTS, took })
}
