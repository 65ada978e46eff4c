//! How connections are made.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

use io_uring::{opcode, types};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrLike as _, bind, connect, sendto, socket,
};

use super::{Ends, LOCALHOST, Scenario, exchange, me, own_network, pair};
use crate::expect::Expect;
use crate::scenario::Absent;
use crate::stage::Stage;
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "connect",
        about: "A process connects to itself, sends 1,000 bytes there and 500 back, and closes.",
        play: ipv4,
    },
    Scenario { name: "IPv6", about: "The same over IPv6.", play: ipv6 },
    Scenario {
        name: "IPv4-mapped",
        about: "The same through an IPv6 socket to ::ffff:127.0.0.1; it is told as IPv4.",
        play: mapped,
    },
    Scenario {
        name: "non-blocking connect",
        about: "connect(2) returns before there is a connection.",
        play: nonblocking,
    },
    Scenario { name: "MSG_FASTOPEN", about: "sendto(2) connects, without connect(2).", play: fast_open },
    Scenario {
        name: "TCP_FASTOPEN_CONNECT",
        about: "The first write connects; connect(2) does nothing.",
        play: late_connect,
    },
    Scenario {
        name: "data in the SYN",
        about: "TCP Fast Open without a cookie, in a network namespace: data comes before there is a connection.",
        play: data_in_syn,
    },
    Scenario { name: "io_uring connect", about: "io_uring connects, without connect(2).", play: by_uring },
    Scenario { name: "connected with itself", about: "One socket connects to its own port.", play: itself },
    Scenario {
        name: "two connections of a socket",
        about: "A socket connects, is disconnected (AF_UNSPEC), and connects elsewhere.",
        play: reconnect,
    },
    Scenario {
        name: "network namespace",
        about: "A connection within a network namespace of its own.",
        play: in_namespace,
    },
    Scenario {
        name: "TCP_REPAIR",
        about: "A socket is put into the connected state by its owner, without a packet.",
        play: repair,
    },
    Scenario { name: "MPTCP", about: "A connection of multipath TCP sockets.", play: multipath },
];

fn ipv4(_: &Stage) -> anyhow::Result<Expect> {
    let (client, server, ends) = pair(LOCALHOST)?;
    Ok(ends.all(me(), exchange(client, server)?))
}

fn ipv6(_: &Stage) -> anyhow::Result<Expect> {
    let (client, server, ends) = pair("[::1]:0")?;
    Ok(ends.all(me(), exchange(client, server)?))
}

fn mapped(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let mapped = "::ffff:127.0.0.1".parse::<Ipv6Addr>()?;
    let client = TcpStream::connect((mapped, listener.local_addr()?.port()))?;
    let ends = Ends::of(&client)?;
    Ok(ends.all(me(), exchange(client, listener.accept()?.0)?))
}

fn nonblocking(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(10))?;
    let ends = Ends::of(&client)?;
    Ok(ends.all(me(), exchange(client, listener.accept()?.0)?))
}

fn fast_open(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    sent_to(&listener)
}

/// A connection that sendto(2) makes, with 10 bytes more.
fn sent_to(listener: &TcpListener) -> anyhow::Result<Expect> {
    let client = stream_socket()?;
    let to = address(listener)?;
    anyhow::ensure!(
        sendto(client.as_raw_fd(), b"0123456789", &to, MsgFlags::from_bits_retain(libc::MSG_FASTOPEN))? == 10
    );
    let ends = Ends::of(&client)?;
    let (sent, received) = exchange(client, listener.accept()?.0)?;
    Ok(ends.all(me(), (sent + 10, received)))
}

fn late_connect(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = stream_socket()?;
    sys::set_option(client.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)?;
    connect(client.as_raw_fd(), &address(&listener)?)?;
    let ends = Ends::of(&client)?;
    std::io::Write::write_all(&mut &client, b"0123456789")?;
    let (sent, received) = exchange(client, listener.accept()?.0)?;
    Ok(ends.all(me(), (sent + 10, received)))
}

