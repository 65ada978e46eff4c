//! `network`: connections, each reported by both of its ends, and sockets.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A TCP connection that the subject opened is established.
    pub const CONNECT: Kind = Kind(20);
    /// A TCP connection that the subject accepted, or the first UDP datagram of a peer for the subject's socket. Source is the other side, as the field names say.
    pub const ACCEPT: Kind = Kind(21);
    /// A process that did not accept the connection (to which the peer's datagram did not come) reads from it first.
    pub const SERVE: Kind = Kind(22);
    /// A connection ended, or a flow of datagrams; the subject is the process that had connected, sent, accepted or
    /// served.
    pub const CLOSE: Kind = Kind(23);
    /// The subject waits for TCP connections at `destination`.
    pub const LISTEN: Kind = Kind(24);
    /// The subject sent a UDP datagram to a peer that was new to the socket, or had been silent for a while.
    pub const SEND: Kind = Kind(25);
    /// The subject bound a TCP or UDP socket to `destination`, with the port that it got.
    pub const BIND: Kind = Kind(26);
    /// The subject made a socket for raw IP, for packets, or to ping. What goes through it is not told.
    pub const SOCKET: Kind = Kind(28);
    /// A TCP connection that the subject asked for was not made; `error.code` says why. Its action is `connect` too.
    pub const CONNECT_FAILED: Kind = Kind(27);
}

const FAILED: &[Field] = &[
    Field::EventOutcome,
    Field::ErrorCode,
    Field::SourceIp,
    Field::SourcePort,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::NetworkTransport,
    Field::NetworkDirection,
    Field::NetworkSocketCookie,
];

/// Where a socket can be reached.
const AT: &[Field] =
    &[Field::DestinationIp, Field::DestinationPort, Field::NetworkTransport, Field::NetworkSocketCookie];

const SOCKET: &[Field] = &[Field::NetworkTransport, Field::NetworkProtocolNumber, Field::NetworkSocketCookie];

const TUPLE: &[Field] = &[
    Field::SourceIp,
    Field::SourcePort,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::NetworkTransport,
    Field::NetworkSourceIsn,
    Field::NetworkDestinationIsn,
    Field::NetworkSocketCookie,
    Field::NetworkManyPeers,
];

const SEND: &[Field] = &[
    Field::SourceIp,
    Field::SourcePort,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::NetworkTransport,
    Field::NetworkSocketCookie,
    Field::NetworkManyPeers,
];

const SERVE: &[Field] = &[
    Field::SourceIp,
    Field::SourcePort,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::NetworkTransport,
    Field::NetworkSourceIsn,
    Field::NetworkDestinationIsn,
    Field::NetworkSocketCookie,
    Field::NetworkAcceptEntityId,
];

pub(super) const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: Kind::CONNECT,
        category: "network",
        action: "connect",
        lane: Lane::Bulk,
        columns: TUPLE,
    },
    KindInfo { kind: Kind::ACCEPT, category: "network", action: "accept", lane: Lane::Bulk, columns: TUPLE },
    KindInfo { kind: Kind::SEND, category: "network", action: "send", lane: Lane::Bulk, columns: SEND },
    KindInfo { kind: Kind::SERVE, category: "network", action: "serve", lane: Lane::Bulk, columns: SERVE },
    KindInfo { kind: Kind::LISTEN, category: "network", action: "listen", lane: Lane::Bulk, columns: AT },
    KindInfo { kind: Kind::BIND, category: "network", action: "bind", lane: Lane::Bulk, columns: AT },
    KindInfo { kind: Kind::SOCKET, category: "network", action: "socket", lane: Lane::Bulk, columns: SOCKET },
    KindInfo {
        kind: Kind::CONNECT_FAILED,
        category: "network",
        action: "connect",
        lane: Lane::Bulk,
        columns: FAILED,
    },
    KindInfo {
        kind: Kind::CLOSE,
        category: "network",
        action: "close",
        lane: Lane::Bulk,
        columns: &[
            Field::SourceIp,
            Field::SourcePort,
            Field::DestinationIp,
            Field::DestinationPort,
            Field::NetworkTransport,
            Field::NetworkDirection,
            Field::NetworkBytes,
            Field::SourceBytes,
            Field::DestinationBytes,
            Field::NetworkSocketCookie,
            Field::NetworkPackets,
            Field::SourcePackets,
            Field::DestinationPackets,
            Field::NetworkManyPeers,
        ],
    },
];
