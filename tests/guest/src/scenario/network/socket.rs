//! Sockets that are made to send or see more than streams and datagrams.

use std::io;

use io_uring::opcode;
use nix::libc;
use nix::unistd::{Uid, setresuid};

use super::{Scenario, me, own_network};
use crate::expect::{Event, Expect, Want};
use crate::scenario::Absent;
use crate::stage::{Stage, wait};
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "raw socket",
        about: "Raw sockets of IPv4 (for ICMP) and IPv6 (for any protocol).",
        play: raw,
    },
    Scenario {
        name: "packet socket",
        about: "Sockets that see every frame: AF_PACKET, raw and cooked, and by its oldest name (SOCK_PACKET).",
        play: packet,
    },
    Scenario { name: "ping socket", about: "A socket that may only ping, without privilege.", play: ping },
    Scenario { name: "AF_XDP", about: "A socket that shares memory with a network interface.", play: xdp },
    Scenario { name: "io_uring raw socket", about: "io_uring makes a raw socket.", play: raw_by_uring },
    Scenario {
        name: "io_uring packet socket",
        about: "io_uring makes a packet socket.",
        play: packet_by_uring,
    },
    Scenario {
        name: "packet socket of a 32-bit program",
        about: "socketcall(2) through int 0x80.",
        play: by_socketcall,
    },
    Scenario {
        name: "raw socket that is refused",
        about: "A process without privilege asks for raw and packet sockets.",
        play: refused,
    },
    Scenario { name: "ordinary sockets", about: "TCP, UDP and Unix sockets are made.", play: ordinary },
];

/// Every frame, as the network has the number.
const EVERYTHING: i32 = (libc::ETH_P_ALL as u16).to_be() as i32;

/// This process has made such a socket.
fn made(transport: &str, protocol: i32) -> Event {
    let event = Event::new("socket").by(me()).with("network.transport", transport);
    event.with("network.protocol_number", protocol)
}

fn raw(_: &Stage) -> anyhow::Result<Expect> {
    drop(sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)?);
    drop(sys::socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_RAW)?);
    let raw = |protocol| made("raw", protocol).want("network.socket_cookie", Want::Any);
    Ok(Expect::nothing().event(raw(libc::IPPROTO_ICMP)).event(raw(libc::IPPROTO_RAW)))
}

fn packet(_: &Stage) -> anyhow::Result<Expect> {
    const SOCK_PACKET: i32 = 10;
    drop(sys::socket(libc::AF_PACKET, libc::SOCK_RAW, EVERYTHING)?);
    drop(sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, (libc::ETH_P_IP as u16).to_be().into())?);
    drop(sys::socket(libc::AF_INET, SOCK_PACKET, EVERYTHING)?);
    let everything = made("packet", libc::ETH_P_ALL);
    Ok(Expect::nothing().event(everything.times(2)).event(made("packet", libc::ETH_P_IP)))
}

fn ping(_: &Stage) -> anyhow::Result<Expect> {
    own_network()?;
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0")?;
    drop(sys::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)?);
    drop(sys::socket(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6)?);
    let expect = Expect::nothing().event(made("icmp", libc::IPPROTO_ICMP));
    Ok(expect.event(made("ipv6-icmp", libc::IPPROTO_ICMPV6)))
}

fn xdp(_: &Stage) -> anyhow::Result<Expect> {
    match sys::socket(libc::AF_XDP, libc::SOCK_RAW, 0) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            Err(Absent("this kernel has no AF_XDP").into())
        }
        made_one => {
            drop(made_one?);
            Ok(Expect::nothing().event(made("xdp", 0)))
        }
    }
}

fn raw_by_uring(_: &Stage) -> anyhow::Result<Expect> {
    by_uring(libc::AF_INET, libc::IPPROTO_ICMP)?;
    Ok(Expect::nothing().event(made("raw", libc::IPPROTO_ICMP)))
}

fn packet_by_uring(stage: &Stage) -> anyhow::Result<Expect> {
    by_uring(libc::AF_PACKET, EVERYTHING)?;
    let sees = stage.has_hook("fexit/security_socket_post_create");
    let why = "packet sockets made through io_uring are not seen";
    Ok(Expect::nothing().event_if(sees, made("packet", libc::ETH_P_ALL), why))
}

fn by_uring(family: i32, protocol: i32) -> anyhow::Result<()> {
    let entry = opcode::Socket::new(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol).build();
    match sys::uring(&entry) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(Absent("this kernel's io_uring makes no sockets").into())
        }
        fd => {
            drop(sys::owned(fd?));
            Ok(())
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn by_socketcall(_: &Stage) -> anyhow::Result<Expect> {
    Err(Absent("int 0x80 is of x86").into())
}

#[cfg(target_arch = "x86_64")]
fn by_socketcall(_: &Stage) -> anyhow::Result<Expect> {
    match sys::socketcall(1, [libc::AF_PACKET as u32, libc::SOCK_RAW as u32, EVERYTHING as u32]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            return Err(Absent("this kernel runs no 32-bit programs").into());
        }
        made_one => drop(made_one?),
    };
    Ok(Expect::nothing().event(made("packet", libc::ETH_P_ALL)))
}

fn refused(_: &Stage) -> anyhow::Result<Expect> {
    let child = sys::fork(|| {
        let nobody = Uid::from_raw(65_534);
        setresuid(nobody, nobody, nobody)?;
        for family in [libc::AF_INET, libc::AF_PACKET] {
            let refused = sys::socket(family, libc::SOCK_RAW, libc::IPPROTO_ICMP);
            anyhow::ensure!(is_refusal(&refused), "{refused:?}");
        }
        Ok(0)
    })?;
    wait(child)?.with_code(0)?;
    Ok(Expect::nothing())
}

fn is_refusal<T>(found: &io::Result<T>) -> bool {
    found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn ordinary(_: &Stage) -> anyhow::Result<Expect> {
    for (family, kind) in [
        (libc::AF_INET, libc::SOCK_STREAM),
        (libc::AF_INET6, libc::SOCK_DGRAM),
        (libc::AF_UNIX, libc::SOCK_DGRAM),
        (libc::AF_NETLINK, libc::SOCK_RAW),
    ] {
        drop(sys::socket(family, kind, 0)?);
    }
    Ok(Expect::nothing())
}