fn data_in_syn(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    // 1: clients may; 2: servers may; 4 and 0x200: without a cookie.
    fs::write("/proc/sys/net/ipv4/tcp_fastopen", "519")?;
    let listener = TcpListener::bind(LOCALHOST)?;
    sys::set_option(listener.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, 8)?;
    sent_to(&listener)
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = stream_socket()?;
    let to = address(&listener)?;
    let connect = opcode::Connect::new(types::Fd(client.as_raw_fd()), to.as_ptr(), to.len()).build();
    sys::uring(&connect)?;
    let ends = Ends::of(&client)?;
    Ok(ends.all(me(), exchange(client, listener.accept()?.0)?))
}

fn itself(_: &Stage) -> anyhow::Result<Expect> {
    let client = stream_socket()?;
    bind(client.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let SocketAddr::V4(own) = client.local_addr()? else { anyhow::bail!("not an IPv4 socket") };
    connect(client.as_raw_fd(), &SockaddrIn::from(own))?;
    let ends = Ends::of(&client)?;
    std::io::Write::write_all(&mut &client, b"0123456789")?;
    std::io::Read::read_exact(&mut &client, &mut [0; 10])?;
    drop(client);
    Ok(Expect::nothing().event(ends.connect(me())).event(ends.client_closes(me(), (10, 10))))
}

fn reconnect(_: &Stage) -> anyhow::Result<Expect> {
    let listeners = [TcpListener::bind(LOCALHOST)?, TcpListener::bind(LOCALHOST)?];
    let client = stream_socket()?;
    let mut expect = Expect::nothing();
    for listener in &listeners {
        connect(client.as_raw_fd(), &address(listener)?)?;
        let ends = Ends::of(&client)?;
        let (server, _) = listener.accept()?;
        sys::disconnect(client.as_fd())?;
        drop(server);
        expect = expect
            .event(ends.connect(me()))
            .event(ends.accept(me()))
            .event(ends.client_closes(me(), (0, 0)))
            .event(ends.server_closes(me(), (0, 0)));
    }
    Ok(expect)
}

fn in_namespace(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    let (client, server, ends) = pair(LOCALHOST)?;
    Ok(ends.all(me(), exchange(client, server)?))
}

fn repair(_: &Stage) -> anyhow::Result<Expect> {
    const TCP_REPAIR: i32 = 19;
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = stream_socket()?;
    sys::set_option(client.as_fd(), libc::IPPROTO_TCP, TCP_REPAIR, 1)?;
    connect(client.as_raw_fd(), &address(&listener)?)?;
    let ends = Ends::of(&client)?;
    drop(client);
    Ok(Expect::nothing().event(ends.connect(me())).event(ends.client_closes(me(), (0, 0))))
}

fn multipath(_: &Stage) -> anyhow::Result<Expect> {
    let listener = mptcp_socket()?;
    nix::sys::socket::bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(8)?)?;
    let listener = TcpListener::from(listener);
    let client = mptcp_socket()?;
    connect(client.as_raw_fd(), &address(&listener)?)?;
    let client = TcpStream::from(client);
    let ends = Ends::of(&client)?;
    let bytes = exchange(client, listener.accept()?.0)?;
    let why = "what accepts a connection of MPTCP is no TCP socket";
    Ok(Expect::nothing()
        .event(ends.connect(me()))
        .event(ends.client_closes(me(), bytes))
        .unseen(ends.accept(me()), why)
        .unseen(ends.server_closes(me(), bytes), why))
}

/// A socket of multipath TCP.
pub(super) fn mptcp_socket() -> anyhow::Result<OwnedFd> {
    const IPPROTO_MPTCP: i32 = 262;
    match sys::socket(libc::AF_INET, libc::SOCK_STREAM, IPPROTO_MPTCP) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
            Err(Absent("this kernel has no MPTCP").into())
        }
        made => Ok(made?),
    }
}

/// A TCP socket, not connected.
pub(super) fn stream_socket() -> Result<TcpStream, Errno> {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map(TcpStream::from)
}

fn address(listener: &TcpListener) -> anyhow::Result<SockaddrIn> {
    match listener.local_addr()? {
        SocketAddr::V4(address) => Ok(address.into()),
        SocketAddr::V6(address) => anyhow::bail!("{address} is not of IPv4"),
    }
}
