//! What a process sends to a DNS server and gets from it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sensor_bpf::event;

use super::decode::{Rest, fixed};
use super::{RecordError, Task};

/// A datagram, or a piece of a TCP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns<'a> {
    /// Between whom.
    pub ends: DnsEnds,
    /// It came from the server; else it was sent there.
    pub is_answer: bool,
    /// How it was carried.
    pub carrier: Carrier,
    /// How long it is.
    pub n_bytes: u32,
    /// As much of its beginning as was copied.
    pub payload: &'a [u8],
}

/// Who asks, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsEnds {
    /// The process that asks.
    pub task: Task,
    /// The kernel's cookie for its socket, unique within a boot.
    pub cookie: u64,
    /// Its address and port, IPv4-mapped forms normalised.
    pub source: SocketAddr,
    /// Those of the server, as the process named them.
    pub destination: SocketAddr,
}

/// How a message is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a datagram; or in several that the kernel moves as one, each of so many bytes.
    Udp {
        /// 0: it is one.
        each_bytes: u32,
    },
    /// In a stream.
    Tcp {
        /// The stream's initial sequence number, which tells it from others of the same socket.
        isn: u32,
        /// How many bytes of the stream stand before these, as far as 32 bits count.
        at: u32,
    },
}

impl<'a> Dns<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let dns: event::event_dns = fixed(bytes)?;
        let end =
            |addr: [u8; 16], port| SocketAddr::new(IpAddr::V6(Ipv6Addr::from(addr)).to_canonical(), port);
        Ok(Self {
            ends: DnsEnds {
                task: Task::from(dns.task),
                cookie: dns.cookie,
                source: end(dns.source_addr, dns.source_port),
                destination: end(dns.destination_addr, dns.destination_port),
            },
            is_answer: dns.flags & event::EVENT_DNS_ANSWER != 0,
            carrier: match dns.flags & event::EVENT_DNS_TCP {
                0 => Carrier::Udp { each_bytes: dns.at },
                _ => Carrier::Tcp { isn: dns.stream, at: dns.at },
            },
            n_bytes: dns.bytes.max(dns.len),
            payload: Rest::after::<event::event_dns>(bytes).take(dns.len as usize)?,
        })
    }
}
