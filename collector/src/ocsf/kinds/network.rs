//! `network`: connections, each told by both of its ends, and sockets.

use wire::event::{Kind, Row};
use wire::field::Field;

use super::super::class::NETWORK;
use super::super::mapping::{Case, Mapping, text};
use super::super::object::{
    EITHER_WAY, FROM_HERE, FROM_SOMEWHERE, FROM_THERE, INBOUND, OUTBOUND, TO_HERE, TO_THERE, TRAFFIC,
};
use crate::shape::{Attribute, From};

const OPENED: &[Attribute] = &[FROM_HERE, TO_THERE, OUTBOUND];
const ACCEPTED: &[Attribute] = &[FROM_THERE, TO_HERE, INBOUND];
const AT: &[Attribute] = &[TO_HERE, EITHER_WAY];
const FAILED: &[Attribute] = &[FROM_HERE, TO_THERE, EITHER_WAY];

/// A socket that is for no connection. Its number of a protocol is not always one of IP's.
const SOCKET: &[Attribute] = &[
    FROM_HERE,
    Attribute {
        name: "connection_info",
        from: From::Required(&[
            Attribute::always("direction_id", "0"),
            Attribute::plain("protocol_name", Field::NetworkTransport),
        ]),
    },
];

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::CONNECT, &NETWORK, &[Case::new(1, OPENED)]),
    Mapping::new(
        Kind::CONNECT_FAILED,
        &NETWORK,
        &[Case::new(5, FAILED), Case::new(3, FAILED), Case::new(4, FAILED)],
    )
    .choose(why_not),
    Mapping::new(Kind::ACCEPT, &NETWORK, &[Case::new(1, ACCEPTED)]),
    Mapping::new(Kind::SERVE, &NETWORK, &[Case::other("Serve", ACCEPTED)]),
    Mapping::new(Kind::SEND, &NETWORK, &[Case::new(1, OPENED)]),
    Mapping::new(
        Kind::CLOSE,
        &NETWORK,
        &[
            Case::new(2, &[FROM_HERE, TO_THERE, EITHER_WAY, TRAFFIC]),
            Case::new(2, &[FROM_THERE, TO_HERE, EITHER_WAY, TRAFFIC]),
            Case::new(2, &[FROM_SOMEWHERE, TO_THERE, EITHER_WAY, TRAFFIC]),
        ],
    )
    .choose(which_way),
    Mapping::new(Kind::LISTEN, &NETWORK, &[Case::new(7, AT)]),
    Mapping::new(Kind::BIND, &NETWORK, &[Case::other("Bind", AT)]),
    Mapping::new(Kind::SOCKET, &NETWORK, &[Case::other("Socket", SOCKET)]),
];

fn why_not(row: &Row) -> usize {
    match text(row, Field::ErrorCode) {
        b"ECONNREFUSED" => 0,
        b"ECONNRESET" => 1,
        _ => 2,
    }
}

fn which_way(row: &Row) -> usize {
    match text(row, Field::NetworkDirection) {
        b"outbound" => 0,
        b"inbound" => 1,
        _ => 2,
    }
}
