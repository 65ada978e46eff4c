//! `dns`: who asks for which name, and what is answered. The server is a child of who asks: it is not told of.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use anyhow::ensure;
use io_uring::{opcode, types};
use nix::unistd::Pid;

use super::Scenario;
use super::network::{me, own_network};
use crate::expect::{Event, Expect};
use crate::stage::{Stage, wait};
use crate::sys;
use message::{A, Said, answer, framed, query};

mod message;
pub(super) mod odd;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "UDP",
        about: "A process connects a socket to a DNS server, asks and is answered.",
        play: connected,
    },
    Scenario { name: "sendto", about: "The same without connect(2).", play: unconnected },
    Scenario { name: "IPv6", about: "The same over IPv6.", play: ipv6 },
    Scenario {
        name: "IPv4-mapped",
        about: "A datagram from an IPv6 socket to ::ffff:127.0.0.1; it is told as IPv4.",
        play: mapped,
    },
    Scenario { name: "no such name", about: "The server does not know the name.", play: no_name },
    Scenario {
        name: "TCP",
        about: "Two names are asked for over one TCP connection, byte by byte.",
        play: over_tcp,
    },
    Scenario {
        name: "too much for a datagram",
        about: "The server's datagram says that it is truncated, and the process asks again over TCP.",
        play: truncated,
    },
    Scenario {
        name: "forwarder",
        about: "A process asks a local resolver, which asks another one.",
        play: forwarded,
    },
    Scenario { name: "nslookup", about: "busybox asks for the addresses of a name.", play: looked_up },
    Scenario { name: "io_uring", about: "io_uring sends the query and receives the answer.", play: by_uring },
];

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NAME: &str = "www.example.org";

/// A server at this address that answers so many datagrams and ends.
fn server(at: IpAddr, n_answers: usize, said: Said) -> anyhow::Result<Pid> {
    let socket = UdpSocket::bind((at, 53))?;
    Ok(sys::fork(move || {
        for _ in 0..n_answers {
            let mut buffer = [0; 512];
            let (n, from) = socket.recv_from(&mut buffer)?;
            socket.send_to(&answer(buffer.get(..n).unwrap_or_default(), said), from)?;
        }
        Ok(0)
    })?)
}

/// The same over TCP, with one connection.
fn tcp_server(n_answers: usize) -> anyhow::Result<Pid> {
    let listener = TcpListener::bind((LOOPBACK, 53))?;
    Ok(sys::fork(move || {
        let mut connection = listener.accept()?.0;
        for _ in 0..n_answers {
            let asked = receive(&mut connection)?;
            connection.write_all(&framed(&answer(&asked, Said::Address)))?;
        }
        Ok(0)
    })?)
}

/// One message from a TCP connection.
fn receive(connection: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 2];
    connection.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut message)?;
    Ok(message)
}

/// Waits for an answer.
fn is_answered(socket: &UdpSocket) -> anyhow::Result<()> {
    ensure!(socket.recv(&mut [0; 512])? > 12, "no answer came");
    Ok(())
}

/// An event of a process that asks this server.
fn event(action: &str, pid: u32, server: SocketAddr, transport: &str) -> Event {
    Event::new(action)
        .by(pid)
        .with("destination.ip", server.ip().to_canonical().to_string())
        .with("destination.port", server.port())
        .with("network.transport", transport)
}

fn asks(pid: u32, server: IpAddr, transport: &str, name: &str) -> Event {
    event("query", pid, (server, 53).into(), transport)
        .with("dns.question.name", name)
        .with("dns.question.type", "A")
        .with("event.outcome", "success")
}

fn is_told(pid: u32, server: IpAddr, transport: &str, name: &str) -> Event {
    event("answer", pid, (server, 53).into(), transport)
        .with("dns.question.name", name)
        .with("dns.response_code", "NOERROR")
        .with("dns.answers", vec!["192.0.2.1"])
        .with("event.outcome", "success")
}

/// What comes of a name asked for and told.
fn both(pid: u32, server: IpAddr, transport: &str) -> Expect {
    Expect::nothing().event(asks(pid, server, transport, NAME)).event(is_told(pid, server, transport, NAME))
}

fn connected(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    ask_connected(LOOPBACK)?;
    Ok(both(me(), LOOPBACK, "udp"))
}

fn ipv6(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = IpAddr::V6(Ipv6Addr::LOCALHOST);
    ask_connected(server)?;
    Ok(both(me(), server, "udp"))
}

fn ask_connected(at: IpAddr) -> anyhow::Result<()> {
    let server = server(at, 1, Said::Address)?;
    let client = UdpSocket::bind(if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    client.connect((at, 53))?;
    client.send(&query(7, NAME, A))?;
    is_answered(&client)?;
    wait(server)?.with_code(0).map(drop)
}

fn unconnected(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    ask_by_sendto("0.0.0.0:0", LOOPBACK)
}

fn mapped(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    ask_by_sendto("[::]:0", IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()))
}

