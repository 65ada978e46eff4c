//! UDP datagrams, told as flows.

use std::io::IoSlice;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::ensure;
use io_uring::{opcode, types};
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, send, sendmmsg, sendmsg};

use super::{LOCALHOST, Scenario, me};
use crate::expect::{Event, Expect};
use crate::scenario::Absent;
use crate::stage::Stage;
use crate::sys;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "UDP", about: "A datagram there, and an answer back.", play: ipv4 },
    Scenario { name: "UDP over IPv6", about: "The same over IPv6.", play: ipv6 },
    Scenario {
        name: "UDP to a mapped address",
        about: "The same through an IPv6 socket to ::ffff:127.0.0.1; it is told as IPv4.",
        play: mapped,
    },
    Scenario {
        name: "UDP to a dual-stack socket",
        about: "An IPv6 socket gets an IPv4 datagram, which is told as IPv4.",
        play: dual_stack,
    },
    Scenario {
        name: "connected UDP",
        about: "A socket is connected to its peer; write(2) sends.",
        play: connected,
    },
    Scenario {
        name: "UDP past the connected peer",
        about: "A socket is connected to one peer, and sends to another one.",
        play: past_peer,
    },
    Scenario {
        name: "connected without a datagram",
        about: "A UDP socket is connected and sends nothing, as the C library does to order addresses.",
        play: unused,
    },
    Scenario {
        name: "a hundred datagrams",
        about: "A socket sends a hundred datagrams to one peer: one flow.",
        play: hundred,
    },
    Scenario { name: "sendmmsg", about: "One system call sends to three peers.", play: at_once },
    Scenario {
        name: "io_uring send",
        about: "io_uring sends, without a system call for it.",
        play: by_uring,
    },
    Scenario {
        name: "io_uring send by a thread",
        about: "A thread of the kernel's sends for io_uring, and the process does nothing (IORING_SETUP_SQPOLL).",
        play: by_thread,
    },
    Scenario {
        name: "one datagram of two sends",
        about: "Two sends make one datagram (MSG_MORE).",
        play: corked,
    },
    Scenario {
        name: "three datagrams of one send",
        about: "The kernel divides what is sent (UDP_SEGMENT).",
        play: segmented,
    },
    Scenario {
        name: "UDP behind a header",
        about: "IPv6 puts another header between its own and the datagram (IPV6_DSTOPTS).",
        play: extended,
    },
    Scenario { name: "UDP-Lite", about: "UDP's sibling with a shorter checksum.", play: lite },
    Scenario {
        name: "one port twice",
        about: "A socket sends, is closed, and another one sends from the same port to the same peer.",
        play: reused,
    },
    Scenario {
        name: "UDP of two processes",
        about: "A process and its child send through one socket, each to a peer of its own.",
        play: shared,
    },
    Scenario {
        name: "UDP passed on",
        about: "A socket is passed over a Unix socket (SCM_RIGHTS) to another process, which sends.",
        play: passed,
    },
    Scenario {
        name: "UDP served",
        about: "A process binds a socket; its child reads what comes, and answers.",
        play: served,
    },
    Scenario {
        name: "UDP read by another",
        about: "A process binds a socket; its child reads what comes, and does not answer.",
        play: read_only,
    },
    Scenario { name: "UDP that nobody reads", about: "A datagram comes and is not read.", play: unread },
    Scenario {
        name: "forged senders",
        about: "Datagrams come from two addresses that did not send them: a raw socket made them.",
        play: forged,
    },
    Scenario {
        name: "ten thousand peers",
        about: "One socket sends a datagram to each of 10,000 addresses: 512 are told, the others as one.",
        play: many,
    },
];

/// A flow, as events tell it: the source is who sent first.
struct Flow {
    source: SocketAddr,
    destination: SocketAddr,
}

/// How many datagrams, with how many bytes of payload.
type Amount = (u64, u64);

