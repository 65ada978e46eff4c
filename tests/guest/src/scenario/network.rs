//! `network`: connections made, accepted, served and closed; flows of datagrams; sockets.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::getpid;

use super::Scenario;
use crate::expect::{Event, Expect, Want};
use crate::sys;

pub(super) mod accept;
pub(super) mod bind;
pub(super) mod blind;
pub(super) mod close;
pub(super) mod connect;
pub(super) mod datagram;
pub(super) mod failed;
pub(super) mod serve;
pub(super) mod socket;

/// Any free port of the loopback interface.
const LOCALHOST: &str = "127.0.0.1:0";

/// A connection, as events tell it: the source is who connected.
#[derive(Clone, Copy, Debug)]
struct Ends {
    source: SocketAddr,
    destination: SocketAddr,
}

impl Ends {
    /// Those of the connecting side's socket.
    fn of(client: &TcpStream) -> anyhow::Result<Self> {
        Ok(Self { source: client.local_addr()?, destination: client.peer_addr()? })
    }

    /// An event about it. Mapped addresses are told as what they map.
    fn event(&self, action: &str, pid: u32) -> Event {
        let ip = |address: SocketAddr| address.ip().to_canonical().to_string();
        Event::new(action)
            .by(pid)
            .with("source.ip", ip(self.source))
            .with("source.port", self.source.port())
            .with("destination.ip", ip(self.destination))
            .with("destination.port", self.destination.port())
            .with("network.transport", "tcp")
    }

    fn connect(&self, pid: u32) -> Event {
        with_numbers(self.event("connect", pid).with("network.direction", "outbound"))
    }

    fn accept(&self, pid: u32) -> Event {
        with_numbers(self.event("accept", pid).with("network.direction", "inbound"))
    }

    fn serve(&self, pid: u32) -> Event {
        with_numbers(self.event("serve", pid).with("network.direction", "inbound"))
    }

    /// The end of the connecting side's socket, with how much went either way.
    fn client_closes(&self, pid: u32, (sent, received): (u64, u64)) -> Event {
        self.closes(pid, "outbound", sent, received)
    }

    /// The end of the accepting side's socket, with how much went either way, as the connecting side counts.
    fn server_closes(&self, pid: u32, (sent, received): (u64, u64)) -> Event {
        self.closes(pid, "inbound", sent, received)
    }

    fn closes(&self, pid: u32, direction: &str, from_source: u64, from_destination: u64) -> Event {
        self.event("close", pid)
            .with("network.direction", direction)
            .with("source.bytes", from_source)
            .with("destination.bytes", from_destination)
            .with("network.bytes", from_source + from_destination)
            .want("network.packets", Want::Any)
    }

    /// What comes of a connection of a process with itself, which sent this much either way.
    fn all(&self, pid: u32, bytes: (u64, u64)) -> Expect {
        one_connection()
            .event(self.connect(pid))
            .event(self.accept(pid))
            .event(self.client_closes(pid, bytes))
            .event(self.server_closes(pid, bytes))
    }
}

/// The initial sequence numbers, by which the two ends of a connection find each other.
const NUMBERS: [&str; 2] = ["network.source_isn", "network.destination_isn"];

fn with_numbers(event: Event) -> Event {
    NUMBERS.into_iter().fold(event, |event, number| event.want(number, Want::Any))
}

/// What comes of one connection: all that is told of it has the same numbers.
fn one_connection() -> Expect {
    NUMBERS.into_iter().fold(Expect::nothing(), Expect::alike)
}

/// This process.
pub(super) fn me() -> u32 {
    getpid().as_raw() as u32
}

/// A connection of this process with itself.
fn pair(address: &str) -> anyhow::Result<(TcpStream, TcpStream, Ends)> {
    let listener = TcpListener::bind(address)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let ends = Ends::of(&client)?;
    Ok((client, listener.accept()?.0, ends))
}

/// Sends 1,000 bytes there and 500 back, and closes both.
fn exchange(mut client: TcpStream, mut server: TcpStream) -> anyhow::Result<(u64, u64)> {
    client.write_all(&[b'x'; 1000])?;
    client.shutdown(Shutdown::Write)?;
    server.read_to_end(&mut Vec::new())?;
    server.write_all(&[b'y'; 500])?;
    drop(server);
    client.read_to_end(&mut Vec::new())?;
    Ok((1000, 500))
}

/// A network namespace of this process's own, with a loopback interface.
pub(super) fn own_network() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    Ok(sys::loopback_up()?)
}
