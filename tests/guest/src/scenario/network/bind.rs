//! Sockets that are bound to an address.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::ensure;
use io_uring::{opcode, types};
use nix::libc;
use nix::sys::socket::{SockaddrIn, SockaddrLike as _, bind as bind_to};

use super::connect::stream_socket;
use super::{LOCALHOST, Scenario, me};
use crate::expect::{Event, Expect};
use crate::scenario::Absent;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "bind", about: "A TCP socket is bound to a port that the kernel picks.", play: tcp },
    Scenario { name: "bind of UDP", about: "UDP sockets are bound, over IPv4 and IPv6.", play: udp },
    Scenario {
        name: "bind to a mapped address",
        about: "An IPv6 socket is bound to ::ffff:127.0.0.1, which is told as IPv4.",
        play: mapped,
    },
    Scenario { name: "io_uring bind", about: "io_uring binds, without bind(2).", play: by_uring },
    Scenario {
        name: "bind for another",
        about: "A child binds the socket that its parent made.",
        play: of_parent,
    },
    Scenario {
        name: "bind that fails",
        about: "A port is taken already, so the socket is not bound.",
        play: taken,
    },
    Scenario {
        name: "port without a bind",
        about: "A socket that is not bound connects, and the kernel picks its port.",
        play: unbound,
    },
    Scenario {
        name: "bind without a port",
        about: "A socket is bound to an address, and gets its port when it connects (IP_BIND_ADDRESS_NO_PORT).",
        play: no_port,
    },
];

/// A socket of this process's is bound there.
fn bound(transport: &str, at: SocketAddr) -> Event {
    Event::new("bind")
        .by(me())
        .with("destination.ip", at.ip().to_canonical().to_string())
        .with("destination.port", at.port())
        .with("network.transport", transport)
}

fn tcp(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    Ok(Expect::nothing().event(bound("tcp", listener.local_addr()?)))
}

fn udp(_: &Stage) -> anyhow::Result<Expect> {
    let sockets = [UdpSocket::bind("0.0.0.0:0")?, UdpSocket::bind("[::1]:0")?];
    let [four, six] = sockets.map(|socket| socket.local_addr());
    Ok(Expect::nothing().event(bound("udp", four?)).event(bound("udp", six?)))
}

fn mapped(_: &Stage) -> anyhow::Result<Expect> {
    let socket = UdpSocket::bind(("::ffff:127.0.0.1".parse::<Ipv6Addr>()?, 0))?;
    Ok(Expect::nothing().event(bound("udp", socket.local_addr()?)))
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    let stream = stream_socket()?;
    let to = SockaddrIn::new(127, 0, 0, 1, 0);
    let entry = opcode::Bind::new(types::Fd(stream.as_raw_fd()), to.as_ptr(), to.len()).build();
    match sys::uring(&entry) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(Absent("this kernel's io_uring does not bind").into());
        }
        done => drop(done?),
    }
    Ok(Expect::nothing().event(bound("tcp", stream.local_addr()?)))
}

fn of_parent(_: &Stage) -> anyhow::Result<Expect> {
    let stream = stream_socket()?;
    let child = sys::fork(|| {
        bind_to(stream.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
        Ok(0)
    })?;
    let child = wait(child)?.with_code(0)?.pid;
    let port = stream.local_addr()?.port();
    Ok(Expect::nothing().event(Event::new("bind").by(child).with("destination.port", port)))
}

fn taken(_: &Stage) -> anyhow::Result<Expect> {
    let first = UdpSocket::bind(LOCALHOST)?;
    ensure!(UdpSocket::bind(first.local_addr()?).is_err(), "two sockets have one port");
    Ok(Expect::nothing().event(bound("udp", first.local_addr()?)))
}

fn unbound(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let port = client.local_addr()?.port();
    drop((listener.accept()?, client));
    Ok(connects_only(port))
}

fn no_port(_: &Stage) -> anyhow::Result<Expect> {
    let listener = TcpListener::bind(LOCALHOST)?;
    let client = stream_socket()?;
    sys::set_option(client.as_fd(), libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    bind_to(client.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let SocketAddr::V4(to) = listener.local_addr()? else { anyhow::bail!("not an IPv4 socket") };
    nix::sys::socket::connect(client.as_raw_fd(), &SockaddrIn::from(to))?;
    let port = client.local_addr()?.port();
    drop((listener.accept()?, client));
    Ok(connects_only(port))
}

/// The connection from this port is told, and no bind to it.
fn connects_only(port: u16) -> Expect {
    let of = |action: &str| Event::new(action).by(me());
    Expect::nothing()
        .event(of("connect").with("source.port", port))
        .event(of("accept").with("source.port", port))
        .event(of("close").with("source.port", port).times(2))
        .event(of("bind").with("destination.port", port).times(0))
}