impl Flow {
    fn between(from: &UdpSocket, to: &UdpSocket) -> anyhow::Result<Self> {
        Ok(Self { source: from.local_addr()?, destination: to.local_addr()? })
    }

    fn event(&self, action: &str, pid: u32, direction: &str) -> Event {
        let ip = |address: SocketAddr| address.ip().to_canonical().to_string();
        Event::new(action)
            .by(pid)
            .with("network.transport", "udp")
            .with("network.direction", direction)
            .with("source.ip", ip(self.source))
            .with("source.port", self.source.port())
            .with("destination.ip", ip(self.destination))
            .with("destination.port", self.destination.port())
    }

    fn send(&self, pid: u32) -> Event {
        self.event("send", pid, "outbound")
    }

    fn accept(&self, pid: u32) -> Event {
        self.event("accept", pid, "inbound")
    }

    fn closes(&self, pid: u32, direction: &str, (n_there, there): Amount, (n_back, back): Amount) -> Event {
        self.event("close", pid, direction)
            .with("source.packets", n_there)
            .with("source.bytes", there)
            .with("destination.packets", n_back)
            .with("destination.bytes", back)
            .with("network.packets", n_there + n_back)
            .with("network.bytes", there + back)
    }

    /// What comes of a flow of a process with itself.
    fn all(&self, there: Amount, back: Amount) -> Expect {
        Expect::nothing()
            .event(self.send(me()))
            .event(self.accept(me()))
            .event(self.closes(me(), "outbound", there, back))
            .event(self.closes(me(), "inbound", there, back))
    }
}

/// Five bytes there, three back.
fn exchange(from: &UdpSocket, to: &UdpSocket, named: SocketAddr) -> anyhow::Result<(Amount, Amount)> {
    from.send_to(b"hello", named)?;
    let (_, peer) = to.recv_from(&mut [0; 10])?;
    to.send_to(b"you", peer)?;
    ensure!(from.recv(&mut [0; 10])? == 3, "another answer came");
    Ok(((1, 5), (1, 3)))
}

/// Both sockets of a flow with this process itself, bound there.
fn pair(at: &str) -> anyhow::Result<(UdpSocket, UdpSocket, Flow)> {
    let (from, to) = (UdpSocket::bind(at)?, UdpSocket::bind(at)?);
    let flow = Flow::between(&from, &to)?;
    Ok((from, to, flow))
}

fn ipv4(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    let (there, back) = exchange(&from, &to, flow.destination)?;
    Ok(flow.all(there, back))
}

fn ipv6(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair("[::1]:0")?;
    let (there, back) = exchange(&from, &to, flow.destination)?;
    Ok(flow.all(there, back))
}

fn mapped(_: &Stage) -> anyhow::Result<Expect> {
    let mapped = "::ffff:127.0.0.1".parse::<Ipv6Addr>()?;
    let (from, to) = (UdpSocket::bind((mapped, 0))?, UdpSocket::bind(LOCALHOST)?);
    let flow = Flow::between(&from, &to)?;
    let (there, back) = exchange(&from, &to, (mapped, flow.destination.port()).into())?;
    Ok(flow.all(there, back))
}

fn dual_stack(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to) = (UdpSocket::bind(LOCALHOST)?, UdpSocket::bind("[::]:0")?);
    let destination = (Ipv4Addr::LOCALHOST, to.local_addr()?.port()).into();
    let flow = Flow { source: from.local_addr()?, destination };
    let (there, back) = exchange(&from, &to, destination)?;
    Ok(flow.all(there, back))
}