fn ask_by_sendto(from: &str, to: IpAddr) -> anyhow::Result<Expect> {
    let server = server(LOOPBACK, 1, Said::Address)?;
    let client = UdpSocket::bind(from)?;
    client.send_to(&query(7, NAME, A), (to, 53))?;
    is_answered(&client)?;
    wait(server)?.with_code(0)?;
    let told = both(me(), LOOPBACK, "udp");
    Ok(told)
}

fn no_name(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = server(LOOPBACK, 1, Said::NoName)?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.send_to(&query(7, "nowhere.example.org", A), (LOOPBACK, 53))?;
    is_answered(&client)?;
    wait(server)?.with_code(0)?;
    let refused = event("answer", me(), (LOOPBACK, 53).into(), "udp")
        .with("dns.question.name", "nowhere.example.org")
        .with("dns.response_code", "NXDOMAIN")
        .with("event.outcome", "failure");
    Ok(Expect::nothing().event(asks(me(), LOOPBACK, "udp", "nowhere.example.org")).event(refused))
}

fn over_tcp(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = tcp_server(2)?;
    let mut client = TcpStream::connect((LOOPBACK, 53))?;
    client.set_nodelay(true)?;
    let both = [framed(&query(7, NAME, A)), framed(&query(8, "two.example.org", A))].concat();
    for byte in both {
        client.write_all(&[byte])?;
    }
    receive(&mut client)?;
    receive(&mut client)?;
    wait(server)?.with_code(0)?;
    let names = [NAME, "two.example.org"];
    let all = names.into_iter().fold(Expect::nothing(), |all, name| {
        all.event(asks(me(), LOOPBACK, "tcp", name)).event(is_told(me(), LOOPBACK, "tcp", name))
    });
    Ok(all)
}

fn truncated(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let servers = [server(LOOPBACK, 1, Said::Truncated)?, tcp_server(1)?];
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.connect((LOOPBACK, 53))?;
    client.send(&query(7, NAME, A))?;
    is_answered(&client)?;
    let mut again = TcpStream::connect((LOOPBACK, 53))?;
    again.write_all(&framed(&query(8, NAME, A)))?;
    receive(&mut again)?;
    for server in servers {
        wait(server)?.with_code(0)?;
    }
    let cut = event("answer", me(), (LOOPBACK, 53).into(), "udp")
        .with("dns.question.name", NAME)
        .with("dns.response_code", "NOERROR")
        .with("dns.header_flags", vec!["TC", "RD", "RA"]);
    Ok(both(me(), LOOPBACK, "tcp").event(asks(me(), LOOPBACK, "udp", NAME)).event(cut))
}

fn forwarded(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let near = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
    let far = server(LOOPBACK, 1, Said::Address)?;
    let socket = UdpSocket::bind((near, 53))?;
    let forwarder = sys::fork(move || {
        let mut buffer = [0; 512];
        let (n, from) = socket.recv_from(&mut buffer)?;
        let upstream = UdpSocket::bind("0.0.0.0:0")?;
        upstream.send_to(buffer.get(..n).unwrap_or_default(), (LOOPBACK, 53))?;
        let n = upstream.recv(&mut buffer)?;
        socket.send_to(buffer.get(..n).unwrap_or_default(), from)?;
        Ok(0)
    })?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.connect((near, 53))?;
    client.send(&query(7, NAME, A))?;
    is_answered(&client)?;
    wait(far)?.with_code(0)?;
    let pid = wait(forwarder)?.with_code(0)?.pid;
    let all = both(me(), near, "udp");
    Ok(all.event(asks(pid, LOOPBACK, "udp", NAME)).event(is_told(pid, LOOPBACK, "udp", NAME)))
}

fn looked_up(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    // It asks for both kinds of address.
    let server = server(LOOPBACK, 2, Said::Address)?;
    let mut command = Command::new("/bin/busybox");
    command.args(["nslookup", NAME, "127.0.0.1"]).stdout(Stdio::null()).stderr(Stdio::null());
    let client = crate::stage::run(&mut command)?;
    wait(server)?.with_code(0)?;
    let all = ["A", "AAAA"].into_iter().fold(Expect::nothing(), |all, kind| {
        let of_kind = |action| {
            event(action, client.pid, (LOOPBACK, 53).into(), "udp")
                .with("dns.question.name", NAME)
                .with("dns.question.type", kind)
        };
        all.event(of_kind("query")).event(of_kind("answer").with("dns.answers", vec!["192.0.2.1"]))
    });
    Ok(all)
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = server(LOOPBACK, 1, Said::Address)?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.connect((LOOPBACK, 53))?;
    let (asked, mut told) = (query(7, NAME, A), [0; 512]);
    let fd = types::Fd(client.as_raw_fd());
    let sent = sys::uring(&opcode::Send::new(fd, asked.as_ptr(), asked.len() as u32).build())?;
    ensure!(sent as usize == asked.len(), "only {sent} bytes were sent");
    ensure!(sys::uring(&opcode::Recv::new(fd, told.as_mut_ptr(), 512).build())? > 12, "no answer came");
    wait(server)?.with_code(0)?;
    Ok(both(me(), LOOPBACK, "udp"))
}
