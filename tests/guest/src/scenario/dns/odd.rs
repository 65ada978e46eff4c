//! What is sent to a DNS server in a way that resolvers do not use, and what is no DNS.

use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use super::message::{A, Said, framed, query};
use super::{
    LOOPBACK, NAME, asks, both, event, is_answered, is_told, me, own_network, receive, server, tcp_server,
};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Scenario;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "no DNS", about: "A datagram to port 53 that is no DNS message.", play: no_dns },
    Scenario { name: "no DNS over TCP", about: "A line of text over TCP to port 53.", play: no_dns_over_tcp },
    Scenario {
        name: "control characters",
        about: "A name with an escape sequence and a NUL in it.",
        play: control_characters,
    },
    Scenario {
        name: "connected elsewhere",
        about: "A socket that is connected to another port sends a datagram to port 53.",
        play: elsewhere,
    },
    Scenario {
        name: "extension headers",
        about: "A query with destination options between the headers of IPv6 and UDP.",
        play: extension_headers,
    },
    Scenario {
        name: "UDP_SEGMENT",
        about: "Two queries are sent as one, which the kernel cuts into datagrams.",
        play: segments,
    },
    Scenario { name: "MSG_FASTOPEN", about: "sendto(2) connects and asks over TCP.", play: fast_open },
    Scenario {
        name: "raw socket",
        about: "A query from a raw socket, with a UDP header of its own.",
        play: raw,
    },
    Scenario {
        name: "inherited socket",
        about: "A child asks through a socket that its parent has connected.",
        play: inherited,
    },
];

/// A message that is none, as an event.
fn nonsense(pid: u32, transport: &str) -> Event {
    event("query", pid, (LOOPBACK, 53).into(), transport)
        .with("event.outcome", "failure")
        .with("error.code", "EBADMSG")
        .want("dns.question.name", Want::Absent)
}

fn no_dns(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let _server = UdpSocket::bind((LOOPBACK, 53))?;
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", (LOOPBACK, 53))?;
    Ok(Expect::nothing().event(nonsense(me(), "udp")))
}

fn no_dns_over_tcp(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let _server = TcpListener::bind((LOOPBACK, 53))?;
    let mut client = TcpStream::connect((LOOPBACK, 53))?;
    client.write_all(b"id; uname -a; cat /etc/shadow\n")?;
    client.write_all(b"exit\n")?;
    Ok(Expect::nothing().event(nonsense(me(), "tcp")))
}

fn control_characters(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let _server = UdpSocket::bind((LOOPBACK, 53))?;
    UdpSocket::bind("0.0.0.0:0")?.send_to(&query(7, "\x1b[2J\0.EXAMPLE", A), (LOOPBACK, 53))?;
    Ok(Expect::nothing().event(asks(me(), LOOPBACK, "udp", "\\027[2j\\000.example")))
}

fn elsewhere(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = server(LOOPBACK, 1, Said::Address)?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.connect((LOOPBACK, 9))?;
    let to = SockaddrIn::from(SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 53));
    sendto(client.as_raw_fd(), &query(7, NAME, A), &to, MsgFlags::empty())?;
    wait(server)?.with_code(0)?;
    // The answer comes from another port than the socket is connected to, so the socket does not get it.
    Ok(Expect::nothing().event(asks(me(), LOOPBACK, "udp", NAME)))
}

fn extension_headers(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let at = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let server = server(at, 1, Said::Address)?;
    let client = UdpSocket::bind("[::]:0")?;
    // Next header, length, and an option that only fills (RFC 8200, 4.2).
    sys::set_option_bytes(client.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, &[0, 0, 1, 4, 0, 0, 0, 0])?;
    client.send_to(&query(7, NAME, A), (at, 53))?;
    is_answered(&client)?;
    wait(server)?.with_code(0)?;
    Ok(both(me(), at, "udp"))
}

fn segments(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = server(LOOPBACK, 2, Said::Address)?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    let all = [query(7, "aa.example", A), query(8, "bb.example", A)].concat();
    sys::set_option(client.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, all.len() as i32 / 2)?;
    client.send_to(&all, (LOOPBACK, 53))?;
    is_answered(&client)?;
    is_answered(&client)?;
    wait(server)?.with_code(0)?;
    let all = ["aa.example", "bb.example"].into_iter().fold(Expect::nothing(), |all, name| {
        all.event(asks(me(), LOOPBACK, "udp", name)).event(is_told(me(), LOOPBACK, "udp", name))
    });
    Ok(all)
}

fn fast_open(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = tcp_server(1)?;
    let client =
        TcpStream::from(socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?);
    let to = SockaddrIn::from(SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 53));
    let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    sendto(client.as_raw_fd(), &framed(&query(7, NAME, A)), &to, flags)?;
    receive(&mut { client })?;
    wait(server)?.with_code(0)?;
    Ok(both(me(), LOOPBACK, "tcp"))
}

fn raw(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let _server = UdpSocket::bind((LOOPBACK, 53))?;
    let flags = SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Udp)?;
    let message = query(7, NAME, A);
    // Source port, destination port, length, and no checksum.
    let header = [40000u16, 53, 8 + message.len() as u16, 0].map(u16::to_be_bytes).concat();
    let to = SockaddrIn::from(SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));
    sendto(client.as_raw_fd(), &[header, message].concat(), &to, MsgFlags::empty())?;
    Ok(Expect::nothing().event(asks(me(), LOOPBACK, "udp", NAME).with("source.port", 40000)))
}

fn inherited(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let server = server(LOOPBACK, 1, Said::Address)?;
    let client = UdpSocket::bind("0.0.0.0:0")?;
    client.connect((LOOPBACK, 53))?;
    let asker = sys::fork(|| {
        client.send(&query(7, NAME, A))?;
        is_answered(&client)?;
        Ok(0)
    })?;
    let pid = wait(asker)?.with_code(0)?.pid;
    wait(server)?.with_code(0)?;
    let reason = "what goes through a socket that another process has connected is told as that one's";
    Ok(both(me(), LOOPBACK, "udp").unseen(asks(pid, LOOPBACK, "udp", NAME), reason))
}