fn connected(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    ensure!(nix::unistd::write(&from, b"hello")? == 5, "less was sent");
    to.recv_from(&mut [0; 10])?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn past_peer(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(UdpSocket::bind(LOCALHOST)?.local_addr()?)?;
    from.send_to(b"hello", flow.destination)?;
    to.recv_from(&mut [0; 10])?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn unused(_: &Stage) -> anyhow::Result<Expect> {
    let (from, _to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    Ok(Expect::nothing())
}

fn hundred(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    for _ in 0..100 {
        from.send_to(b"hello", flow.destination)?;
        to.recv_from(&mut [0; 10])?;
    }
    Ok(flow.all((100, 500), (0, 0)))
}

fn at_once(_: &Stage) -> anyhow::Result<Expect> {
    let from = UdpSocket::bind(LOCALHOST)?;
    let to = [UdpSocket::bind(LOCALHOST)?, UdpSocket::bind(LOCALHOST)?, UdpSocket::bind(LOCALHOST)?];
    let flows: Vec<Flow> = to.iter().map(|to| Flow::between(&from, to)).collect::<Result<_, _>>()?;
    let addresses: Vec<Option<SockaddrIn>> =
        flows.iter().map(|flow| ipv4_of(flow.destination).map(Some)).collect::<Result<_, _>>()?;
    let parts = [[IoSlice::new(b"hello")]; 3];
    let mut headers = MultiHeaders::preallocate(3, None);
    let n_sent = sendmmsg(from.as_raw_fd(), &mut headers, &parts, addresses, [], MsgFlags::empty())?.count();
    ensure!(n_sent == 3, "{n_sent} datagrams were sent");
    Ok(flows.iter().fold(Expect::nothing(), |expect, flow| and(expect, flow.all((1, 5), (0, 0)))))
}

fn by_uring(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    let bytes = b"hello";
    let entry = opcode::Send::new(types::Fd(from.as_raw_fd()), bytes.as_ptr(), 5).build();
    ensure!(sys::uring(&entry)? == 5, "less was sent");
    to.recv_from(&mut [0; 10])?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn by_thread(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    let bytes = b"hello";
    let send = |file| opcode::Send::new(file, bytes.as_ptr(), 5).build();
    ensure!(sys::uring_by_thread(from.as_raw_fd(), send)? == 5, "less was sent");
    to.recv_from(&mut [0; 10])?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn corked(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    send(from.as_raw_fd(), b"hel", MsgFlags::from_bits_retain(libc::MSG_MORE))?;
    send(from.as_raw_fd(), b"lo", MsgFlags::empty())?;
    ensure!(to.recv_from(&mut [0; 10])?.0 == 5, "they came apart");
    Ok(flow.all((1, 5), (0, 0)))
}

fn segmented(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    sys::set_option(from.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 100)?;
    from.send_to(&[b'x'; 250], flow.destination)?;
    for n_bytes in [100, 100, 50] {
        ensure!(to.recv_from(&mut [0; 300])?.0 == n_bytes, "they were not divided");
    }
    Ok(flow.all((3, 250), (0, 0)))
}

fn extended(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair("[::1]:0")?;
    // A header of eight bytes, and in it an option (PadN) that means nothing.
    sys::set_option_bytes(from.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, &[0, 0, 1, 4, 0, 0, 0, 0])?;
    from.send_to(b"hello", flow.destination)?;
    to.recv_from(&mut [0; 10])?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn lite(_: &Stage) -> anyhow::Result<Expect> {
    let socket = || match sys::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
            Err(anyhow::Error::from(Absent("this kernel has no UDP-Lite")))
        }
        made => Ok(UdpSocket::from(made?)),
    };
    let (from, to) = (socket()?, socket()?);
    nix::sys::socket::bind(to.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    from.send_to(b"hello", to.local_addr()?)?;
    to.recv_from(&mut [0; 10])?;
    let event = |action: &str| Event::new(action).by(me()).with("network.transport", "udplite");
    let port = to.local_addr()?.port();
    Ok(Expect::nothing()
        .event(event("send").with("destination.port", port))
        .event(event("accept").with("destination.port", port))
        .event(event("close").with("destination.port", port).with("network.bytes", 5).times(2)))
}

fn reused(_: &Stage) -> anyhow::Result<Expect> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.send_to(b"hello", flow.destination)?;
    drop(from);
    let from = UdpSocket::bind(flow.source)?;
    from.send_to(b"hello", flow.destination)?;
    to.recv_from(&mut [0; 10])?;
    to.recv_from(&mut [0; 10])?;
    Ok(Expect::nothing()
        .event(flow.send(me()).times(2))
        .event(flow.closes(me(), "outbound", (1, 5), (0, 0)).times(2))
        .event(flow.accept(me()))
        .event(flow.closes(me(), "inbound", (2, 10), (0, 0))))
}

fn shared(_: &Stage) -> anyhow::Result<Expect> {
    let from = UdpSocket::bind(LOCALHOST)?;
    let to = [UdpSocket::bind(LOCALHOST)?, UdpSocket::bind(LOCALHOST)?];
    let [ours, theirs] = to.each_ref().map(|to| Flow::between(&from, to));
    let (ours, theirs) = (ours?, theirs?);
    from.send_to(b"hello", ours.destination)?;
    let child = sys::fork(|| {
        from.send_to(b"hello", theirs.destination)?;
        Ok(0)
    })?;
    let child = crate::stage::wait(child)?.with_code(0)?.pid;
    let of_both = |flow: &Flow, pid| {
        Expect::nothing()
            .event(flow.send(pid))
            .event(flow.closes(pid, "outbound", (1, 5), (0, 0)))
            .event(flow.accept(me()))
            .event(flow.closes(me(), "inbound", (1, 5), (0, 0)))
    };
    Ok(and(of_both(&ours, me()), of_both(&theirs, child)))
}

fn passed(_: &Stage) -> anyhow::Result<Expect> {
    let (here, there) = UnixStream::pair()?;
    // Born before the socket, so that it has it only from the message.
    let child = sys::fork(|| {
        let from = UdpSocket::from(OwnedFd::from(super::serve::receive(&there)?));
        from.send(b"hello")?;
        Ok(0)
    })?;
    let (from, to, flow) = pair(LOCALHOST)?;
    from.connect(flow.destination)?;
    let fds = [from.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(b"!")], &message, MsgFlags::empty(), None)?;
    let child = crate::stage::wait(child)?.with_code(0)?.pid;
    to.recv_from(&mut [0; 10])?;
    Ok(Expect::nothing()
        .event(flow.send(child))
        .event(flow.closes(child, "outbound", (1, 5), (0, 0)))
        .event(flow.accept(me()))
        .event(flow.closes(me(), "inbound", (1, 5), (0, 0))))
}

/// A child does this with a socket that its parent bound, and to which five bytes came. Gives what is told of the
/// sending side, the flow, and the child.
fn by_child(
    task: impl FnOnce(&UdpSocket) -> anyhow::Result<()>,
    back: Amount,
) -> anyhow::Result<(Expect, Flow, u32)> {
    let (from, to, flow) = pair(LOCALHOST)?;
    from.send_to(b"hello", flow.destination)?;
    let child = crate::stage::wait(sys::fork(|| task(&to).map(|()| 0))?)?.with_code(0)?.pid;
    let expect = Expect::nothing()
        .event(flow.send(me()))
        .event(flow.closes(me(), "outbound", (1, 5), back))
        .event(flow.accept(me()));
    Ok((expect, flow, child))
}

fn served(_: &Stage) -> anyhow::Result<Expect> {
    let answer = |to: &UdpSocket| {
        let (_, peer) = to.recv_from(&mut [0; 10])?;
        to.send_to(b"you", peer)?;
        Ok(())
    };
    let (expect, flow, child) = by_child(answer, (1, 3))?;
    Ok(expect.event(serves(&flow, child)).event(flow.closes(child, "inbound", (1, 5), (1, 3))))
}

fn read_only(stage: &Stage) -> anyhow::Result<Expect> {
    let reads = |to: &UdpSocket| {
        ensure!(to.recv(&mut [0; 10])? == 5, "another datagram came");
        Ok(())
    };
    let (expect, flow, child) = by_child(reads, (0, 0))?;
    let sees = stage.has_hook("fentry/skb_consume_udp");
    let why = "who reads datagrams and does not answer is not seen";
    Ok(expect.event_if(sees, serves(&flow, child), why).event(flow.closes(
        if sees { child } else { me() },
        "inbound",
        (1, 5),
        (0, 0),
    )))
}

fn serves(flow: &Flow, pid: u32) -> Event {
    let event = flow.event("serve", pid, "inbound");
    event.want("network.accepted_by.entity_id", crate::expect::Want::Any)
}

fn unread(_: &Stage) -> anyhow::Result<Expect> {
    let (from, _to, flow) = pair(LOCALHOST)?;
    from.send_to(b"hello", flow.destination)?;
    Ok(flow.all((1, 5), (0, 0)))
}

fn forged(_: &Stage) -> anyhow::Result<Expect> {
    let to = UdpSocket::bind(LOCALHOST)?;
    let SocketAddr::V4(destination) = to.local_addr()? else { anyhow::bail!("not an IPv4 socket") };
    let raw = sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    let mut expect = Expect::nothing().event(Event::new("socket").by(me()).with("network.transport", "raw"));
    for last in 1..=2 {
        let source = Ipv4Addr::new(192, 0, 2, last);
        let packet = datagram((source, 53), (*destination.ip(), destination.port()), b"hello");
        let to = SockaddrIn::from(destination);
        nix::sys::socket::sendto(raw.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        let flow = Flow { source: (source, 53).into(), destination: destination.into() };
        expect = expect.event(flow.accept(me())).event(flow.closes(me(), "inbound", (1, 5), (0, 0)));
    }
    to.recv_from(&mut [0; 10])?;
    to.recv_from(&mut [0; 10])?;
    Ok(expect)
}

/// An IPv4 packet with a UDP datagram in it; the kernel fills in what is zero here.
fn datagram(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend((20 + length).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, libc::IPPROTO_UDP as u8, 0, 0]);
    packet.extend(source.0.octets());
    packet.extend(destination.0.octets());
    packet.extend(source.1.to_be_bytes());
    packet.extend(destination.1.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

fn many(_: &Stage) -> anyhow::Result<Expect> {
    const TOLD: usize = 512;
    const ALL: u16 = 10_000;
    let from = UdpSocket::bind("0.0.0.0:0")?;
    for n in 0..ALL {
        let [high, low] = n.to_be_bytes();
        // Nobody is there: port 9, that takes what comes and throws it away.
        from.send_to(b"hello", (Ipv4Addr::new(127, 1, high, low), 9))?;
    }
    let port = from.local_addr()?.port();
    let of = |action: &str| Event::new(action).by(me()).with("source.port", port);
    let one = |action: &str| of(action).with("destination.port", 9).times(TOLD);
    let others = |action: &str| {
        let event = of(action).with("network.many_peers", true);
        event.want("destination.ip", crate::expect::Want::Absent)
    };
    let untold = u64::from(ALL) - TOLD as u64;
    Ok(Expect::nothing()
        .event(one("send"))
        .event(one("close").with("source.packets", 1))
        .event(others("send"))
        .event(others("close").with("source.packets", untold).with("source.bytes", untold * 5)))
}

/// Both.
fn and(mut one: Expect, other: Expect) -> Expect {
    one.events.extend(other.events);
    one
}

fn ipv4_of(address: SocketAddr) -> anyhow::Result<SockaddrIn> {
    match address {
        SocketAddr::V4(address) => Ok(address.into()),
        SocketAddr::V6(address) => anyhow::bail!("{address} is not of IPv4"),
    }
}
