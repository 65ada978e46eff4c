//! `network`: TCP connections, each reported by both of its ends.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A TCP connection that the subject opened is established.
    pub const CONNECT: Kind = Kind(20);
    /// A TCP connection that the subject accepted. Source is the other side, as the field names say.
    pub const ACCEPT: Kind = Kind(21);
    /// A process that did not accept the connection reads from it first.
    pub const SERVE: Kind = Kind(22);
    /// A TCP connection ended; the subject is the process that had connected, accepted or served.
    pub const CLOSE: Kind = Kind(23);
    /// The subject waits for TCP connections at `destination`.
    pub const LISTEN: Kind = Kind(24);
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

const LISTEN: &[Field] =
    &[Field::DestinationIp, Field::DestinationPort, Field::NetworkTransport, Field::NetworkSocketCookie];

const TUPLE: &[Field] = &[
    Field::SourceIp,
    Field::SourcePort,
    Field::DestinationIp,
    Field::DestinationPort,
    Field::NetworkTransport,
    Field::NetworkSourceIsn,
    Field::NetworkDestinationIsn,
    Field::NetworkSocketCookie,
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

pub(super) static KINDS: &[KindInfo] = &[
    KindInfo {
        kind: Kind::CONNECT,
        category: "network",
        action: "connect",
        lane: Lane::Bulk,
        columns: TUPLE,
    },
    KindInfo { kind: Kind::ACCEPT, category: "network", action: "accept", lane: Lane::Bulk, columns: TUPLE },
    KindInfo { kind: Kind::SERVE, category: "network", action: "serve", lane: Lane::Bulk, columns: SERVE },
    KindInfo { kind: Kind::LISTEN, category: "network", action: "listen", lane: Lane::Bulk, columns: LISTEN },
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
        ],
    },
];
