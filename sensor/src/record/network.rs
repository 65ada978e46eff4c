//! Connections: who opened, accepted and serves them, and how they end.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use nix::libc;
use sensor_bpf::event;

use super::decode::fixed;
use super::{RecordError, Task};

/// One end's view of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What this end did.
    pub role: Role,
    /// The process that did it.
    pub task: Task,
    /// The process that accepted, when another one serves.
    pub accepted_by: Option<Task>,
    /// The socket.
    pub socket: Socket,
    /// It was asked for and not made; why, as an error number, or 0 when the caller gave up. Then the initial sequence
    /// numbers mean nothing.
    pub failed: Option<u32>,
    /// The other end stands for all further peers of a socket that had too many to tell of each.
    pub many: bool,
}

/// What a process did to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opened it.
    Connect,
    /// Accepted it.
    Accept,
    /// Reads from it first, without having accepted it.
    Serve,
    /// Waits for connections; only `destination` is known.
    Listen,
    /// Bound it to an address; only `destination` is known.
    Bind,
    /// Sent a datagram to a peer that was new to the socket.
    Send,
}

/// A socket's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Socket {
    /// The kernel's cookie for it, unique within a boot.
    pub cookie: u64,
    /// Address and port of the side that opened the connection, IPv4-mapped forms normalised.
    pub source: SocketAddr,
    /// Address and port of the side that accepted it.
    pub destination: SocketAddr,
    /// TCP: initial sequence number of the side that opened it.
    pub source_isn: u32,
    /// TCP: initial sequence number of the side that accepted it.
    pub destination_isn: u32,
    /// Its protocol.
    pub transport: Transport,
}

/// What carries what a socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, and the parts of a multipath connection.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite (RFC 3828).
    UdpLite,
    /// Whatever a process writes, below IP.
    Raw,
    /// Frames of a network interface.
    Packet,
    /// Frames, in memory that the process shares with the interface (AF_XDP).
    Xdp,
    /// ICMP echo: ping.
    Icmp,
    /// The same of IPv6.
    IcmpV6,
}

/// A socket that was made to send or see more than streams and datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The process that made it.
    pub task: Task,
    /// The kernel's cookie for it; 0 where it has none yet.
    pub cookie: u64,
    /// What it is for.
    pub transport: Transport,
    /// The number of the protocol it was made for: IP's; for frames the EtherType.
    pub protocol: u32,
}

/// The end of a connection, as this host's socket saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// What this end had done: opened or accepted.
    pub role: Role,
    /// The process last known to own the socket.
    pub task: Task,
    /// The socket.
    pub socket: Socket,
    /// Bytes sent by the side that opened it.
    pub source_bytes: u64,
    /// Bytes sent by the side that accepted it.
    pub destination_bytes: u64,
    /// Packets sent by the side that opened it.
    pub source_packets: u64,
    /// Packets sent by the side that accepted it.
    pub destination_packets: u64,
    /// As in [`Connection::many`].
    pub many: bool,
}

impl Connection {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let connection: event::event_connection = fixed(bytes)?;
        Ok(Self {
            role: role(connection.role)?,
            task: Task::from(connection.task),
            accepted_by: (connection.accepted_by.tgid != 0).then(|| Task::from(connection.accepted_by)),
            socket: Socket::decode(connection.socket)?,
            failed: (connection.failed != 0).then_some(connection.error),
            many: connection.many != 0,
        })
    }
}

impl Made {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let made: event::event_made = fixed(bytes)?;
        Ok(Self {
            task: Task::from(made.task),
            cookie: made.cookie,
            transport: Transport::of_socket(&made)?,
            protocol: made.protocol,
        })
    }
}

impl Close {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let close: event::event_close = fixed(bytes)?;
        Ok(Self {
            role: role(close.role)?,
            task: Task::from(close.task),
            socket: Socket::decode(close.socket)?,
            source_bytes: close.source_bytes,
            destination_bytes: close.destination_bytes,
            source_packets: close.source_packets,
            destination_packets: close.destination_packets,
            many: close.many != 0,
        })
    }
}

impl Socket {
    fn decode(socket: event::event_socket) -> Result<Self, RecordError> {
        let end =
            |addr: [u8; 16], port| SocketAddr::new(IpAddr::V6(Ipv6Addr::from(addr)).to_canonical(), port);
        Ok(Self {
            cookie: socket.cookie,
            source: end(socket.source_addr, socket.source_port),
            destination: end(socket.destination_addr, socket.destination_port),
            source_isn: socket.source_isn,
            destination_isn: socket.destination_isn,
            transport: Transport::decode(socket.protocol)?,
        })
    }
}

impl Transport {
    /// By its number among IANA's protocols.
    fn decode(protocol: u32) -> Result<Self, RecordError> {
        match protocol {
            6 => Ok(Self::Tcp),
            17 => Ok(Self::Udp),
            136 => Ok(Self::UdpLite),
            value => Err(RecordError::Value { field: "protocol", value }),
        }
    }

    fn of_socket(made: &event::event_made) -> Result<Self, RecordError> {
        const PACKET: u32 = libc::AF_PACKET as u32;
        const XDP: u32 = libc::AF_XDP as u32;
        const RAW: u32 = libc::SOCK_RAW as u32;
        match (made.family, made.type_, made.protocol) {
            (PACKET, ..) => Ok(Self::Packet),
            (XDP, ..) => Ok(Self::Xdp),
            (_, RAW, _) => Ok(Self::Raw),
            (_, _, 1) => Ok(Self::Icmp),
            (_, _, 58) => Ok(Self::IcmpV6),
            (value, ..) => Err(RecordError::Value { field: "family", value }),
        }
    }

    /// What `network.transport` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Raw => "raw",
            Self::Packet => "packet",
            Self::Xdp => "xdp",
            Self::Icmp => "icmp",
            Self::IcmpV6 => "ipv6-icmp",
        }
    }
}

fn role(value: u32) -> Result<Role, RecordError> {
    match value {
        event::EVENT_ROLE_CONNECT => Ok(Role::Connect),
        event::EVENT_ROLE_ACCEPT => Ok(Role::Accept),
        event::EVENT_ROLE_SERVE => Ok(Role::Serve),
        event::EVENT_ROLE_LISTEN => Ok(Role::Listen),
        event::EVENT_ROLE_BIND => Ok(Role::Bind),
        event::EVENT_ROLE_SEND => Ok(Role::Send),
        _ => Err(RecordError::Value { field: "role", value }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut socket = event::event_socket { source_port: 7, protocol: 6, ..Default::default() };
        socket.source_addr[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
        let socket = Socket::decode(socket).unwrap();
        assert_eq!(socket.source, "127.0.0.1:7".parse().unwrap());
        assert_eq!(socket.destination, "[::]:0".parse().unwrap());
    }
    #[test]
    fn a_protocol_that_no_program_tells_of_is_refused() {
        let socket = event::event_socket { protocol: 132, ..Default::default() };
        assert_eq!(Socket::decode(socket), Err(RecordError::Value { field: "protocol", value: 132 }));
    }
}
