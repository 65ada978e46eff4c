//! Connections that are asked for and not made.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use io_uring::{opcode, types};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    Backlog, MsgFlags, SockaddrIn, SockaddrLike as _, bind, connect, getsockname, listen, sendto,
};

use super::connect::{mptcp_socket, stream_socket};
use super::{LOCALHOST, Scenario, me, own_network};
use crate::expect::{Event, Expect, Want};
use crate::stage::Stage;
use crate::sys;
use crate::wait::poll;

/// How long the kernel may take to put a connection into its listener's queue.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "refused", about: "A connection is refused.", play: refused },
    Scenario { name: "refused to io_uring", about: "io_uring's connection is refused.", play: by_uring },
    Scenario {
        name: "refused to MSG_FASTOPEN",
        about: "sendto(2) connects, and is refused; once more with data in the SYN.",
        play: fast_open,
    },
    Scenario {
        name: "refused to MPTCP",
        about: "A connection of multipath TCP is refused.",
        play: multipath,
    },
    Scenario {
        name: "timed out",
        about: "Nobody answers: a listener's queue is full, in a network namespace.",
        play: timed_out,
    },
    Scenario {
        name: "given up",
        about: "A process closes its socket before there is a connection, in the same place.",
        play: given_up,
    },
    Scenario { name: "no route", about: "connect(2) finds no way to send even one packet.", play: no_route },
];

/// What comes of an attempt of this process's.
fn attempt(to: SocketAddr, error: Want) -> Event {
    Event::new("connect")
        .by(me())
        .with("destination.ip", to.ip().to_string())
        .with("destination.port", to.port())
        .with("network.transport", "tcp")
        .with("event.outcome", "failure")
        .want("error.code", error)
}

fn is(error: &str) -> Want {
    Want::Is(error.into())
}

/// An address where nobody listens.
fn nobody() -> anyhow::Result<(SocketAddr, SockaddrIn)> {
    let SocketAddr::V4(nobody) = TcpListener::bind(LOCALHOST)?.local_addr()? else {
        anyhow::bail!("not an IPv4 socket")
    };
    Ok((nobody.into(), nobody.into()))
}

fn refused(_: &Stage) -> anyhow::Result<Expect> {
    let (nobody, _) = nobody()?;
    ensure!(TcpStream::connect(nobody).is_err(), "somebody listens at {nobody}");
    Ok(Expect::nothing().event(attempt(nobody, is("ECONNREFUSED"))))
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    let (nobody, to) = nobody()?;
    let client = stream_socket()?;
    let entry = opcode::Connect::new(types::Fd(client.as_raw_fd()), to.as_ptr(), to.len()).build();
    ensure!(sys::uring(&entry).is_err(), "somebody listens at {nobody}");
    Ok(Expect::nothing().event(attempt(nobody, is("ECONNREFUSED"))))
}

fn fast_open(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let (nobody, to) = nobody()?;
    // 1: clients may; 4: without a cookie, so that data goes with the SYN.
    for allowed in ["1", "5"] {
        fs::write("/proc/sys/net/ipv4/tcp_fastopen", allowed)?;
        let client = stream_socket()?;
        let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
        // With data in the SYN the call does not wait for the answer; closing the socket then finds out.
        let sent = sendto(client.as_raw_fd(), b"0123456789", &to, flags);
        ensure!(matches!(sent, Ok(10) | Err(Errno::ECONNREFUSED)), "{sent:?}");
    }
    Ok(Expect::nothing().event(attempt(nobody, is("ECONNREFUSED")).times(2)))
}

fn multipath(_: &Stage) -> anyhow::Result<Expect> {
    let (nobody, to) = nobody()?;
    let client = mptcp_socket()?;
    ensure!(connect(client.as_raw_fd(), &to).is_err(), "somebody listens at {nobody}");
    Ok(Expect::nothing().event(attempt(nobody, is("ECONNREFUSED"))))
}

/// A listener, in a network namespace of this process's own, that takes no connection any more; and the last one it took.
fn full() -> anyhow::Result<(SocketAddr, SockaddrIn, (TcpListener, TcpStream))> {
    own_network()?;
    fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1")?;
    let listener = TcpListener::from(std::os::fd::OwnedFd::from(stream_socket()?));
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    listen(&listener, Backlog::new(0)?)?;
    let to: SockaddrIn = getsockname(listener.as_raw_fd())?;
    let first = stream_socket()?;
    connect(first.as_raw_fd(), &to)?;
    // This end is connected before the other has put it into its queue.
    poll(PATIENCE, || is_full(to.port()).then_some(())).context("the listener's queue is not full")?;
    let at = (Ipv4Addr::LOCALHOST, to.port()).into();
    Ok((at, to, (listener, first)))
}

/// Whether a connection waits in the queue of the listener at this port: what the kernel shows as bytes to read.
fn is_full(port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/thread-self/net/tcp").unwrap_or_default();
    let (address, listens) = (format!(":{port:04X}"), "0A");
    sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| {
        matches!(words[..], [_, local, _, state, queues, ..]
            if local.ends_with(&address) && state == listens && queues.ends_with(":00000001"))
    })
}

/// The connection that fills the listener's queue is none of ours.
fn beside(expect: Expect, to: SocketAddr) -> Expect {
    let first = |action: &str| {
        let event = Event::new(action).by(me()).with("destination.port", to.port());
        event.want("event.outcome", Want::Absent)
    };
    expect.event(first("connect")).event(first("close"))
}

fn timed_out(_: &Stage) -> anyhow::Result<Expect> {
    let (at, to, kept) = full()?;
    let client = stream_socket()?;
    let found = connect(client.as_raw_fd(), &to);
    ensure!(found == Err(Errno::ETIMEDOUT), "{found:?}");
    drop(kept);
    Ok(beside(Expect::nothing().event(attempt(at, is("ETIMEDOUT"))), at))
}

fn given_up(_: &Stage) -> anyhow::Result<Expect> {
    let (at, to, kept) = full()?;
    let client = stream_socket()?;
    client.set_nonblocking(true)?;
    let found = connect(client.as_raw_fd(), &to);
    ensure!(found == Err(Errno::EINPROGRESS), "{found:?}");
    drop(client);
    drop(kept);
    Ok(beside(Expect::nothing().event(attempt(at, Want::Absent)), at))
}

fn no_route(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let client = stream_socket()?;
    let found = connect(client.as_raw_fd(), &SockaddrIn::new(192, 0, 2, 1, 80));
    ensure!(found == Err(Errno::ENETUNREACH), "{found:?}");
    let attempt = attempt((Ipv4Addr::new(192, 0, 2, 1), 80).into(), is("ENETUNREACH"));
    Ok(Expect::nothing().unseen(attempt, "a connection that fails before a packet is sent is not told"))
}
